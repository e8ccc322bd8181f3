// What the pipeline tells of its own health.
#pragma once

#include "base/metrics.h"

namespace penstock::telemetry {

struct PipelineMetrics {
  Metric& stored = Counter("penstock_samples_stored_total", "Samples durable in the log.");
  Metric& duplicates =
      Counter("penstock_samples_duplicate_total", "Samples dropped because they came twice.");
  Metric& refused =
      Counter("penstock_samples_refused_total", "Samples whose producer was told an error.");
  Metric& durable_us =
      Gauge("penstock_log_durable_us", "Append and sync of the log, moving average.");
  Metric& failing =
      Gauge("penstock_log_failing", "1 while the log takes nothing (full or broken disk).");
  Metric& log_errors =
      Counter("penstock_log_errors_total", "Failed attempts to write or sync the log.");
  Metric& history_errors = Counter("penstock_history_errors_total", "Failed writes to history.");
  Metric& put_off = Gauge("penstock_history_flush_put_off",
                          "1 while rows may not go to files: penstock doctor says why.");
  Metric& history_behind =
      Gauge("penstock_history_behind_records", "Log records that history still lacks.");
  Metric& damaged =
      Counter("penstock_log_records_damaged_total", "Log records that could not be read back.");
};

}  // namespace penstock::telemetry
