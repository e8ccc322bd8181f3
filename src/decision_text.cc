#include "decision_text.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/number.h"

namespace penstock {
namespace {

constexpr size_t kReasons = 5;

}  // namespace

std::string PropertyOf(const std::string& feature) { return feature.substr(0, feature.find('.')); }

Json FeaturesJson(const telemetry::FeatureRow& row, const telemetry::FeatureSchema& schema) {
  Json list = Json::array();
  for (size_t i = 0; i < schema.features.size() && i < row.values.size(); ++i)
    list.push_back({{"name", schema.features[i].name()},
                    {"value", std::isfinite(row.values[i]) ? Json(row.values[i]) : Json(nullptr)},
                    {"good_samples", i < row.good_samples.size() ? row.good_samples[i] : 0},
                    {"all_samples", i < row.all_samples.size() ? row.all_samples[i] : 0}});
  return list;
}

Json SamplesJson(const telemetry::FeatureRow& row, const telemetry::FeatureSchema& schema,
                 const inference::Prediction& prediction, const things::Snapshot& snapshot) {
  std::vector<std::string> wanted;
  for (size_t i = 0; i < std::min(kReasons, prediction.because.size()); ++i)
    wanted.push_back(PropertyOf(prediction.because[i].feature));
  Json list = Json::array();
  std::map<std::string, bool> done;
  for (size_t i = 0; i < schema.features.size() && i < row.good_samples.size(); ++i) {
    const std::string& property = schema.features[i].property;
    if (std::find(wanted.begin(), wanted.end(), property) == wanted.end() || done[property])
      continue;
    done[property] = true;
    const things::Point* point = snapshot.FindPoint(row.thing + "/" + property);
    list.push_back({{"path", row.thing + "/" + property},
                    {"count", row.all_samples[i]},
                    {"good", row.good_samples[i]},
                    {"contract", point != nullptr ? point->contract : ""},
                    {"from", FormatTime(row.at - row.window)},
                    {"to", FormatTime(row.at)}});
  }
  return list;
}

std::string SamplesText(const Json& samples) {
  std::string text, contract;
  for (const Json& entry : samples) {
    const std::string path = entry.value("path", "");
    const auto count = entry.value("count", uint64_t{0}), good = entry.value("good", uint64_t{0});
    text += fmt::format("{}{} {} samples", text.empty() ? "" : ", ",
                        path.substr(path.find('/') + 1), count);
    if (good < count) text += fmt::format(" ({} not good)", count - good);
    if (contract.empty()) contract = entry.value("contract", "");
  }
  return contract.empty() ? text : text + " (contract " + contract + ")";
}

std::string FeaturesText(const inference::Prediction& prediction, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(most, prediction.because.size()); ++i) {
    const auto& c = prediction.because[i];
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", c.feature, QuantityText(c.value, c.unit));
    if (std::isfinite(c.normal_low) && std::isfinite(c.normal_high))
      text += fmt::format(" (normal {}..{})", NumberText(c.normal_low), NumberText(c.normal_high));
  }
  return text;
}

std::string ModelText(const inference::Prediction& prediction, const std::string& cause,
                      double probability, size_t most) {
  std::string text = fmt::format("{}@{}", prediction.model, prediction.version);
  if (!prediction.digest.empty())
    text += fmt::format(" (sha256:{})", prediction.digest.substr(0, 12));
  text += fmt::format(" p({}) = {:.2f} [{:.2f}, {:.2f}]\nbecause", cause, probability,
                      prediction.confidence_low, prediction.confidence_high);
  for (size_t i = 0; i < std::min(most, prediction.because.size()); ++i)
    text += fmt::format("  {} {:+.2f}", prediction.because[i].feature,
                        prediction.because[i].contribution);
  return text;
}

}  // namespace penstock
