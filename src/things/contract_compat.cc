// Fields are matched by name whatever object they stand in: a point has one place in a contract.
//
// Why these steps. A narrowed range makes values that were good go to quarantine: it breaks the
// producer. A widened one only shows readers what was refused before: minor, and said to be not
// forward compatible. A promise about service that gets weaker breaks who relied on it; a stronger
// one is an addition. A rule that changes is the old one gone and a new one there, because no order
// between two operators is worth guessing.
#include "things/contract_compat.h"

#include <algorithm>
#include <map>

#include "things/reader.h"

namespace penstock::things {
namespace {

using Rules = std::vector<ContractRule>;

std::string RangeText(const ContractRange& range) {
  std::string text = fmt::format("{}{}..{}{}", range.low_open ? "above " : "", range.low,
                                 range.high_open ? "below " : "", range.high);
  if (range.step > 0) text += fmt::format(" in steps of {}", range.step);
  return text;
}

// Whether every value of `inner` is in `outer`; steps are compared only for being the same.
bool Contains(const ContractRange& outer, const ContractRange& inner) {
  const bool low =
      outer.low < inner.low || (outer.low == inner.low && (!outer.low_open || inner.low_open));
  const bool high = outer.high > inner.high ||
                    (outer.high == inner.high && (!outer.high_open || inner.high_open));
  return low && high && (outer.step == 0 || outer.step == inner.step);
}

std::string TypeText(const ContractField& field) {
  return std::string(field.type ? ValueTypeName(*field.type) : "other");
}

class Comparison {
 public:
  ContractDiff Run(const DataContract& old, const DataContract& now) {
    for (const ContractObject& object : now.objects) {
      for (const ContractField& field : object.fields) {
        const ContractField* before = old.FindField(field.name);
        before == nullptr ? Added(field) : Field(*before, field, old, now);
      }
      const auto same = std::find_if(old.objects.begin(), old.objects.end(),
                                     [&](const auto& o) { return o.name == object.name; });
      CompareRules(same == old.objects.end() ? Rules{} : same->rules, object.rules, "");
    }
    for (const ContractObject& object : old.objects)
      for (const ContractField& field : object.fields)
        if (now.FindField(field.name) == nullptr)
          Add(VersionStep::kMajor, true, false, "field_removed", field.name, "is gone",
              field.pointer);
    Sla(old, now);
    if (old.classification != now.classification)
      Add(VersionStep::kMinor, true, true, "classification_changed", "",
          fmt::format("classification {} becomes {}", old.classification, now.classification),
          "/customProperties");
    if (diff_.changes.empty() && Words(old) != Words(now))
      Add(VersionStep::kPatch, true, true, "text_changed", "", "words only", "");
    return std::move(diff_);
  }

 private:
  // The document without its number: what differs when nothing that is enforced does.
  static Json Words(const DataContract& contract) {
    Json words = contract.document;
    words.erase("version");
    return words;
  }

  void Add(VersionStep step, bool backward, bool forward, std::string kind,
           const std::string& field, const std::string& text, std::string pointer) {
    diff_.step = std::max(diff_.step, step);
    diff_.backward = diff_.backward && backward;
    diff_.forward = diff_.forward && forward;
    diff_.changes.push_back({step, backward, forward, std::move(kind), field,
                             field.empty() ? text : field + ": " + text, std::move(pointer)});
  }

  void Added(const ContractField& field) {
    if (field.required)
      Add(VersionStep::kMajor, false, true, "required_field_added", field.name,
          "is new and required", field.pointer);
    else
      Add(VersionStep::kMinor, true, true, "field_added", field.name, "is new", field.pointer);
  }

