// A detector on a recorded series, and how well it did where the series says what was wrong.
#pragma once

#include <string>
#include <vector>

#include "learning/detector.h"

namespace penstock::learning {

// A table of numbers with a name per column; rows in the order of time.
struct Series {
  std::vector<std::string> columns;
  std::vector<std::string> times;         // As written; empty without a time column.
  std::vector<std::vector<double>> rows;  // NaN: empty or no number.
  std::vector<bool> anomaly;  // From the column "anomaly" (or "label"); empty without one.
};

// CSV with a header; the separator is ',' ';' or a tab, whichever the header has most of. Columns
// named datetime, time or timestamp are time; anomaly, label and changepoint are labels. At most 64
// MiB, 10 million cells.
Result<Series> ReadSeries(const std::string& file);
Result<Series> ParseSeries(std::string_view text);

struct ReplayOptions {
  std::string kind = "mewma";
  size_t train_rows = 400;  // Taken as normal, not judged.
  double memory = 100;      // Rows.
  double false_alarm_rows = 1000;
};

struct ReplayAlarm {
  size_t from = 0, to = 0;  // Rows, inclusive.
  double p = 0;             // The highest.
  std::vector<std::pair<std::string, double>>
      because;  // At the highest: largest contribution first, at most 3.
};

struct ReplayReport {
  size_t judged = 0;
  std::vector<ReplayAlarm> alarms;
  bool labelled = false;
  size_t true_positive = 0, false_positive = 0, false_negative = 0, true_negative = 0;  // Rows.
  double f1() const;
  double precision() const;
  double recall() const;
  double false_alarm_share() const;     // Of normal rows.
  void Add(const ReplayReport& other);  // Pools the counts.
  Json ToJson() const;
};

// kFailedPrecondition when the series is shorter than what it trains on.
Result<ReplayReport> ReplayDetector(const Series& series, const ReplayOptions& options);

}  // namespace penstock::learning
