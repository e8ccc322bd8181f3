// Feature names and schemas as text. A name is "<property>.<statistic>" and reads back into the
// same spec; a schema written by ToJson lists every feature by name, because its order is the order
// of a model's inputs. People write the shorter forms (of x take); these expand in the order
// written.
#include "telemetry/feature.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

namespace penstock::telemetry {
namespace {

constexpr std::array<std::string_view, 11> kStatistics = {"count",     "mean", "min",   "max",
                                                          "deviation", "rms",  "slope", "crest",
                                                          "kurtosis",  "last", "range"};
constexpr size_t kFeaturesMax = 512;

// "120..180Hz" -> two numbers.
bool ParseBand(std::string_view text, double& low, double& high) {
  if (!text.ends_with("Hz")) return false;
  text.remove_suffix(2);
  const size_t dots = text.find("..");
  if (dots == std::string_view::npos) return false;
  const std::string_view first = text.substr(0, dots), second = text.substr(dots + 2);
  const auto number = [](std::string_view part, double& value) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    return error == std::errc() && end == part.data() + part.size() && std::isfinite(value);
  };
  return number(first, low) && number(second, high) && low >= 0 && high > low;
}

// "rms" or "band(120..180Hz)" into `spec`.
Status ParseStatistic(std::string_view text, FeatureSpec& spec) {
  if (text.starts_with("band(") && text.ends_with(")")) {
    if (!ParseBand(text.substr(5, text.size() - 6), spec.band_low_hz, spec.band_high_hz)) {
      auto error = InvalidArgument("band unreadable: \"{}\"", text);
      error.error().Fix("write band(LOW..HIGHHz) with 0 <= LOW < HIGH, as in band(120..180Hz)");
      return error;
    }
    spec.statistic = "band";
    return {};
  }
  if (std::ranges::find(kStatistics, text) == kStatistics.end()) {
    auto error = InvalidArgument("statistic unknown: \"{}\"", text);
    const std::string nearest = Nearest(text, {kStatistics.begin(), kStatistics.end()});
    error.error().Fix(
        nearest.empty() ? fmt::format("one of {}, band(LOW..HIGHHz)", fmt::join(kStatistics, ", "))
                        : fmt::format("did you mean \"{}\"?", nearest));
    return error;
  }
  spec.statistic = text;
  return {};
}

std::unexpected<Error> At(Error error, const std::string& pointer) {
  if (error.pointer.empty()) error.pointer = pointer;
  return std::unexpected(std::move(error));
}

std::unexpected<Error> Wrong(const std::string& pointer, const std::string& what,
                             std::string_view fix) {
  return std::unexpected(Error{Code::kInvalidArgument, what, "", pointer, std::string(fix)});
}

Result<std::vector<std::string>> ListOfTexts(const Json& list, const std::string& pointer) {
  if (!list.is_array())
    return Wrong(pointer, fmt::format("a list expected, not {}", list.type_name()), "[a, b]");
  std::vector<std::string> texts;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_string()) {
      return Wrong(fmt::format("{}/{}", pointer, i),
                   fmt::format("text expected, not {}", list[i].type_name()), "");
    }
    texts.push_back(list[i].get<std::string>());
  }
  return texts;
}

class Reader {
 public:
  Reader(const Json& document, std::string_view base) : document_(document), base_(base) {}

  Result<FeatureSchema> Read() {
    if (!document_.is_object()) {
      return Wrong(base_, fmt::format("an object expected, not {}", document_.type_name()),
                   "{window: 20min, every: 2min, features: [...]}");
    }
    TRY(CheckKeys(document_, {"window", "every", "min_samples", "features", "of", "take"}, base_));
    ASSIGN_OR_RETURN(schema_.window, Span("window", std::nullopt));
    ASSIGN_OR_RETURN(schema_.every, Span("every", schema_.window));
    TRY(ReadMinSamples());
    TRY(document_.contains("features") ? ReadNames() : ReadProduct());
    if (schema_.features.empty())
      return Wrong(base_, "no features", "features: [\"motor_current.mean\"]");
    return std::move(schema_);
  }

 private:
  std::string Pointer(std::string_view key) const { return fmt::format("{}/{}", base_, key); }

  Result<Duration> Span(std::string_view key, std::optional<Duration> otherwise) {
    if (!document_.contains(key) && otherwise) return *otherwise;
    ASSIGN_OR_RETURN(const std::string text, GetString(document_, key, base_));
    auto span = ParseDuration(text);
    if (!span) return At(std::move(span).error(), Pointer(key));
    if (*span < std::chrono::milliseconds(1) || *span > std::chrono::days(366)) {
      return Wrong(Pointer(key), fmt::format("{} is {}, outside 1ms..366d", key, text), "20min");
    }
    return *span;
  }

