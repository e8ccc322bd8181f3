// Replays a CSV file as if its rows were measured: columns become the points of a thing, by the
// properties' names or their ps:column, and rows come out as batches in the order of time.
//
// Thread rule: one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocols/replay/csv.h"
#include "telemetry/sample.h"
#include "things/thing.h"

namespace penstock::protocols {

struct ReplayOptions {
  std::string time_column;  // "": the first of datetime, time, timestamp, date, ts, in any case.
  char separator = 0;       // 0: found out.
  std::vector<std::string>
      exclude;  // Columns that are labels, not measurements: given out beside the samples.
  size_t block_rows = 4096;  // A block's rows; as many are held back to put rows in order.
  telemetry::SampleSink* texts = nullptr;  // Keeps the texts; without it they are refused.
};

struct ReplayBlock {
  telemetry::Batch batch;  // By time, and within a row by the thing's properties.
  std::vector<Time> rows;  // The time of each row.
  std::vector<std::vector<double>>
      labels;  // One vector per excluded column, as long as `rows`; NaN for no number.
  bool empty() const { return rows.empty(); }
};

struct ReplayReport {
  static constexpr size_t kMaxLines = 20;
  uint64_t rows = 0;  // Whole ones.
  uint64_t samples = 0;
  uint64_t missing = 0;             // Cells without a value.
  uint64_t refused = 0;             // Cells that were no value of their point's type.
  uint64_t torn_rows = 0;           // Other number of cells than the header, open quotes, no time.
  uint64_t late_rows = 0;           // Older than what was given out already by more than a block.
  std::vector<size_t> torn_lines;   // Line numbers of the first torn rows.
  std::vector<std::string> unused;  // Columns that are neither time, property nor excluded.
  std::optional<Time> first, last;
};

class CsvReplay {
 public:
  // The thing's properties need their point ids (from a directory's snapshot). An error names the
  // columns that are missing, each with the nearest there is. `quarantine` may be null; refused
  // cells and torn rows go there.
  static Result<std::unique_ptr<CsvReplay>> Open(const std::string& path,
                                                 const things::Thing& thing,
                                                 const ReplayOptions& options = {},
                                                 telemetry::QuarantineSink* quarantine = nullptr);
  // The same for any stream; `name` is for the messages.
  static Result<std::unique_ptr<CsvReplay>> FromStream(
      std::unique_ptr<std::istream> stream, const std::string& name, const things::Thing& thing,
      const ReplayOptions& options = {}, telemetry::QuarantineSink* quarantine = nullptr);

  // The next rows; an empty block at the end. Ingest time is the source time.
  ReplayBlock Next();
  const ReplayReport& report() const { return report_; }
  const std::string& time_column() const { return reader_.header()[time_column_]; }

 private:
  struct Column {
    size_t index;
    PointId id;
    things::ValueType type;
    std::string path;
  };
  struct Row {
    Time at;
    std::vector<double> values;  // By columns_, then by labels_; NaN: none.
  };

  CsvReplay(CsvReader reader, std::string name, const ReplayOptions& options,
            telemetry::QuarantineSink* quarantine);
  Status Map(const things::Thing& thing, const ReplayOptions& options);
  Status FindTime(const std::string& wanted);
  void Fill();
  void Take(const std::vector<std::string_view>& cells);
  double Value(const Column& column, std::string_view cell, Time at);
  double TextValue(const Column& column, std::string_view cell, Time at);
  void TornRow(std::string_view why);
  void Quarantine(Time at, const std::string& point, std::string_view rule, std::string_view value,
                  std::string message);

  CsvReader reader_;
  std::string name_;
  size_t block_rows_;
  telemetry::QuarantineSink* quarantine_;
  telemetry::SampleSink* texts_;
  size_t time_column_ = 0;
  bool decimal_comma_ = false;
  std::vector<Column> columns_;
  std::vector<size_t> labels_;
  std::vector<Row> held_;  // Sorted by time.
  Time given_ = Time::min();
  ReplayReport report_;
};

}  // namespace penstock::protocols