  void Field(const ContractField& old, const ContractField& now, const DataContract& before,
             const DataContract& after) {
    const auto broken = [&](const char* kind, const std::string& from, const std::string& to,
                            const char* below) {
      if (from == to) return;
      Add(VersionStep::kMajor, false, false, kind, now.name,
          fmt::format("{} becomes {}", from.empty() ? "1" : from, to.empty() ? "1" : to),
          now.pointer + below);
    };
    broken("type_changed", TypeText(old), TypeText(now), "/logicalType");
    broken("unit_changed", old.unit, now.unit, "/customProperties");
    if (old.sample_rate_hz != now.sample_rate_hz)
      broken("sample_rate_changed", fmt::format("{} Hz", old.sample_rate_hz),
             fmt::format("{} Hz", now.sample_rate_hz), "/customProperties");
    Range(old, now);
    if (old.required != now.required)
      Add(VersionStep::kMajor, old.required, now.required,
          now.required ? "made_required" : "made_optional", now.name,
          now.required ? "becomes required" : "is no longer required", now.pointer + "/required");
    const auto word = [](const ContractField& f, const DataContract& of) {
      return f.classification.empty() ? of.classification : f.classification;
    };
    if (word(old, before) != word(now, after))
      Add(VersionStep::kMinor, true, true, "classification_changed", now.name,
          fmt::format("{} becomes {}", word(old, before), word(now, after)),
          now.pointer + "/classification");
    CompareRules(old.rules, now.rules, now.name);
  }

  // A pattern that changed may take what the old one did not, and the other way round.
  void Text(const ContractText& old, const ContractText& now, const ContractField& field) {
    if (old == now) return;
    const auto contains = [](const ContractText& wide, const ContractText& narrow) {
      return wide.shortest <= narrow.shortest && wide.longest >= narrow.longest &&
             (wide.pattern.empty() || wide.pattern == narrow.pattern);
    };
    const bool wider = contains(now, old), narrower = contains(old, now);
    Add(wider ? VersionStep::kMinor : VersionStep::kMajor, wider, narrower,
        wider      ? "texts_widened"
        : narrower ? "texts_narrowed"
                   : "texts_changed",
        field.name, "other texts are allowed", field.pointer + "/logicalTypeOptions");
  }

  void Range(const ContractField& old, const ContractField& now) {
    Text(old.text, now.text, now);
    if (old.range == now.range) return;
    const std::string text =
        fmt::format("{} becomes {}", RangeText(old.range), RangeText(now.range));
    const bool wider = Contains(now.range, old.range), narrower = Contains(old.range, now.range);
    Add(wider ? VersionStep::kMinor : VersionStep::kMajor, wider, narrower,
        wider      ? "range_widened"
        : narrower ? "range_narrowed"
                   : "range_moved",
        now.name, text, now.pointer + "/logicalTypeOptions");
  }

  void CompareRules(const Rules& old, const Rules& now, const std::string& field) {
    const auto text = [](const ContractRule& rule) {
      return fmt::format("{} {} {}{}{}", MetricName(rule.metric), OperatorText(rule),
                         fmt::join(rule.values, ","), fmt::join(rule.texts, ","),
                         rule.warning_only ? " (warning)" : "");
    };
    const auto has = [&](const Rules& rules, const ContractRule& rule) {
      return std::any_of(rules.begin(), rules.end(),
                         [&](const ContractRule& other) { return text(other) == text(rule); });
    };
    for (const ContractRule& rule : now)
      if (!has(old, rule))
        Add(rule.PerSample() ? VersionStep::kMajor : VersionStep::kMinor, !rule.PerSample(), true,
            "rule_added", field, "new rule " + text(rule), rule.pointer);
    for (const ContractRule& rule : old)
      if (!has(now, rule))
        Add(rule.PerSample() ? VersionStep::kMinor : VersionStep::kMajor, true, false,
            "rule_removed", field, "rule gone: " + text(rule), rule.pointer);
  }

