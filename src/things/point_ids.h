// Point ids that survive restarts: a table in the records of the data folder.
#pragma once

#include <memory>

#include "storage/records.h"
#include "things/directory.h"

namespace penstock::things {

// `records` must outlive the result. A new path is durable when IdOf returns. Thread-safe.
Result<std::unique_ptr<PointIds>> PointIdsIn(storage::Records& records);

}  // namespace penstock::things
