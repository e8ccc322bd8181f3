// Point ids that survive restarts: a table in the records of the data folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/records.h"
#include "things/directory.h"

namespace penstock::things {

// `records` must outlive the result. A new path is durable when IdOf returns. Thread-safe.
Result<std::unique_ptr<PointIds>> PointIdsIn(storage::Records& records);

// All paths that ever had an id there, by id.
Result<std::vector<std::string>> PathsIn(storage::Records& records);

}  // namespace penstock::things
