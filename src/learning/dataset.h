// From history and labels to rows that a classifier can learn from.
//
// A label says: this thing had this fault from `from` to `to`. What a row becomes, by the window
// [at - window, at):
//  - the fault's class, when at least half of the window lies in the part of the fault where it
//  could be detected
//    (from detectable_from; without one, the last `positive_share` of the interval);
//  - nothing (the row is left out), when the window touches the interval otherwise: the early phase
//  of a fault is
//    neither healthy nor recognisable, and teaching it as one of the two would teach noise;
//  - "normal", when it touches no label.
// A label of the class kExcluded (repair, sensor fault, planned work) leaves out all rows that
// touch it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "learning/booster.h"
#include "telemetry/feature.h"

namespace penstock::learning {

inline constexpr std::string_view kNormal = "normal";
inline constexpr std::string_view kExcluded = "excluded";

struct LabelInterval {
  std::string thing;
  Time from, to;
  std::string class_name;
  std::string source;  // "maintenance", "verdict" ...
  std::optional<Time> detectable_from;
};

struct DatasetOptions {
  double positive_share = 0.65;
  Duration block =
      std::chrono::hours(8);  // Normal rows of one such block stay together in a split.
  size_t rows_max = 2'000'000;
};

struct Dataset {
  telemetry::FeatureSchema schema;
  std::vector<std::string> classes;  // classes[0] == kNormal.
  Matrix features;
  std::vector<uint32_t> labels;
  std::vector<uint32_t> groups;  // Index into group_names.
  std::vector<std::string> group_names;
  uint64_t left_out = 0;     // Rows that are ambiguous or excluded.
  uint64_t other_class = 0;  // Of these: rows of a fault that is not among the classes.
};

class DatasetBuilder {
 public:
  // `faults` are the classes beside "normal".
  DatasetBuilder(telemetry::FeatureSchema schema, const std::vector<std::string>& faults,
                 const DatasetOptions& options = {});

  // One connected stretch of history; labels of one run do not touch rows of another.
  void BeginRun(std::string name, std::vector<LabelInterval> labels);
  void Add(const telemetry::FeatureRow& row);
  size_t rows() const { return dataset_.labels.size(); }
  // kFailedPrecondition, naming the class, when one has no rows.
  Result<Dataset> Build();

 private:
  struct Judged {
    std::optional<uint32_t> label;  // Nothing: left out.
    std::string group;
  };
  Judged Judge(const telemetry::FeatureRow& row);

  Dataset dataset_;
  DatasetOptions options_;
  std::string run_;
  std::vector<LabelInterval> labels_;
  std::map<std::string, uint32_t> group_index_;
};

}  // namespace penstock::learning
