// The reader of models/*.yaml. Every key has one small function that says pointer and fix itself,
// so that the first mistake in a file is told where it is and what to write instead.
#include "inference/binding.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "inference/model_repository.h"

namespace penstock::inference {
namespace {

std::unexpected<Error> Bad(std::string pointer, std::string message, std::string_view fix) {
  return std::unexpected(
      Error{Code::kInvalidArgument, std::move(message), "", std::move(pointer), std::string(fix)});
}

Status ReadSpan(const Json& object, const char* key, const std::string& base, Duration& to) {
  if (!object.contains(key)) return {};
  ASSIGN_OR_RETURN(const std::string text, GetString(object, key, base));
  auto span = ParseDuration(text);
  if (!span) return std::unexpected(std::move(span).error().At(fmt::format("{}/{}", base, key)));
  to = *span;
  return {};
}

// "pump-faults@champion"
Status ReadModel(const Json& document, ModelBinding& binding) {
  ASSIGN_OR_RETURN(const std::string text, GetString(document, "model"));
  const auto at = std::find(text.begin(), text.end(), '@');
  binding.model.assign(text.begin(), at);
  if (at != text.end()) binding.alias.assign(at + 1, text.end());
  if (!IsModelName(binding.model))
    return Bad("/model", fmt::format("\"{}\" is no model name", binding.model),
               "a-z, 0-9, _ and -: pump-faults@champion");
  const bool number =
      !binding.alias.empty() && std::all_of(binding.alias.begin(), binding.alias.end(),
                                            [](char c) { return c >= '0' && c <= '9'; });
  if (!number && binding.alias != "champion" && binding.alias != "challenger")
    return Bad("/model", fmt::format("\"{}\" is no version", binding.alias),
               "@champion, @challenger or a number");
  return {};
}

Status ReadOn(const Json& document, ModelBinding& binding) {
  if (!document.contains("on") || !document["on"].is_object())
    return Bad("/on", "which assets it runs on is missing",
               "on: {model: pump@1.*} or on: {things: [pump-7]}");
  const Json& on = document["on"];
  TRY(CheckKeys(on, {"model", "things"}, "/on"));
  if (on.contains("model")) {
    ASSIGN_OR_RETURN(binding.on_model, GetString(on, "model", "/on"));
  }
  if (on.contains("things")) {
    if (!on["things"].is_array()) return Bad("/on/things", "a list expected", "things: [pump-7]");
    for (const Json& thing : on["things"]) {
      if (!thing.is_string())
        return Bad("/on/things", "a thing's name expected", "things: [pump-7]");
      binding.on_things.push_back(thing.get<std::string>());
    }
  }
  if (binding.on_model.empty() == binding.on_things.empty())
    return Bad("/on", "either a Thing Model or things", "on: {model: pump@1.*}");
  return {};
}

Status ReadFeatures(const Json& document, ModelBinding& binding) {
  if (!document.contains("features") || !document["features"].is_object())
    return Bad("/features", "the features are missing",
               "features: {window: 20min, of: [motor_current], take: [mean]}");
  Json features = document["features"];
  if (document.contains("every")) {
    if (features.contains("every"))
      return Bad("/features/every", "every twice", "keep the one beside model");
    features["every"] = document["every"];
  }
  auto schema = telemetry::FeatureSchema::FromJson(features, "/features");
  if (!schema) {
    if (schema.error().pointer == "/features/every" && document.contains("every"))
      schema.error().At("/every");
    return std::unexpected(std::move(schema).error());
  }
  binding.schema = std::move(*schema);
  return {};
}

// "p(bearing_wear) > 0.8", spaces anywhere.
bool ParseCondition(std::string text, AlarmRule& rule) {
  std::erase(text, ' ');
  const auto close = std::find(text.begin(), text.end(), ')');
  if (!text.starts_with("p(") || close == text.end()) return false;
  rule.cause.assign(text.begin() + 2, close);
  const std::string rest(close + 1, text.end());
  if (!rest.starts_with('>') || rule.cause.empty()) return false;
  const char* end = rest.data() + rest.size();
  const auto [last, error] = std::from_chars(rest.data() + 1, end, rule.threshold);
  return error == std::errc() && last == end && rule.threshold > 0 && rule.threshold < 1;
}

Status ReadSeverity(const Json& entry, const std::string& base, AlarmRule& rule) {
  const std::string text = StringOr(entry, "severity", "medium");
  if (text == "high") {
    rule.priority = Priority::kHigh;
  } else if (text == "medium") {
    rule.priority = Priority::kMedium;
  } else if (text == "low") {
    rule.priority = Priority::kLow;
  } else {
    return Bad(base + "/severity", fmt::format("\"{}\" is no severity", text),
               "high, medium or low");
  }
  return {};
}

Result<AlarmRule> ReadAlarm(const Json& entry, const std::string& base) {
  if (!entry.is_object())
    return Bad(base, "an alarm is an object", "{when: p(bearing_wear) > 0.8, for: 4min}");
  TRY(CheckKeys(entry,
                {"when", "for", "clear-after", "deadband", "severity", "cause", "consequence",
                 "response", "respond-within"},
                base));
  AlarmRule rule;
  ASSIGN_OR_RETURN(rule.condition, GetString(entry, "when", base));
  if (!ParseCondition(rule.condition, rule))
    return Bad(base + "/when", fmt::format("\"{}\" is no condition", rule.condition),
               "p(bearing_wear) > 0.8");
  TRY(ReadSpan(entry, "for", base, rule.delay_on));
  TRY(ReadSpan(entry, "clear-after", base, rule.delay_off));
  TRY(ReadSpan(entry, "respond-within", base, rule.respond_within));
  TRY(ReadSeverity(entry, base, rule));
  rule.deadband = std::min(rule.deadband, rule.threshold / 2);
  if (entry.contains("deadband")) {
    ASSIGN_OR_RETURN(rule.deadband, GetNumber(entry, "deadband", base));
    if (!(rule.deadband >= 0 && rule.deadband < rule.threshold))
      return Bad(base + "/deadband",
                 fmt::format("{} is no deadband below {}", rule.deadband, rule.threshold),
                 "deadband: 0.2");
  }
  rule.title = StringOr(entry, "cause", rule.cause);
  rule.consequence = StringOr(entry, "consequence", "");
  rule.response = StringOr(entry, "response", "");
  return rule;
}

Status ReadAlarms(const Json& document, ModelBinding& binding) {
  if (!document.contains("alarm")) return {};
  const Json& alarm = document["alarm"];
  const Json list = alarm.is_array() ? alarm : Json::array({alarm});
  std::set<std::string> classes;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string base = alarm.is_array() ? fmt::format("/alarm/{}", i) : "/alarm";
    ASSIGN_OR_RETURN(AlarmRule rule, ReadAlarm(list[i], base));
    if (!classes.insert(rule.cause).second)
      return Bad(base + "/when", fmt::format("two alarms for {}", rule.cause),
                 "one alarm per class");
    rule.model = binding.model;
    binding.alarms.push_back(std::move(rule));
  }
  return {};
}

// suppress: {while: [pump-faults], after: 20min}
Status ReadSuppress(const Json& document, ModelBinding& binding) {
  if (!document.contains("suppress")) return {};
  constexpr const char* kExample = "suppress: {while: [pump-faults]}";
  const Json& entry = document["suppress"];
  if (!entry.is_object()) return Bad("/suppress", "an object expected", kExample);
  TRY(CheckKeys(entry, {"while", "after"}, "/suppress"));
  if (!entry.contains("while") || !entry["while"].is_array() || entry["while"].empty())
    return Bad("/suppress/while", "a list of models expected", kExample);
  for (size_t i = 0; i < entry["while"].size(); ++i) {
    const Json& name = entry["while"][i];
    const std::string pointer = fmt::format("/suppress/while/{}", i);
    if (!name.is_string() || !IsModelName(name.get<std::string>()))
      return Bad(pointer, "a model's name expected, without a version", kExample);
    if (name == binding.model)
      return Bad(pointer, "a model does not suppress itself", "name the other model");
    binding.suppress_while.push_back(name.get<std::string>());
  }
  Duration after = binding.schema.window;  // So far back a row still sees what was.
  TRY(ReadSpan(entry, "after", "/suppress", after));
  for (AlarmRule& rule : binding.alarms) {
    rule.suppressed_while = binding.suppress_while;
    rule.suppressed_after = after;
  }
  return {};
}

Status ReadDetector(const Json& document, ModelBinding& binding) {
  if (!document.contains("detector")) return {};
  const Json& entry = document["detector"];
  if (!entry.is_object()) return Bad("/detector", "an object expected", "detector: {kind: mewma}");
  TRY(CheckKeys(entry, {"kind", "warm-up", "memory", "false-alarm-every"}, "/detector"));
  DetectorSpec spec;
  ASSIGN_OR_RETURN(spec.kind, GetString(entry, "kind", "/detector"));
  const double rows = NumberOr(entry, "warm-up", static_cast<double>(spec.warm_up));
  if (!(rows >= 20 && rows <= 1e6))
    return Bad("/detector/warm-up", fmt::format("{} rows", rows), "20 or more rows");
  spec.warm_up = static_cast<size_t>(rows);
  TRY(ReadSpan(entry, "memory", "/detector", spec.memory));
  TRY(ReadSpan(entry, "false-alarm-every", "/detector", spec.false_alarm_every));
  binding.detector = spec;
  return {};
}

Status ReadCanary(const Json& document, ModelBinding& binding) {
  if (!document.contains("canary")) return {};
  const Json& entry = document["canary"];
  if (!entry.is_object())
    return Bad("/canary", "an object expected", "canary: {to: pump-faults@challenger, share: 0.2}");
  TRY(CheckKeys(entry, {"to", "share", "guard"}, "/canary"));
  Canary canary;
  ASSIGN_OR_RETURN(const std::string to, GetString(entry, "to", "/canary"));
  if (!to.starts_with(binding.model + "@"))
    return Bad("/canary/to", fmt::format("\"{}\" is another model than {}", to, binding.model),
               binding.model + "@challenger");
  canary.alias = to.substr(binding.model.size() + 1);
  ASSIGN_OR_RETURN(canary.share, GetNumber(entry, "share", "/canary"));
  if (!(canary.share >= 0 && canary.share <= 1))
    return Bad("/canary/share", "a share is 0 to 1", "share: 0.2");
  if (entry.contains("guard") && entry["guard"].is_array()) {
    for (const Json& name : entry["guard"]) {
      if (name.is_string()) canary.guard.push_back(name.get<std::string>());
    }
  }
  binding.canary = std::move(canary);
  return {};
}

}  // namespace

