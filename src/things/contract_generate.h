// Data contracts made from Thing Models, and brought up to date with them without losing what
// people wrote.
#pragma once

#include <string>
#include <vector>

#include "things/data_contract.h"
#include "things/thing.h"

namespace penstock::things {

struct ContractDefaults {
  std::string domain, team, owner;  // Left out when empty.
  Duration retention{0};            // Promised when above 0.
};

// The contract that the model promises: one object named after it; types, UCUM units, ranges and
// classification of its properties; freshness from the longest interval between reports
// (ps:report max_interval, else ps:quality stale_after). The id is the model's kind, the version
// that of its "ps:contract" or the model's own.
Result<Json> ContractFromModel(const ThingModel& model, const ContractDefaults& defaults);

// A contract file beside what its model would give now.
struct ContractUpdate {
  struct Difference {
    std::string pointer, file, model;  // Into the file; values as text, "" = not there.
  };
  std::vector<Json> added;              // Properties that the model has and the file has not.
  std::vector<std::string> gone;        // Properties that only the file has.
  std::vector<Difference> differences;  // Where people (or an older model) say something else.
  bool empty() const { return added.empty() && gone.empty() && differences.empty(); }
};
ContractUpdate CompareWithModel(const Json& file, const Json& generated);

// The file's text with the added properties behind its last one and the version raised by a minor
// step; comments and all else stay as they are. kFailedPrecondition when the text's layout leaves
// no sure place (the properties on one line).
Result<std::string> MergeIntoText(const std::string& text, const ContractUpdate& update);

}  // namespace penstock::things
