// The process that answers one question in SQL and ends: `penstock sql-worker`, started by
// SqlRunner. Whatever the question does, it is this process that runs out of memory or time.
//
// Thread rule: called once, from main.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "storage/sql_job.h"

namespace penstock::storage {

// What may be said of a personal value; nothing: no value.
using PrivateNumber = std::function<std::optional<double>(std::string_view point, double value)>;
using MakePrivateNumber = std::function<Result<PrivateNumber>(const std::string& privacy)>;

// Reads one job as JSON from `in` to its end, shuts itself in, writes frames to `out`. Returns the
// exit code: 0 also for a question that failed with an error frame.
int RunSqlWorker(int in, int out, const MakePrivateNumber& make_private);

}  // namespace penstock::storage
