// Source: Open Data Contract Standard v3.1.0, "Data quality" and "Service-level agreement".
//
// Which rules stop a sample: severity error (or none said), metric invalidValues or missingValues,
// and an operator that allows exactly none. What allows some can only be judged over a time. A null
// never comes as a sample, so nullValues is always measured over a time, as samples that are
// missing. Units of time: "m" alone is minutes to some and months to others, so it is refused.
#include "things/contract_rules.h"

#include <algorithm>
#include <cmath>

#include "things/data_contract_terms.h"

namespace penstock::things {
namespace {

using Metric = ContractRule::Metric;
using Operator = ContractRule::Operator;

constexpr size_t kRulesMax = 100, kValuesMax = 1000;
constexpr size_t kTextMax = 4096, kPatternMax = 1000;  // Bytes.

constexpr std::pair<std::string_view, Metric> kMetrics[] = {
    {"nullValues", Metric::kNull},       {"missingValues", Metric::kMissing},
    {"invalidValues", Metric::kInvalid}, {"duplicateValues", Metric::kDuplicate},
    {"rowCount", Metric::kRowCount},
};
constexpr std::pair<std::string_view, Operator> kOperators[] = {
    {"mustBe", Operator::kEqual},
    {"mustNotBe", Operator::kNotEqual},
    {"mustBeGreaterThan", Operator::kGreater},
    {"mustBeGreaterOrEqualTo", Operator::kGreaterOrEqual},
    {"mustBeLessThan", Operator::kLess},
    {"mustBeLessOrEqualTo", Operator::kLessOrEqual},
    {"mustBeBetween", Operator::kBetween},
    {"mustNotBeBetween", Operator::kNotBetween},
};

void ReadOperator(const Json& json, const std::string& pointer, ContractRule& rule,
                  Findings& findings) {
  int found = 0;
  for (const auto& [key, op] : kOperators) {
    const auto value = json.find(key);
    if (value == json.end()) continue;
    ++found;
    rule.op = op;
    if (value->is_array() && value->size() == 2 && (*value)[0].is_number() &&
        (*value)[1].is_number()) {
      rule.a = (*value)[0].get<double>();
      rule.b = (*value)[1].get<double>();
    } else if (value->is_number()) {
      rule.a = value->get<double>();
    } else {
      findings.Mistake(fmt::format("{}/{}", pointer, key),
                       fmt::format("\"{}\" compares a count or a percentage", key), "a number");
    }
  }
  if (found != 1)
    findings.Mistake(pointer,
                     found == 0 ? "the rule says nothing of how much is allowed"
                                : "the rule has more than one operator",
                     "one of mustBe, mustNotBe, mustBeLessThan, mustBeGreaterThan, mustBeBetween "
                     "..., such as mustBe: 0");
}

void ReadValues(const Json& json, const std::string& pointer, ContractRule& rule,
                Findings& findings) {
  const char* key = rule.metric == Metric::kInvalid ? "validValues" : "missingValues";
  const auto arguments = json.find("arguments");
  if (arguments == json.end() || !arguments->is_object()) {
    if (rule.metric == Metric::kMissing)
      findings.Mistake(pointer, "missingValues without the values that mean missing",
                       "arguments: {missingValues: [-999]}");
    return;
  }
  for (const auto& [name, value] : arguments->items()) {
    const std::string place = fmt::format("{}/arguments/{}", pointer, EscapePointer(name));
    if (name == key && value.is_array() && value.size() <= kValuesMax) {
      for (const Json& one : value)
        if (one.is_number())
          rule.values.push_back(one.get<double>());
        else if (one.is_string() && one.get_ref<const std::string&>().size() <= kTextMax)
          rule.texts.push_back(one.get<std::string>());
      continue;
    }
    if (name == "properties" && rule.metric == Metric::kDuplicate) continue;
    findings.Mistake(place, fmt::format("argument \"{}\" is not understood here", name),
                     fmt::format("{}: a list of at most {} numbers or texts", key, kValuesMax));
  }
  std::sort(rule.values.begin(), rule.values.end());
  std::sort(rule.texts.begin(), rule.texts.end());
}

void ReadLibrary(const Json& json, const std::string& pointer, ContractRule& rule,
                 Findings& findings) {
  const std::string metric = StringOr(json, "metric", StringOr(json, "rule", ""));
  const auto found = std::find_if(std::begin(kMetrics), std::end(kMetrics),
                                  [&](const auto& entry) { return entry.first == metric; });
  if (found == std::end(kMetrics)) {
    std::vector<std::string> known;
    for (const auto& [name, value] : kMetrics) known.emplace_back(name);
    const std::string nearest = Nearest(metric, known);
    return findings.Mistake(
        json.contains("metric") ? pointer + "/metric" : pointer,
        metric.empty() ? "a library rule has a \"metric\""
                       : fmt::format("metric \"{}\" is not known", metric.substr(0, 40)),
        nearest.empty() ? "nullValues, missingValues, invalidValues, duplicateValues or rowCount"
                        : fmt::format("did you mean \"{}\"?", nearest));
  }
  rule.metric = found->second;
  if (rule.name.empty()) rule.name = metric;
  ReadOperator(json, pointer, rule, findings);
  ReadValues(json, pointer, rule, findings);
}

ContractRule ReadRule(const Json& json, const std::string& pointer, Findings& findings) {
  ContractRule rule;
  rule.pointer = pointer;
  rule.name = StringOr(json, "name", "");
  const std::string severity = StringOr(json, "severity", "error");
  rule.warning_only = severity == "warning" || severity == "info";
  const std::string unit = StringOr(json, "unit", "rows");
  rule.percent = unit == "percent";
  if (unit != "rows" && unit != "percent")
    findings.Mistake(pointer + "/unit", fmt::format("unit \"{}\"", unit.substr(0, 40)),
                     "rows or percent");
  const std::string type = StringOr(json, "type", "library");
  if (type == "library") {
    ReadLibrary(json, pointer, rule, findings);
  } else if (type == "sql" || type == "custom") {
    rule.metric = type == "sql" ? Metric::kSql : Metric::kCustom;
    findings.Doubt(pointer,
                   fmt::format("a rule of type {} is kept, and measured by nobody here", type),
                   "a library metric is enforced: invalidValues, missingValues, rowCount ...");
  } else if (type != "text") {
    findings.Mistake(pointer + "/type", fmt::format("type \"{}\"", type.substr(0, 40)),
                     "library, text, sql or custom");
  }
  return rule;
}

struct TimeUnit {
  std::string_view names;  // "|d|day|days|"
  Duration length;
};
constexpr TimeUnit kTimeUnits[] = {
    {"|ms|millisecond|milliseconds|", std::chrono::milliseconds(1)},
    {"|s|sec|second|seconds|", std::chrono::seconds(1)},
    {"|min|minute|minutes|", std::chrono::minutes(1)},
    {"|h|hr|hour|hours|", std::chrono::hours(1)},
    {"|d|day|days|", std::chrono::days(1)},
    {"|w|week|weeks|", std::chrono::weeks(1)},
    {"|y|yr|year|years|", std::chrono::days(365)},
};

void ReadTimeLimit(const Json& entry, const std::string& pointer, ContractSla& sla,
                   Findings& findings) {
  const std::string unit = StringOr(entry, "unit", "");
  const double value = NumberOr(entry, "value", -1);
  if (!(value > 0) || value > 1e9)
    findings.Mistake(pointer + "/value", fmt::format("{} needs a number above 0", sla.property),
                     "value: 10");
  const auto known = std::find_if(std::begin(kTimeUnits), std::end(kTimeUnits), [&](const auto& u) {
    return u.names.find(fmt::format("|{}|", unit)) != std::string_view::npos;
  });
  if (unit.empty() || unit.find('|') != std::string::npos || known == std::end(kTimeUnits))
    return findings.Mistake(unit.empty() ? pointer : pointer + "/unit",
                            unit == "m"
                                ? "unit \"m\" is minutes to some and months to others"
                                : fmt::format("\"{}\" is no unit of time", unit.substr(0, 40)),
                            "ms, s, min, h, d, w or y");
  const double seconds = std::clamp(value, 0.0, 1e9) * ToSeconds(known->length);
  sla.limit = FromSeconds(std::min(seconds, 1e11));
}

}  // namespace

std::vector<ContractRule> ReadContractRules(const Json& owner, const std::string& pointer,
                                            Findings& findings) {
  std::vector<ContractRule> rules;
  const auto list = owner.find("quality");
  if (list == owner.end() || !list->is_array()) return rules;
  if (list->size() > kRulesMax) {
    findings.Mistake(pointer + "/quality",
                     fmt::format("{} rules, at most {}", list->size(), kRulesMax));
    return rules;
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string place = fmt::format("{}/quality/{}", pointer, i);
    if (CheckContractTerms((*list)[i], ContractClass::kRule, place, findings))
      rules.push_back(ReadRule((*list)[i], place, findings));
  }
  return rules;
}

// libstdc++'s polynomial matcher walks all ways through the pattern at once: no text makes it slow
// or deep. It knows no back references, as no such matcher does.
Result<std::regex> CompilePattern(const std::string& pattern) {
  if (pattern.size() > kPatternMax)
    return InvalidArgument("a pattern of {} bytes, at most {}", pattern.size(), kPatternMax);
  try {
    (void)std::regex(pattern);  // By itself, too: its brackets must not close ours.
    return std::regex(
        "[\\s\\S]*(?:" + pattern + ")[\\s\\S]*",
        std::regex::ECMAScript | std::regex::nosubs | std::regex_constants::__polynomial);
  } catch (const std::regex_error&) {
    return InvalidArgument("no regular expression: \"{}\"", pattern.substr(0, 80));
  }
}

void ReadContractText(const Json& options, const std::string& pointer, ContractText& text,
                      Findings& findings) {
  static const std::vector<std::string> kKnown = {"minLength", "maxLength", "pattern", "format"};
  for (const auto& [key, value] : options.items()) {
    const std::string place = pointer + "/" + EscapePointer(key);
    if (key == "minLength" || key == "maxLength") {
      if (value.is_number_integer() && value >= 0)
        (key == "minLength" ? text.shortest : text.longest) = value.get<size_t>();
      else
        findings.Mistake(place, fmt::format("\"{}\" is a number of characters", key), "32");
    } else if (key == "pattern" && value.is_string()) {
      text.pattern = value.get<std::string>();
      if (const auto compiled = CompilePattern(text.pattern); !compiled)
        findings.Mistake(place, compiled.error().message,
                         "an ECMA-262 regular expression without back references");
    } else if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end() || key == "pattern") {
      const std::string nearest = Nearest(key, kKnown);
      findings.Mistake(place, fmt::format("unknown key \"{}\" of a text", key.substr(0, 80)),
                       nearest.empty() || nearest == key
                           ? "minLength, maxLength, pattern"
                           : fmt::format("did you mean \"{}\"?", nearest));
    }
  }
  if (text.shortest > text.longest)
    findings.Mistake(pointer, fmt::format("no text is {} to {} long", text.shortest, text.longest),
                     "minLength below maxLength");
}

