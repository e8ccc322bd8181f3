// The card as text: one metadata key per part, JSON inside, so that a person with any ONNX viewer
// can read it and a reader of the next version can skip what it does not know.
#include "inference/model_card.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace penstock::inference {
namespace {

constexpr size_t kPartBytesMax = 4 << 20;
constexpr size_t kBinsMax = 1000;

Json ProfileJson(const std::vector<FeatureProfile>& profile) {
  Json list = Json::array();
  for (const FeatureProfile& p : profile) {
    list.push_back({{"feature", p.feature},
                    {"p5", NumberOrNull(p.p5)},
                    {"p50", NumberOrNull(p.p50)},
                    {"p95", NumberOrNull(p.p95)},
                    {"mean", NumberOrNull(p.mean)},
                    {"deviation", NumberOrNull(p.deviation)},
                    {"missing", p.missing},
                    {"deciles", p.deciles}});
  }
  return list;
}

Json CalibrationJson(const std::map<std::string, std::vector<CalibrationBin>>& calibration) {
  Json classes = Json::object();
  for (const auto& [name, bins] : calibration) {
    Json list = Json::array();
    for (const CalibrationBin& bin : bins) list.push_back({bin.low, bin.high, bin.n, bin.hits});
    classes[name] = std::move(list);
  }
  return classes;
}

Result<Json> Part(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return Json(nullptr);
  if (found->second.size() > kPartBytesMax)
    return ResourceExhausted("{} has {} bytes, at most {} are read", key, found->second.size(),
                             kPartBytesMax);
  auto parsed = ParseJson(found->second);
  if (!parsed) return InvalidArgument("{}: {}", key, parsed.error().message);
  return parsed;
}

double Number(const Json& object, const char* key) { return NumberOr(object, key, NAN); }

Result<std::vector<FeatureProfile>> ReadProfile(const Json& list,
                                                const telemetry::FeatureSchema& schema) {
  std::vector<FeatureProfile> profile;
  if (list.is_null()) return profile;
  if (!list.is_array() || list.size() != schema.features.size())
    return InvalidArgument("penstock.profile: {} entries for {} features", list.size(),
                           schema.features.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& entry = list[i];
    FeatureProfile p;
    p.feature = schema.features[i].name();
    if (!entry.is_object() || StringOr(entry, "feature", "") != p.feature)
      return InvalidArgument("penstock.profile: entry {} is not about {}", i, p.feature);
    p.p5 = Number(entry, "p5");
    p.p50 = Number(entry, "p50");
    p.p95 = Number(entry, "p95");
    p.mean = Number(entry, "mean");
    p.deviation = Number(entry, "deviation");
    p.missing = NumberOr(entry, "missing", 0);
    if (entry.contains("deciles") && entry["deciles"].is_array() &&
        entry["deciles"].size() <= kBinsMax) {
      for (const Json& value : entry["deciles"]) {
        if (value.is_number()) p.deciles.push_back(value.get<double>());
      }
    }
    profile.push_back(std::move(p));
  }
  return profile;
}

Result<std::vector<CalibrationBin>> ReadBins(const std::string& name, const Json& list) {
  if (!list.is_array() || list.size() > kBinsMax)
    return InvalidArgument("penstock.calibration: {} has no list of at most {} bins", name,
                           kBinsMax);
  std::vector<CalibrationBin> bins;
  for (const Json& entry : list) {
    const bool numbers =
        entry.is_array() && entry.size() == 4 &&
        std::all_of(entry.begin(), entry.end(), [](const Json& x) { return x.is_number(); });
    if (!numbers)
      return InvalidArgument("penstock.calibration: a bin of {} is not [low, high, n, hits]", name);
    const CalibrationBin bin{entry[0].get<double>(), entry[1].get<double>(), entry[2].get<double>(),
                             entry[3].get<double>()};
    if (!(bin.hits >= 0 && bin.hits <= bin.n))
      return InvalidArgument("penstock.calibration: {} has a bin with {} hits of {}", name,
                             bin.hits, bin.n);
    bins.push_back(bin);
  }
  return bins;
}

Status ReadTraining(const Json& training, ModelCard& card) {
  if (training.is_null()) return {};
  if (!training.is_object()) return InvalidArgument("penstock.training is no object");
  if (const std::string at = StringOr(training, "at", ""); !at.empty()) {
    ASSIGN_OR_RETURN(card.trained_at, ParseTime(at));
  }
  card.rows = static_cast<uint64_t>(std::clamp(NumberOr(training, "rows", 0), 0.0, 1e15));
  if (!training.contains("labels") || !training["labels"].is_object()) return {};
  for (const auto& [name, count] : training["labels"].items()) {
    if (count.is_number_unsigned()) card.label_counts[name] = count.get<uint64_t>();
  }
  return {};
}

}  // namespace

