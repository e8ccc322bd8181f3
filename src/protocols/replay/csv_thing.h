// A Thing Description for a CSV file that has none: each column a property, so that the file can be
// replayed at once and the description be completed by hand.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace penstock::protocols {

struct CsvThing {
  std::string name = "replay";       // Of the thing: a-z, 0-9, _ and -.
  std::string title;                 // "": the name.
  std::string asset;                 // "": example/site/replay/NAME.
  std::string model;                 // "pump@1.2", or "".
  std::string time_column;           // "": found as ReplayOptions does.
  std::vector<std::string> exclude;  // Columns that are no measurements.
};

// kInvalidArgument when no column is left, or two give the same property name.
Result<Json> ThingDescriptionForCsv(const std::vector<std::string>& header, const CsvThing& about);

// The column names of a file's first line. `separator` 0: found out.
Result<std::vector<std::string>> CsvHeader(const std::string& path, char separator = 0);

// "Volume Flow RateRMS" -> "volume_flow_rate_rms"
std::string PropertyNameOf(std::string_view column);

}  // namespace penstock::protocols
