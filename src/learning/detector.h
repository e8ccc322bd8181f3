// A detector answers one question without ever having seen a fault: is this thing still behaving as
// it always did? One detector watches the feature rows of one thing.
//
// Thread rule: a detector belongs to one thread at a time.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace penstock::learning {

struct DetectorOptions {
  size_t features = 0;
  size_t warm_up = 200;             // Rows before it judges.
  double memory = 1000;             // Rows over which slow change becomes normal.
  double false_alarm_rows = 20000;  // Normal rows per false alarm that p = 0.5 stands for.
};

struct DetectorVerdict {
  bool ready = false;  // False while warming up; then nothing else is set.
  // R / (R + false_alarm_rows), where normal behaviour exceeds `score` once in R rows: 0.5 is the
  // alarm limit.
  double p = 0;
  double score = 0;                   // In the detector's own unit; larger is stranger.
  std::vector<double> contributions;  // One per feature; their sum is `score`.
  std::vector<double> low, high;      // Where each feature normally lies (5 % to 95 %).
};

class Detector {
 public:
  virtual ~Detector() = default;

  // Learns from rows of normal behaviour at once, instead of warming up. `fresh[i]`: row i does not
  // follow the one before in time. kFailedPrecondition when they are too few or never move.
  virtual Status Fit(std::span<const std::vector<double>> rows, const std::vector<bool>& fresh) = 0;
  // Judges a row (NaN: missing), then learns from it if it may: not while an alarm of the thing is
  // open. `fresh`: there is a gap before this row.
  virtual DetectorVerdict Observe(std::span<const double> row, bool may_learn, bool fresh) = 0;

  virtual Json Save() const = 0;
  virtual Status Restore(const Json& state) = 0;
};

// A kind of detector as configuration, console and documentation know it.
struct DetectorKind {
  std::string_view name;       // As written in configuration: "mewma".
  std::string_view summary;    // One sentence, shown in the console.
  std::string_view reference;  // The papers it follows.
  Result<std::unique_ptr<Detector>> (*create)(const DetectorOptions& options);
};

std::span<const DetectorKind> DetectorKinds();
// kNotFound with the nearest kind as the fix.
Result<const DetectorKind*> FindDetectorKind(std::string_view name);

}  // namespace penstock::learning
