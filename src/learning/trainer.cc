// What is reported comes from groups that neither grew a tree nor chose the number of rounds; they
// do set the calibration (one scale and small biases), which can flatter the log loss a little but
// no count. The file is proven before it is handed out: it is read back, run by our kernel against
// XGBoost's own margins on every row and against ONNX Runtime on a sample.
#include "learning/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/bytes.h"
#include "base/random.h"
#include "inference/model.h"
#include "inference/onnx_file.h"
#include "inference/runtime.h"
#include "learning/calibration.h"
#include "learning/linear.h"

namespace penstock::learning {
namespace {

constexpr double kAgreement = 1e-5;
constexpr std::array<double, 3> kShares{0.6, 0.2, 0.2};

struct GroupCounts {
  std::vector<uint64_t> by_class;
  uint64_t rows = 0;
};

std::vector<GroupCounts> CountGroups(const Dataset& dataset) {
  std::vector<GroupCounts> groups(dataset.group_names.size());
  for (auto& group : groups) group.by_class.resize(dataset.classes.size());
  for (size_t i = 0; i < dataset.labels.size(); ++i) {
    ++groups[dataset.groups[i]].by_class[dataset.labels[i]];
    ++groups[dataset.groups[i]].rows;
  }
  return groups;
}

Examples Part(const Dataset& dataset, const std::vector<int>& parts, int wanted,
              const std::vector<float>& weights) {
  Examples examples;
  examples.features.columns = dataset.features.columns;
  for (size_t i = 0; i < dataset.labels.size(); ++i) {
    if (parts[dataset.groups[i]] != wanted) continue;
    examples.features.Add(dataset.features.row(i));
    examples.labels.push_back(static_cast<float>(dataset.labels[i]));
    examples.weights.push_back(weights[dataset.labels[i]]);
  }
  return examples;
}

// A rare class counts more, by the root of its rarity: enough to be learnt, not enough to cry wolf.
std::vector<float> ClassWeights(const Dataset& dataset) {
  std::vector<double> counts(dataset.classes.size());
  for (const uint32_t label : dataset.labels) ++counts[label];
  const double even =
      static_cast<double>(dataset.labels.size()) / static_cast<double>(counts.size());
  std::vector<float> weights;
  for (const double count : counts)
    weights.push_back(
        static_cast<float>(std::clamp(std::sqrt(even / std::max(count, 1.0)), 0.2, 5.0)));
  return weights;
}

std::vector<inference::FeatureProfile> Profile(const Dataset& dataset) {
  std::vector<inference::FeatureProfile> profile;
  for (size_t f = 0; f < dataset.features.columns; ++f) {
    inference::FeatureProfile p;
    p.feature = dataset.schema.features[f].name();
    std::vector<double> values;
    double healthy = 0, sum = 0, square = 0;
    for (size_t i = 0; i < dataset.labels.size(); ++i) {
      if (dataset.labels[i] != 0) continue;
      ++healthy;
      const double value = dataset.features.row(i)[f];
      if (!std::isfinite(value)) continue;
      values.push_back(value);
      sum += value;
    }
    const auto n = static_cast<double>(values.size());
    p.mean = sum / n;
    for (const double value : values) square += (value - p.mean) * (value - p.mean);
    p.deviation = std::sqrt(square / n);
    p.missing = healthy > 0 ? 1 - n / healthy : 1;
    p.p5 = Quantile(values, 0.05);
    p.p50 = Quantile(values, 0.5);
    p.p95 = Quantile(values, 0.95);
    for (int d = 1; d < 10 && !values.empty(); ++d) p.deciles.push_back(Quantile(values, d / 10.0));
    profile.push_back(std::move(p));
  }
  return profile;
}

// Probabilities of the finished trees on the rows of one part, rows x classes, and where the rows
// are.
struct Judged {
  std::vector<size_t> rows;
  std::vector<double> probabilities;
};

Judged JudgePart(const Dataset& dataset, const std::vector<int>& parts, int wanted,
                 const inference::TreeEnsemble& ensemble) {
  Judged judged;
  const size_t classes = dataset.classes.size();
  std::vector<double> margins(classes), p(classes);
  for (size_t i = 0; i < dataset.labels.size(); ++i) {
    if (parts[dataset.groups[i]] != wanted) continue;
    ensemble.Predict(dataset.features.row(i), margins);
    ensemble.Probabilities(margins, p);
    judged.rows.push_back(i);
    judged.probabilities.insert(judged.probabilities.end(), p.begin(), p.end());
  }
  return judged;
}

void Score(const Dataset& dataset, const Judged& judged, double alarm_probability,
           TrainReport& report) {
  const size_t classes = dataset.classes.size();
  uint64_t right = 0;
  for (size_t j = 0; j < judged.rows.size(); ++j) {
    const double* p = judged.probabilities.data() + j * classes;
    const uint32_t label = dataset.labels[judged.rows[j]];
    report.log_loss -= std::log(std::max(p[label], 1e-15));
    if (std::max_element(p, p + classes) - p == label) ++right;
  }
  const auto n = static_cast<double>(std::max<size_t>(judged.rows.size(), 1));
  report.log_loss /= n;
  report.accuracy = static_cast<double>(right) / n;
  for (size_t c = 0; c < classes; ++c) {
    ClassReport one{.name = dataset.classes[c]};
    one.rows = static_cast<uint64_t>(std::count(dataset.labels.begin(), dataset.labels.end(), c));
    std::map<uint32_t, bool> episodes;
    double called = 0, hits = 0;
    for (size_t j = 0; j < judged.rows.size(); ++j) {
      const bool is = dataset.labels[judged.rows[j]] == c;
      const bool says = judged.probabilities[j * classes + c] >= alarm_probability;
      called += says ? 1 : 0;
      hits += says && is ? 1 : 0;
      if (!is) continue;
      ++one.held_out_rows;
      bool& found = episodes[dataset.groups[judged.rows[j]]];
      found = found || says;
    }
    one.precision = called > 0 ? hits / called : NAN;
    one.recall = one.held_out_rows > 0 ? hits / static_cast<double>(one.held_out_rows) : NAN;
    one.episodes = episodes.size();
    for (const auto& [group, found] : episodes) one.episodes_found += found ? 1 : 0;
    report.classes.push_back(one);
  }
}

std::map<std::string, std::vector<inference::CalibrationBin>> Bins(const Dataset& dataset,
                                                                   const Judged& judged) {
  const size_t classes = dataset.classes.size();
  const double overlap =
      ToSeconds(dataset.schema.window) / std::max(ToSeconds(dataset.schema.every), 1e-6);
  std::map<std::string, std::vector<inference::CalibrationBin>> bins;
  const size_t n = judged.rows.size();
  std::vector<double> p(n);
  const std::unique_ptr<bool[]> is(new bool[n]);
  for (size_t c = 0; c < classes; ++c) {
    for (size_t j = 0; j < n; ++j) {
      p[j] = judged.probabilities[j * classes + c];
      is[j] = dataset.labels[judged.rows[j]] == c;
    }
    bins[dataset.classes[c]] = CalibrationBins(p, {is.get(), n}, overlap);
  }
  return bins;
}

// The written file against the library that grew its trees, and against ONNX Runtime.
Status Prove(const Dataset& dataset, const Booster& booster, const MarginCalibration& calibration,
             TrainedModel& made) {
  ASSIGN_OR_RETURN(const auto file, inference::ReadOnnx(AsBytes(made.onnx)));
  if (!file.trees) return Internal("the written model is not read as trees: {}", file.not_trees);
  ASSIGN_OR_RETURN(const auto ensemble, inference::TreeEnsemble::Make(*file.trees));
  ASSIGN_OR_RETURN(const auto wanted, booster.Margins(dataset.features));
  ASSIGN_OR_RETURN(const auto runtime, inference::Runtime::Open(AsBytes(made.onnx)));
  const size_t classes = dataset.classes.size();
  const size_t every = std::max<size_t>(1, dataset.labels.size() / 200);
  std::vector<double> margins(classes), p(classes);
  TrainReport& report = made.report;
  for (size_t i = 0; i < dataset.labels.size(); ++i) {
    ensemble.Predict(dataset.features.row(i), margins);
    for (size_t c = 0; c < classes; ++c) {
      const double want = calibration.scale * wanted[i * classes + c] + calibration.bias[c];
      const double unit = std::max(1.0, std::abs(want));
      report.kernel_difference_max =
          std::max(report.kernel_difference_max, std::abs(margins[c] - want) / unit);
    }
    if (i % every != 0) continue;
    ensemble.Probabilities(margins, p);
    ASSIGN_OR_RETURN(const auto other,
                     runtime->Run(dataset.features.row(i), dataset.features.columns));
    for (size_t c = 0; c < classes; ++c)
      report.runtime_difference_max =
          std::max(report.runtime_difference_max, std::abs(p[c] - other.at(c)));
  }
  if (report.kernel_difference_max > kAgreement || report.runtime_difference_max > kAgreement)
    return Internal("the written model differs: from XGBoost by {}, from ONNX Runtime by {}",
                    report.kernel_difference_max, report.runtime_difference_max);
  return {};
}

Json MetricsJson(const TrainReport& report) {
  Json classes = Json::object();
  for (const ClassReport& c : report.classes) {
    classes[c.name] = {{"rows", c.rows},
                       {"held_out_rows", c.held_out_rows},
                       {"episodes", c.episodes},
                       {"episodes_found", c.episodes_found},
                       {"precision", NumberOrNull(c.precision)},
                       {"recall", NumberOrNull(c.recall)}};
  }
  return {{"log_loss", NumberOrNull(report.log_loss)},
          {"accuracy", report.accuracy},
          {"classes", std::move(classes)}};
}

}  // namespace

Json TrainReport::ToJson() const {
  return {{"model", model},
          {"version", version},
          {"digest", digest},
          {"rows", rows},
          {"rows_left_out", left_out},
          {"groups", groups},
          {"features", features},
          {"trees", trees},
          {"rounds", rounds},
          {"calibration_scale", scale},
          {"held_out", MetricsJson(*this)},
          {"kernel_difference_max", kernel_difference_max},
          {"runtime_difference_max", runtime_difference_max},
          {"seconds", seconds}};
}

std::vector<int> SplitGroups(const Dataset& dataset, uint64_t seed) {
  const std::vector<GroupCounts> groups = CountGroups(dataset);
  std::vector<uint32_t> order(groups.size());
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);