ContractSla ReadContractSla(const Json& entry, const std::string& pointer, Findings& findings) {
  using Kind = ContractSla::Kind;
  constexpr std::pair<std::string_view, Kind> kKinds[] = {
      {"freshness", Kind::kFreshness}, {"latency", Kind::kLatency},
      {"ly", Kind::kLatency},          {"retention", Kind::kRetention},
      {"re", Kind::kRetention},        {"frequency", Kind::kFrequency},
      {"fy", Kind::kFrequency},        {"completeness", Kind::kCompleteness},
  };
  ContractSla sla;
  sla.pointer = pointer;
  sla.property = StringOr(entry, "property", "");
  if (sla.property.empty() || !entry.contains("value"))
    findings.Mistake(pointer, "a service level has \"property\" and \"value\"",
                     "- {property: freshness, value: 10, unit: min}");
  for (const auto& [name, kind] : kKinds)
    if (name == sla.property) sla.kind = kind;
  if (sla.kind == Kind::kCompleteness) {
    sla.percent = NumberOr(entry, "value", -1);
    if (!(sla.percent >= 0 && sla.percent <= 100))
      findings.Mistake(pointer + "/value", "completeness is a percentage", "0 to 100");
  } else if (sla.kind != Kind::kOther) {
    ReadTimeLimit(entry, pointer, sla, findings);
  }
  const std::string elements = StringOr(entry, "element", "");
  for (size_t begin = 0; begin < elements.size();) {
    const size_t end = std::min(elements.find(',', begin), elements.size());
    std::string element = elements.substr(begin, end - begin);
    std::erase(element, ' ');
    if (const size_t dot = element.find('.'); dot != std::string::npos) element.erase(0, dot + 1);
    if (!element.empty()) sla.elements.push_back(std::move(element));
    begin = end + 1;
  }
  return sla;
}

