// What was measured: columns of samples, many points to a batch.
//
// Every sample has a source time (the device's word, or the ingest time when it has none), an
// ingest time (ours), a quality (OPC UA Part 4, 7.39 StatusCode) and a sequence number within this
// node's epoch.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace penstock::telemetry {

using Quality = uint32_t;
// OPC UA status codes in use (severity in the two top bits: 00 good, 01 uncertain, 10 bad).
inline constexpr Quality kGood = 0x00000000;
inline constexpr Quality kUncertain = 0x40000000;
inline constexpr Quality kUncertainLastUsableValue = 0x40900000;  // Stale.
inline constexpr Quality kUncertainSubstituteValue = 0x40910000;  // Corrected by a person.
inline constexpr Quality kUncertainSensorNotAccurate = 0x40930000;
inline constexpr Quality kUncertainEngineeringUnitsExceeded =
    0x40940000;                                             // Outside minimum..maximum.
inline constexpr Quality kUncertainSubNormal = 0x40950000;  // Rate of change too high, clock skew.
inline constexpr Quality kBad = 0x80000000;
inline constexpr Quality kBadNoCommunication = 0x80310000;
inline constexpr Quality kBadSensorFailure = 0x808C0000;  // Flat line, drop-out value.
inline constexpr Quality kBadNotConnected = 0x808A0000;
inline constexpr Quality kBadOutOfRange = 0x803C0000;
inline bool IsGood(Quality q) { return (q >> 30) == 0; }
inline bool IsUncertain(Quality q) { return (q >> 30) == 1; }
inline bool IsBad(Quality q) { return (q >> 30) >= 2; }
std::string QualityName(Quality quality);  // "Good", "Bad_SensorFailure", ...

// Whole numbers strictly between -2^53 and 2^53 are exact in a column of doubles (and in any JSON
// reader, RFC 8259, section 6); points of type integer take no other.
inline constexpr double kIntegerEnd = 9007199254740992.0;
inline bool IsExactInteger(double value) {
  return value > -kIntegerEnd && value < kIntegerEnd &&
         value == static_cast<double>(static_cast<int64_t>(value));
}

// Columns of equal length, sorted by nothing in particular except that one point's samples are in
// arrival order. Booleans are 0 and 1, a text is its code (telemetry/texts.h). A waveform of n
// values arrives as n samples spaced by 1/sample_rate.
struct Batch {
  // Whose numbering the rows had where they were first durable; (edge, epoch, sequence) names one
  // row for ever, so that whoever gets it twice can tell.
  struct Origin {
    std::string edge;    // Name of the other node; empty: measured by this node.
    uint64_t epoch = 0;  // Of that node's data folder. Own rows: given by the pipeline.
    uint64_t first = 0;  // There row i had first + i. Unused for own rows: see first_sequence.
  };

  std::vector<PointId> point;
  std::vector<Time> source_time;
  std::vector<Time> ingest_time;
  std::vector<double> value;
  std::vector<Quality> quality;
  uint64_t first_sequence = 0;  // Row i has first_sequence + i; given by the pipeline.
  Origin origin;
  // Let out of the quarantine by a person: stored as it is, not judged again.
  bool released = false;

  bool own() const { return origin.edge.empty(); }

  size_t size() const { return value.size(); }
  bool empty() const { return value.empty(); }
  void Add(PointId id, Time source, Time ingest, double v, Quality q = kGood);
  void Append(const Batch& other);  // The rows alone.
  void Reserve(size_t rows);
  void Clear();
};

// The way in, for every driver. Thread-safe; blocks the caller only as long as the queue is full
// (that is the back-pressure to its socket). `on_durable(status)` is called once, on another
// thread, after the log's group commit (or with the error); protocols acknowledge there.
// kResourceExhausted when the log cannot take it.
class SampleSink {
 public:
  virtual ~SampleSink() = default;
  virtual void Write(Batch batch, std::function<void(const Status&)> on_durable = nullptr) = 0;
  // The number by which a text of this point goes through a batch (telemetry/texts.h); the text is
  // durable with or before the first row that has it. Thread-safe. Errors as of Texts::Intern.
  virtual Result<double> Intern(PointId, std::string_view) {
    return FailedPrecondition("texts are not taken here");
  }
};

// A value that could not become a sample: kept with its reason, never stored as if it were good.
struct QuarantineEntry {
  Time at;
  std::string source;   // "mqtt client filler-1", "modbus 127.0.0.1:502/1", "POST /write".
  std::string point;    // Path if known.
  std::string rule;     // "type", "unknown_point", "clock_skew", "not_finite", "payload" ...
  std::string value;    // As received, at most 200 characters.
  std::string message;  // What, and what to do.
};

class QuarantineSink {
 public:
  virtual ~QuarantineSink() = default;
  virtual void Put(QuarantineEntry entry) = 0;  // Thread-safe, bounded; counted when full.
};

}  // namespace penstock::telemetry
