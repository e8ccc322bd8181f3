// Rows of one fault stay in one group however long it lasts, named after its beginning; normal rows
// are grouped by blocks of time. A split by groups then never has a window in training that
// overlaps one in validation, except at the seam of two normal blocks, where both say the same.
#include "learning/dataset.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::learning {
namespace {

Duration Overlap(Time from, Time to, Time begin, Time end) {
  return std::max(Duration(0), std::min(to, end) - std::max(from, begin));
}

Time DetectableFrom(const LabelInterval& label, double positive_share) {
  if (label.detectable_from) return *label.detectable_from;
  const double life = ToSeconds(label.to - label.from);
  return label.from + FromSeconds(life * (1 - positive_share));
}

}  // namespace

DatasetBuilder::DatasetBuilder(telemetry::FeatureSchema schema,
                               const std::vector<std::string>& faults,
                               const DatasetOptions& options)
    : options_(options) {
  dataset_.features.columns = schema.features.size();
  dataset_.schema = std::move(schema);
  dataset_.classes.emplace_back(kNormal);
  dataset_.classes.insert(dataset_.classes.end(), faults.begin(), faults.end());
}

void DatasetBuilder::BeginRun(std::string name, std::vector<LabelInterval> labels) {
  run_ = std::move(name);
  labels_ = std::move(labels);
}

DatasetBuilder::Judged DatasetBuilder::Judge(const telemetry::FeatureRow& row) {
  const Duration window = dataset_.schema.window;
  const Time begin = row.at - window, end = row.at;
  Judged judged{0U, {}};
  for (const LabelInterval& label : labels_) {
    if (label.thing != row.thing || Overlap(label.from, label.to, begin, end) == Duration(0))
      continue;
    if (label.class_name == kNormal) continue;
    const auto known =
        std::find(dataset_.classes.begin(), dataset_.classes.end(), label.class_name);
    if (known == dataset_.classes.end() && label.class_name != kExcluded) ++dataset_.other_class;
    const Time detectable = DetectableFrom(label, options_.positive_share);
    const bool positive = known != dataset_.classes.end() &&
                          2 * Overlap(detectable, label.to, begin, end) >= window &&
                          row.at <= label.to;
    // Two faults at once, or one that begins where another ends: no clear answer.
    if (!positive || !judged.label || *judged.label != 0) return {std::nullopt, {}};
    judged.label = static_cast<uint32_t>(known - dataset_.classes.begin());
    judged.group =
        fmt::format("{}/{}/{} {}", run_, row.thing, label.class_name, FormatTime(label.from));
  }
  if (judged.group.empty()) {
    const int64_t block = ToMicros(row.at) / std::max<int64_t>(options_.block.count(), 1);
    judged.group = fmt::format("{}/{}/{}", run_, row.thing, block);
  }
  return judged;
}

void DatasetBuilder::Add(const telemetry::FeatureRow& row) {
  if (row.values.size() != dataset_.features.columns || dataset_.labels.size() >= options_.rows_max)
    return;
  const Judged judged = Judge(row);
  if (!judged.label) {
    ++dataset_.left_out;
    return;
  }
  std::vector<float> values;
  size_t present = 0;
  for (const double value : row.values) {
    const bool finite = std::isfinite(value);
    if (finite) ++present;
    values.push_back(finite ? static_cast<float>(value) : std::numeric_limits<float>::quiet_NaN());
  }
  if (2 * present < values.size()) {  // The scorer would not judge such a row either.
    ++dataset_.left_out;
    return;
  }
  const auto [entry, fresh] =
      group_index_.try_emplace(judged.group, static_cast<uint32_t>(dataset_.group_names.size()));
  if (fresh) dataset_.group_names.push_back(judged.group);
  dataset_.features.Add(values);
  dataset_.labels.push_back(*judged.label);
  dataset_.groups.push_back(entry->second);
}

Result<Dataset> DatasetBuilder::Build() {
  std::vector<uint64_t> counts(dataset_.classes.size());
  for (const uint32_t label : dataset_.labels) ++counts[label];
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] > 0) continue;
    auto error = FailedPrecondition("no row of class {} among {} rows ({} left out)",
                                    dataset_.classes[c], dataset_.labels.size(), dataset_.left_out);
    error.error().Fix(c == 0 ? "give history without faults"
                             : "give history with this fault, or take its alarm out");
    return error;
  }
  return std::move(dataset_);
}

}  // namespace penstock::learning