std::string_view MetricName(Metric metric) {
  for (const auto& [name, value] : kMetrics)
    if (value == metric) return name;
  return metric == Metric::kText ? "text" : metric == Metric::kSql ? "sql" : "custom";
}

std::string OperatorText(const ContractRule& rule) {
  for (const auto& [name, op] : kOperators) {
    if (op != rule.op) continue;
    const std::string limit = op == Operator::kBetween || op == Operator::kNotBetween
                                  ? fmt::format("{}..{}", rule.a, rule.b)
                                  : fmt::format("{}", rule.a);
    return fmt::format("{} {} {}", name, limit, rule.percent ? "percent" : "rows");
  }
  return "";
}

bool ContractRule::PerSample() const {
  if (warning_only) return false;
  const bool per_value = (metric == Metric::kInvalid || metric == Metric::kMissing) &&
                         (!values.empty() || !texts.empty());
  const bool none = a == 0 && (op == Operator::kEqual || op == Operator::kLessOrEqual);
  return per_value && none;
}

bool ContractRule::Measurable() const {
  return metric != Metric::kText && metric != Metric::kSql && metric != Metric::kCustom;
}

bool ContractRule::Holds(double measured) const {
  switch (op) {
    case Operator::kNone:
      return true;
    case Operator::kEqual:
      return measured == a;
    case Operator::kNotEqual:
      return measured != a;
    case Operator::kGreater:
      return measured > a;
    case Operator::kGreaterOrEqual:
      return measured >= a;
    case Operator::kLess:
      return measured < a;
    case Operator::kLessOrEqual:
      return measured <= a;
    case Operator::kBetween:
      return measured >= a && measured <= b;
    case Operator::kNotBetween:
      return measured < a || measured > b;
  }
  return true;
}

}  // namespace penstock::things