  const size_t classes = dataset.classes.size();
  std::vector<uint64_t> group_count(classes);
  for (const auto& group : groups) {
    for (size_t c = 0; c < classes; ++c) group_count[c] += group.by_class[c] > 0 ? 1 : 0;
  }
  std::vector<size_t> rarest(classes);
  std::iota(rarest.begin(), rarest.end(), 0);
  std::stable_sort(rarest.begin(), rarest.end(),
                   [&](size_t a, size_t b) { return group_count[a] < group_count[b]; });

  // Class by class, rarest first: each group goes where most of its class is still wanted.
  std::vector<int> part(groups.size(), -1);
  for (const size_t c : rarest) {
    std::array<double, kShares.size()> have{};
    for (size_t g = 0; g < groups.size(); ++g) {
      if (part[g] >= 0 && groups[g].by_class[c] > 0) ++have[part[g]];
    }
    for (const uint32_t g : order) {
      if (part[g] >= 0 || groups[g].by_class[c] == 0) continue;
      const auto total = static_cast<double>(group_count[c]);
      int best = 0;
      for (int p = 1; p < static_cast<int>(kShares.size()); ++p) {
        // An empty part comes before a fuller one, but training before both.
        const auto want = [&](int q) {
          return kShares[q] * total - have[q] + (have[q] == 0 ? 1.0 : 0.0);
        };
        if (want(p) > want(best) + 1e-9) best = p;
      }
      part[g] = best;
      ++have[best];
    }
  }
  return part;
}

