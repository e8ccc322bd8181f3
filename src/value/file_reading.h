// Bits that the readers of kpis/*.yaml and usecases/*.yaml share: every mistake has a pointer and a
// fix.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "things/directory.h"

namespace penstock::value {

std::unexpected<Error> Mistake(std::string_view pointer, std::string message, std::string fix);

// "" and {} when the key is absent; an error of another type has its pointer.
Result<std::string> TextAt(const Json& object, std::string_view key, std::string_view base,
                           bool required);
Result<std::vector<std::string>> TextsAt(const Json& object, std::string_view key,
                                         std::string_view base);
// `otherwise` when absent; at least one second, at most ten years.
Result<Duration> DurationAt(const Json& object, std::string_view key, std::string_view base,
                            Duration otherwise);
Result<Json> ObjectAt(const Json& object, std::string_view key, std::string_view base);

// That there is such a point or thing; nothing is looked up without a snapshot.
Status CheckPoint(const things::Snapshot* snapshot, const std::string& path,
                  std::string_view pointer);
Status CheckThing(const things::Snapshot* snapshot, const std::string& name,
                  std::string_view pointer);

}  // namespace penstock::value
