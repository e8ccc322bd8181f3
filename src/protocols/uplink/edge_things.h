// What an edge's things are called and described as on its hub: files of the site like any other,
// things/EDGE_THING.td.json, under a name of their own, with their asset and units, and nothing to
// drive (the edge drives them).
//
// Thread rule: one thread at a time (the caller's lock).
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace penstock::protocols::uplink {

struct RefusedThing {
  std::string thing, message, fix;
};
struct TakenThings {
  size_t taken = 0;                // Written, or the same as before.
  size_t changed = 0;              // Of them written.
  std::vector<std::string> names;  // Of the things that were written, as they are called here.
  std::vector<RefusedThing> refused;
};

class EdgeThings {
 public:
  // `folder`: of the site; its things/ is written to.
  explicit EdgeThings(std::string folder) : folder_(std::move(folder)) {}

  // The description under its name on the hub, with forms that only say that values are pushed.
  // kInvalidArgument when it cannot be one.
  static Result<Json> OnHub(const std::string& edge, const Json& description);

  // {"models": [TM ...], "things": [TD ...]}, at most 2,000 together. A model that the hub has with
  // another content is refused: one name, one meaning.
  Result<TakenThings> Take(const std::string& edge, const Json& body);

 private:
  Status TakeModel(const Json& model, TakenThings& taken);
  Status Write(const std::string& name, const Json& document, TakenThings& taken);
  const std::string folder_;
};

}  // namespace penstock::protocols::uplink