Result<TrainedModel> TrainModel(const Dataset& dataset, const TrainOptions& options,
                                Time trained_at) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<int> parts = SplitGroups(dataset, options.seed);
  const std::vector<float> weights = ClassWeights(dataset);
  const Examples train = Part(dataset, parts, 0, weights), stop = Part(dataset, parts, 1, weights);
  const Examples held_out = Part(dataset, parts, 2, weights);
  if (stop.labels.empty() || held_out.labels.empty()) {
    auto error = FailedPrecondition("{} groups of rows are too few to hold some out",
                                    dataset.group_names.size());
    error.error().Fix("give a longer history");
    return error;
  }
  for (size_t c = 0; c < dataset.classes.size(); ++c) {
    if (std::find(train.labels.begin(), train.labels.end(), static_cast<float>(c)) ==
        train.labels.end())
      return FailedPrecondition("no row of class {} to train on", dataset.classes[c]);
  }

  BoosterOptions boost;
  boost.classes = static_cast<int>(dataset.classes.size());
  boost.rounds_max = options.rounds_max;
  boost.patience = options.patience;
  boost.depth_max = options.depth_max;
  boost.learning_rate = options.learning_rate;
  boost.seed = options.seed;
  boost.threads = options.threads;
  ASSIGN_OR_RETURN(const auto booster, Booster::Train(train, stop, boost, options.progress));

  ASSIGN_OR_RETURN(const auto margins, booster->Margins(held_out.features));
  const std::vector<uint32_t> held_out_labels(held_out.labels.begin(), held_out.labels.end());
  ASSIGN_OR_RETURN(const MarginCalibration calibration,
                   FitCalibration(margins, held_out_labels, dataset.classes.size()));
  ASSIGN_OR_RETURN(auto forest, booster->Forest());
  ApplyCalibration(calibration, forest);
  ASSIGN_OR_RETURN(const auto ensemble, inference::TreeEnsemble::Make(forest));
  const Judged judged = JudgePart(dataset, parts, 2, ensemble);

  TrainedModel made;
  TrainReport& report = made.report;
  report.rows = dataset.labels.size();
  report.left_out = dataset.left_out;
  report.groups = dataset.group_names.size();
  report.features = dataset.features.columns;
  report.trees = forest.trees.size();
  report.rounds = booster->rounds();
  report.scale = calibration.scale;
  Score(dataset, judged, options.alarm_probability, report);

  inference::ModelCard card;
  card.schema = dataset.schema;
  card.classes = dataset.classes;
  card.profile = Profile(dataset);
  card.metrics = MetricsJson(report);
  card.calibration = Bins(dataset, judged);
  card.trained_at = trained_at;
  card.rows = report.rows;
  for (const uint32_t label : dataset.labels) ++card.label_counts[dataset.classes[label]];
  ASSIGN_OR_RETURN(made.onnx, inference::WriteOnnx(forest, dataset.classes, card.ToMetadata()));
  report.digest = ToHex(Sha256Of(AsBytes(made.onnx)));
  TRY(Prove(dataset, *booster, calibration, made));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return made;
}

}  // namespace penstock::learning