Result<ModelBinding> BindingFromJson(const Json& document) {
  if (!document.is_object())
    return Bad("", "a model file is an object", "model: pump-faults@champion");
  TRY(CheckKeys(document, {"model", "on", "every", "features", "explain", "alarm", "suppress",
                           "canary", "detector"}));
  ModelBinding binding;
  TRY(ReadModel(document, binding));
  TRY(ReadOn(document, binding));
  TRY(ReadFeatures(document, binding));
  const double explain = NumberOr(document, "explain", binding.explain);
  if (!(explain >= 1 && explain <= 50))
    return Bad("/explain", fmt::format("{} contributions", explain), "explain: 3");
  binding.explain = static_cast<int>(explain);
  TRY(ReadAlarms(document, binding));
  TRY(ReadSuppress(document, binding));
  TRY(ReadDetector(document, binding));
  TRY(ReadCanary(document, binding));
  return binding;
}

Result<ModelBinding> ReadBinding(const std::string& file) {
  ASSIGN_OR_RETURN(const Json document, ReadDocument(file));
  auto binding = BindingFromJson(document);
  if (!binding) return std::unexpected(std::move(binding).error().Where(file));
  binding->file = file;
  return binding;
}

Bindings ReadBindings(const std::string& folder) {
  Bindings bindings;
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) return bindings;
  const auto names = ListFiles(folder, ".yaml");
  if (!names) {
    bindings.bad.push_back(names.error());
    return bindings;
  }
  std::set<std::string> models;
  for (const std::string& name : *names) {
    auto binding = ReadBinding(folder + "/" + name);
    if (!binding) {
      bindings.bad.push_back(binding.error());
    } else if (!models.insert(binding->model).second) {
      bindings.bad.push_back(Error{Code::kAlreadyExists,
                                   fmt::format("model {} is bound twice", binding->model),
                                   folder + "/" + name, "/model", "one file per model"});
    } else {
      bindings.good.push_back(std::move(*binding));
    }
  }
  return bindings;
}

}  // namespace penstock::inference