  void Sla(const DataContract& old, const DataContract& now) {
    const auto key = [](const ContractSla& sla) {
      return fmt::format("{} {}", sla.property, fmt::join(sla.elements, ","));
    };
    // Larger means a stronger promise.
    const auto strength = [](const ContractSla& sla) {
      if (sla.kind == ContractSla::Kind::kCompleteness) return sla.percent;
      const double seconds = ToSeconds(sla.limit);
      return sla.kind == ContractSla::Kind::kRetention ? seconds : -seconds;
    };
    std::map<std::string, const ContractSla*> before, after;
    for (const ContractSla& sla : old.sla) before[key(sla)] = &sla;
    for (const ContractSla& sla : now.sla) after[key(sla)] = &sla;
    for (const auto& [name, sla] : after) {
      if (sla->kind == ContractSla::Kind::kOther) continue;
      const auto found = before.find(name);
      if (found == before.end())
        Add(VersionStep::kMinor, true, true, "sla_added", "", name + " is promised", sla->pointer);
      else if (strength(*found->second) < strength(*sla))
        Add(VersionStep::kMinor, false, true, "sla_tightened", "", name + " is promised tighter",
            sla->pointer);
      else if (strength(*found->second) > strength(*sla))
        Add(VersionStep::kMajor, true, false, "sla_loosened", "", name + " is promised looser",
            sla->pointer);
    }
    for (const auto& [name, sla] : before)
      if (sla->kind != ContractSla::Kind::kOther && !after.contains(name))
        Add(VersionStep::kMajor, true, false, "sla_removed", "", name + " is no longer promised",
            sla->pointer);
  }

  ContractDiff diff_;
};

}  // namespace

ContractDiff CompareContracts(const DataContract& old, const DataContract& now) {
  return Comparison().Run(old, now);
}

std::string NextVersion(const std::string& old, VersionStep step) {
  Version3 version = ParseVersion3(old).value_or(Version3{});
  if (step == VersionStep::kMajor && version.major > 0)
    version = {version.major + 1, 0, 0};
  else if (step >= VersionStep::kMinor)
    version = {version.major, version.minor + 1, 0};
  else if (step == VersionStep::kPatch)
    ++version.patch;
  return version.ToString();
}

Status CheckVersionStep(const DataContract& old, const DataContract& now,
                        const ContractDiff& diff) {
  const auto from = ParseVersion3(old.version), to = ParseVersion3(now.version);
  if (!from || !to) return InvalidArgument("a version is MAJOR.MINOR.PATCH");
  // Words may change under the same number.
  const bool words = diff.step <= VersionStep::kPatch;
  if (words ? *to >= *from : *to >= *ParseVersion3(NextVersion(old.version, diff.step))) return {};
  std::string message;
  if (*to < *from) {
    message = fmt::format("version {} after {}", now.version, old.version);
  } else {
    message = fmt::format("version {} of {} needs a {} step", now.version, now.id,
                          VersionStepName(diff.step));
    size_t told = 0;
    for (const ContractChange& change : diff.changes)
      if (change.step == diff.step && told++ < 3)
        message += (told == 1 ? ": " : "; ") + change.text;
    if (told > 3) message += fmt::format("; and {} more", told - 3);
  }
  return std::unexpected(Error{
      Code::kFailedPrecondition, std::move(message), now.file, "/version",
      fmt::format("version: {}, or take the change back", NextVersion(old.version, diff.step))});
}

std::string_view VersionStepName(VersionStep step) {
  constexpr std::string_view kNames[] = {"none", "patch", "minor", "major"};
  return kNames[static_cast<size_t>(step)];
}

Json ContractDiffJson(const ContractDiff& diff) {
  Json changes = Json::array();
  for (const ContractChange& change : diff.changes)
    changes.push_back({{"kind", change.kind},
                       {"field", change.field},
                       {"text", change.text},
                       {"pointer", change.pointer},
                       {"step", VersionStepName(change.step)},
                       {"backward_compatible", change.backward},
                       {"forward_compatible", change.forward}});
  return {{"step", VersionStepName(diff.step)},
          {"backward_compatible", diff.backward},
          {"forward_compatible", diff.forward},
          {"changes", std::move(changes)}};
}

}  // namespace penstock::things