  Status ReadMinSamples() {
    if (!document_.contains("min_samples")) return {};
    ASSIGN_OR_RETURN(const double count, GetNumber(document_, "min_samples", base_));
    if (!(count >= 1 && count <= 1e6) || count != std::floor(count)) {
      return Wrong(Pointer("min_samples"), fmt::format("min_samples is {}", count),
                   "a whole number from 1");
    }
    schema_.min_samples = static_cast<int>(count);
    return {};
  }

  Status ReadNames() {
    if (document_.contains("of") || document_.contains("take")) {
      return Wrong(Pointer("features"), "features and of/take together", "keep one of the two");
    }
    ASSIGN_OR_RETURN(const auto names, ListOfTexts(document_["features"], Pointer("features")));
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string pointer = fmt::format("{}/{}", Pointer("features"), i);
      auto spec = FeatureSpec::Parse(names[i]);
      if (!spec) return At(std::move(spec).error(), pointer);
      TRY(Add(*std::move(spec), pointer));
    }
    return {};
  }

  Status ReadProduct() {
    if (!document_.contains("of"))
      return Wrong(base_, "neither features nor of", "features: [\"flow.mean\"]");
    const Json& of = document_["of"];
    if (of.is_object()) {
      if (document_.contains("take")) {
        return Wrong(Pointer("take"), "take beside an of that has its own lists", "remove take");
      }
      for (const auto& [property, statistics] : of.items()) {
        TRY(AddAll(property, statistics, Pointer("of") + "/" + EscapePointer(property)));
      }
      return {};
    }
    ASSIGN_OR_RETURN(const auto properties, ListOfTexts(of, Pointer("of")));
    if (!document_.contains("take")) return Wrong(base_, "of without take", "take: [mean, slope]");
    for (const auto& property : properties)
      TRY(AddAll(property, document_["take"], Pointer("take")));
    return {};
  }

  Status AddAll(const std::string& property, const Json& statistics, const std::string& pointer) {
    ASSIGN_OR_RETURN(const auto texts, ListOfTexts(statistics, pointer));
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string place = fmt::format("{}/{}", pointer, i);
      FeatureSpec spec{.property = property, .statistic = {}};
      if (auto parsed = ParseStatistic(texts[i], spec); !parsed)
        return At(std::move(parsed).error(), place);
      TRY(Add(std::move(spec), place));
    }
    return {};
  }

  Status Add(FeatureSpec spec, const std::string& pointer) {
    if (!names_.insert(spec.name()).second) {
      return Wrong(pointer, fmt::format("feature twice: {}", spec.name()), "keep it once");
    }
    if (schema_.features.size() >= kFeaturesMax) {
      return Wrong(pointer, fmt::format("more than {} features", kFeaturesMax),
                   "use several models");
    }
    schema_.features.push_back(std::move(spec));
    return {};
  }

  const Json& document_;
  const std::string base_;
  FeatureSchema schema_;
  std::set<std::string> names_;
};

}  // namespace

std::span<const std::string_view> FeatureStatistics() { return kStatistics; }

std::string FeatureSpec::name() const {
  if (statistic == "band")
    return fmt::format("{}.band({}..{}Hz)", property, band_low_hz, band_high_hz);
  return fmt::format("{}.{}", property, statistic);
}

Result<FeatureSpec> FeatureSpec::Parse(std::string_view text) {
  // The property has no dot; a band may have some ("band(0.5..2Hz)").
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot == 0) {
    auto error = InvalidArgument("feature name unreadable: \"{}\"", text.substr(0, 200));
    error.error().Fix("write POINT.STATISTIC, as in motor_current.mean");
    return error;
  }
  FeatureSpec spec{.property = std::string(text.substr(0, dot)), .statistic = {}};
  TRY(ParseStatistic(text.substr(dot + 1), spec));
  return spec;
}

Json FeatureSchema::ToJson() const {
  Json names = Json::array();
  for (const auto& feature : features) names.push_back(feature.name());
  return {{"window", FormatDuration(window)},
          {"every", FormatDuration(every)},
          {"min_samples", min_samples},
          {"features", std::move(names)}};
}

Result<FeatureSchema> FeatureSchema::FromJson(const Json& document, std::string_view base) {
  return Reader(document, base).Read();
}

bool FeatureSchema::operator==(const FeatureSchema& other) const {
  return window == other.window && every == other.every && min_samples == other.min_samples &&
         features == other.features;
}

}  // namespace penstock::telemetry
