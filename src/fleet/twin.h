// The twin of a thing: what it shall be (desired), what it says it is (reported), and the
// difference. Both are JSON documents changed by merge patches (RFC 7396); each has a version that
// counts its changes.
//
// Thread rule: any thread; every change is durable when the call returns.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "storage/records.h"

namespace penstock::fleet {

inline constexpr size_t kTwinBytesMax = 64 << 10;  // Of each document, as compact JSON.
inline constexpr int kTwinDepthMax = 16;

struct Twin {
  std::string thing;
  Json desired = Json::object(), reported = Json::object();
  int64_t desired_version = 0, reported_version = 0;  // 0: never set.
  std::optional<Time> desired_at, reported_at;

  // The merge patch that makes `reported` what `desired` asks for; {} when it is so already. What
  // is reported beyond the desired is the thing's own business and no difference.
  Json Difference() const;
  Json ToJson() const;  // {"thing","desired","reported","difference","desired_version",...}
};

class Twins {
 public:
  // `records` and `clock` must outlive the twins.
  static Result<std::unique_ptr<Twins>> Open(storage::Records& records, const Clock& clock);

  // A thing without a twin yet has an empty one of version 0.
  Result<Twin> Get(const std::string& thing) const;
  // `if_version`: change only when that is the present version, else kAborted. A patch that changes
  // nothing leaves the version as it is. kInvalidArgument when the patch is no object or the result
  // too large or too deep.
  Result<Twin> PatchDesired(const std::string& thing, const Json& patch,
                            std::optional<int64_t> if_version = {});
  Result<Twin> PatchReported(const std::string& thing, const Json& patch,
                             std::optional<int64_t> if_version = {});
  Status Remove(const std::string& thing);
  // By thing, those behind `after`.
  Result<std::vector<Twin>> List(const std::string& after, size_t limit) const;

 private:
  Twins(storage::Records& records, const Clock& clock) : records_(records), clock_(clock) {}
  Result<Twin> Patch(const std::string& thing, bool desired, const Json& patch,
                     std::optional<int64_t> if_version);

  storage::Records& records_;
  const Clock& clock_;
};

}  // namespace penstock::fleet
