// InfluxDB line protocol, the text in which half of the world's agents write samples:
//
//   measurement[,tag=value...] field=value[,field=value...] [timestamp]
//
// A field becomes a sample of the point thing/field, where the thing is the tag "thing" or else the
// measurement. Only points of the directory are taken; what is unknown, torn or of another type is
// reported and the rest is kept.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::protocols {

class PointTable;
class SeriesCache;

enum class Precision { kNanoseconds, kMicroseconds, kMilliseconds, kSeconds };
// "ns" (also "n" and ""), "us" ("u"), "ms", "s".
Result<Precision> ParsePrecision(std::string_view text);

struct LineError {
  size_t line = 0, column = 0;  // From 1; the column in bytes.
  std::string message;          // What, and what to do.
  std::string text;             // The line, at most 200 bytes.
  std::string point;            // Path, when the mistake is about one: "pump-7/flow".
  std::string rule;  // "syntax", "unknown_point", "type", "not_finite", "time", "text" ...
};

struct LineResult {
  static constexpr size_t kMaxErrors = 100;

  telemetry::Batch batch;         // In the order of the lines.
  std::vector<LineError> errors;  // The first kMaxErrors.
  size_t error_count = 0;         // All of them: a line may have several, one per field.
  size_t lines = 0, good = 0;     // Lines with content, and those without an error.
};

// Parses in place. A line that is torn is left out whole; of a line with an unknown point or a
// value of the wrong type the other fields are kept. Without a timestamp a sample is of `ingest`.
//
// It remembers which series means which points, so that known lines cost a comparison; what it
// knows is thrown away when the snapshot's revision changes or too much is known (262,144 series).
// No allocation per sample.
//
// Thread rule: one parser belongs to one thread at a time.
class LineParser {
 public:
  LineParser();
  ~LineParser();
  // `texts` keeps what fields of text say; without it they are refused.
  LineResult Parse(std::string_view body, Precision precision, const things::Snapshot& snapshot,
                   Time ingest, telemetry::SampleSink* texts = nullptr);
  // A table of the next snapshot, which parsers can share; else each makes its own.
  void Use(std::shared_ptr<const PointTable> table);
  // Whether it has seen the series of the body's first line.
  bool KnowsFirstOf(std::string_view body) const;
  size_t series() const;  // That it knows.

 private:
  std::unique_ptr<SeriesCache> cache_;
};

// The same with a parser of its own, for a single body.
LineResult ParseLines(std::string_view body, Precision precision, const things::Snapshot& snapshot,
                      Time ingest, telemetry::SampleSink* texts = nullptr);

}  // namespace penstock::protocols