Interval WilsonInterval(double hits, double n, double z) {
  if (n <= 0) return {};
  const double p = hits / n, z2 = z * z;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = z / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

std::map<std::string, std::string> ModelCard::ToMetadata() const {
  const Json training = {{"at", FormatTime(trained_at)}, {"rows", rows}, {"labels", label_counts}};
  return {{"penstock.format", "1"},
          {"penstock.features", schema.ToJson().dump()},
          {"penstock.classes", Json(classes).dump()},
          {"penstock.profile", ProfileJson(profile).dump()},
          {"penstock.metrics", metrics.dump()},
          {"penstock.calibration", CalibrationJson(calibration).dump()},
          {"penstock.training", training.dump()}};
}

Result<ModelCard> ModelCard::FromMetadata(const std::map<std::string, std::string>& metadata) {
  ModelCard card;
  ASSIGN_OR_RETURN(const Json features, Part(metadata, "penstock.features"));
  if (features.is_null()) {
    auto error = FailedPrecondition("the model does not say which features it wants");
    error.error().Fix("add metadata_props penstock.features, see docs/formats/model.md");
    return error;
  }
  if (const auto format = metadata.find("penstock.format");
      format != metadata.end() && format->second != "1")
    return Unimplemented("the model card has format {}, this program reads 1", format->second);
  auto schema = telemetry::FeatureSchema::FromJson(features);
  if (!schema)
    return InvalidArgument("penstock.features{}: {}", schema.error().pointer,
                           schema.error().message);
  card.schema = std::move(*schema);
  ASSIGN_OR_RETURN(const Json classes, Part(metadata, "penstock.classes"));
  if (classes.is_array()) {
    for (const Json& name : classes) {
      if (!name.is_string()) return InvalidArgument("penstock.classes: a class is no text");
      card.classes.push_back(name.get<std::string>());
    }
    if (std::set(card.classes.begin(), card.classes.end()).size() != card.classes.size())
      return InvalidArgument("penstock.classes: a class twice");
  }
  ASSIGN_OR_RETURN(const Json profile, Part(metadata, "penstock.profile"));
  ASSIGN_OR_RETURN(card.profile, ReadProfile(profile, card.schema));
  ASSIGN_OR_RETURN(const Json metrics, Part(metadata, "penstock.metrics"));
  if (metrics.is_object()) card.metrics = metrics;
  ASSIGN_OR_RETURN(const Json calibration, Part(metadata, "penstock.calibration"));
  if (calibration.is_object()) {
    for (const auto& [name, list] : calibration.items()) {
      ASSIGN_OR_RETURN(card.calibration[name], ReadBins(name, list));
    }
  }
  ASSIGN_OR_RETURN(const Json training, Part(metadata, "penstock.training"));
  TRY(ReadTraining(training, card));
  return card;
}

Interval ModelCard::ConfidenceOf(const std::string& name, double p) const {
  const auto found = calibration.find(name);
  if (found == calibration.end()) return {};
  for (const CalibrationBin& bin : found->second) {
    if (p >= bin.low && (p < bin.high || bin.high >= 1)) return WilsonInterval(bin.hits, bin.n);
  }
  return {};
}

Status CheckFeatures(const telemetry::FeatureSchema& rows, const telemetry::FeatureSchema& model,
                     const std::string& model_name) {
  std::set<std::string> have, want;
  for (const auto& feature : rows.features) have.insert(feature.name());
  for (const auto& feature : model.features) want.insert(feature.name());
  std::vector<std::string> missing, extra, parts;
  std::set_difference(want.begin(), want.end(), have.begin(), have.end(),
                      std::back_inserter(missing));
  std::set_difference(have.begin(), have.end(), want.begin(), want.end(),
                      std::back_inserter(extra));
  if (!missing.empty()) parts.push_back(fmt::format("it wants {}", fmt::join(missing, ", ")));
  if (!extra.empty()) parts.push_back(fmt::format("it does not know {}", fmt::join(extra, ", ")));
  if (rows.window != model.window)
    parts.push_back(fmt::format("its window is {}, not {}", FormatDuration(model.window),
                                FormatDuration(rows.window)));
  if (parts.empty()) return {};
  auto error = FailedPrecondition("model {} was made for other features: {}", model_name,
                                  fmt::join(parts, "; "));
  error.error().Fix("change features to those of the model, or train it again");
  return error;
}

}  // namespace penstock::inference
