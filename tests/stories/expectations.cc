#include <algorithm>
#include <cmath>

#include "tests/stories/steps.h"

namespace penstock::stories {
namespace {

std::unexpected<Error> Differs(const std::string& what, const std::string& found,
                               const std::string& expected) {
  return FailedPrecondition("{} is {}, not {}", what, found, expected);
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Result<std::vector<Json>> AlarmsOf(World& world, const std::string& cause) {
  ASSIGN_OR_RETURN(const Json list, world.Get("/api/v1/alarms?state=all&limit=1000"));
  std::vector<Json> alarms;
  for (const Json& alarm : list["items"])
    if (cause.empty() || alarm["cause"] == cause) alarms.push_back(alarm);
  return alarms;
}

Status ExpectAlarm(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string cause, words.Word("a cause"));
  ASSIGN_OR_RETURN(const Json alarm, NewestAlarm(world, cause));
  ASSIGN_OR_RETURN(const auto thing, words.Option("on", "a thing"));
  if (thing && alarm["thing"] != *thing) return Differs("its thing", alarm["thing"].dump(), *thing);
  std::string state = words.Rest();
  std::replace(state.begin(), state.end(), ' ', '_');
  if (state == "superseded")
    return alarm["superseded_by"].is_string() ? Status{} : Differs("it", alarm.dump(), state);
  if (!state.empty() && alarm["state"] != state)
    return Differs("its state", alarm["state"].dump(), state);
  return {};
}

// "expect alarms 1 bearing_wear": ever raised.
Status ExpectAlarms(World& world, Words& words) {
  ASSIGN_OR_RETURN(const double count, words.Number("how many"));
  ASSIGN_OR_RETURN(const auto alarms, AlarmsOf(world, words.Rest()));
  if (static_cast<double>(alarms.size()) == count) return {};
  std::string found = std::to_string(alarms.size());
  for (const Json& alarm : alarms)
    found += " " + alarm["id"].get<std::string>() + " " + alarm["cause"].get<std::string>();
  return Differs("the number of alarms", found, fmt::format("{}", count));
}

// "expect open alarms 1": those that somebody still has to look at.
Status ExpectOpen(World& world, Words& words) {
  if (!words.Take("alarms")) return InvalidArgument("open what?");
  ASSIGN_OR_RETURN(const double count, words.Number("how many"));
  ASSIGN_OR_RETURN(const Json list, world.Get("/api/v1/alarms?state=open&limit=1000"));
  if (static_cast<double>(list["items"].size()) == count) return {};
  return Differs("the number of open alarms", list["items"].dump(), fmt::format("{}", count));
}

Status ExpectBecause(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string feature, words.Word("a feature"));
  ASSIGN_OR_RETURN(const auto alarms, AlarmsOf(world, ""));
  if (alarms.empty() || alarms[0]["because"].empty())
    return NotFound("no alarm with an explanation");
  const Json& first = alarms[0]["because"][0];
  if (first["feature"] != feature) return Differs("the strongest reason", first.dump(), feature);
  return {};
}

Status ExpectLabel(World& world, Words& words) {
  ASSIGN_OR_RETURN(const Json labels, world.Get("/api/v1/labels"));
  ASSIGN_OR_RETURN(const std::string name, words.Word("a class, or none"));
  if (name == "none")
    return labels["items"].empty() ? Status{}
                                   : Differs("the newest label", labels["items"][0].dump(), "none");
  if (labels["items"].empty()) return NotFound("no label at all");
  const Json& label = labels["items"][0];
  if (label["class"] != name) return Differs("the newest label's class", label.dump(), name);
  if (words.empty()) return {};
  ASSIGN_OR_RETURN(const std::string kind, words.Word("a verdict"));
  ASSIGN_OR_RETURN(const Json verdicts, world.Get("/api/v1/verdicts"));
  for (const Json& verdict : verdicts["items"])
    if (verdict["trace"] == label["trace"])
      return verdict["kind"] == kind ? Status{}
                                     : Differs("its verdict", verdict["kind"].dump(), kind);
  return NotFound("no verdict has the label's trace {}", label["trace"].dump());
}

Status Compare(const std::string& what, const Json& value, Words& words) {
  ASSIGN_OR_RETURN(const std::string comparison, words.Word("=, >=, <= or unknown"));
  if (comparison == "unknown")
    return value.is_null() ? Status{} : Differs(what, value.dump(), comparison);
  ASSIGN_OR_RETURN(const double expected, words.Number("a number"));
  if (!value.is_number()) return Differs(what, value.dump(), std::to_string(expected));
  const double found = value.get<double>();
  const bool holds = comparison == "="
                         ? std::abs(found - expected) < 1e-6 * std::max(1.0, std::abs(expected))
                     : comparison == ">=" ? found >= expected
                                          : comparison == "<=" && found <= expected;
  return holds ? Status{} : Differs(what, value.dump(), fmt::format("{} {}", comparison, expected));
}

Status ExpectKpi(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string name, words.Word("a KPI"));
  ASSIGN_OR_RETURN(const Json kpis, world.Get("/api/v1/kpis"));
  for (const Json& kpi : kpis["items"])
    if (kpi["name"] == name) return Compare(name, kpi["value"], words);
  return NotFound("no KPI {}", name);
}

// "expect gate bearing-wear check 1.9 ok"
Status ExpectGate(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string usecase, words.Word("a use case"));
  if (!words.Take("check")) return InvalidArgument("which check?");
  ASSIGN_OR_RETURN(const std::string id, words.Word("a check's number"));
  ASSIGN_OR_RETURN(const std::string state, words.Word("ok or blocked"));
  ASSIGN_OR_RETURN(const Json gate, world.Get("/api/v1/usecases/" + usecase + "/gates/G1"));
  for (const Json& check : gate["checks"]) {
    if (check["id"] != id) continue;
    if (check["state"] != state) return Differs("check " + id, check.dump(), state);
    const std::string text = words.Rest();
    return Contains(check["text"], text) ? Status{}
                                         : Differs("its text", check["text"].dump(), text);
  }
  return NotFound("no check {} in {}", id, gate["checks"].dump());
}

Result<Json> Chain(World& world) {
  ASSIGN_OR_RETURN(const auto alarms, AlarmsOf(world, ""));
  if (alarms.empty()) return NotFound("no alarm to explain");
  return world.Get("/api/v1/alarms/" + alarms[0]["id"].get<std::string>() + "/explain");
}

Status ExpectStep(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string stage, words.Word("a stage"));
  const std::string text = words.Rest();
  ASSIGN_OR_RETURN(const Json chain, Chain(world));
  for (const Json& step : chain["steps"])
    if (step["stage"] == stage && Contains(step["text"], text)) return {};
  return NotFound("no such step in {}", chain["steps"].dump(1));
}

// "expect explain samples features model ...": these stages in this order, others may stand
// between.
Status ExpectExplain(World& world, Words& words) {
  ASSIGN_OR_RETURN(const Json chain, Chain(world));
  std::string found;
  for (const Json& step : chain["steps"]) {
    found += step["stage"].get<std::string>() + " ";
    words.Take(step["stage"]);
  }
  if (words.empty()) return {};
  return NotFound("no stage \"{}\" where it should be: {}", words.Peek(), found);
}

Status ExpectProof(World& world, Words& words) {
  ASSIGN_OR_RETURN(const Json chain, Chain(world));
  const bool ok = chain["audit"].is_object() && chain["audit"]["proof_ok"] == true;
  if (ok == words.Take("ok")) return {};
  return Differs("the audit proof", chain["audit"].dump(), "ok");
}

// "expect audit alarm.verdict by token:technician [times 1]"
Status ExpectAudit(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string action, words.Word("an action"));
  ASSIGN_OR_RETURN(const auto actor, words.Option("by", "an actor"));
  ASSIGN_OR_RETURN(const Json audit, world.Get("/api/v1/audit?limit=1000"));
  double count = 0;
  for (const Json& entry : audit["items"])
    count += entry["action"] == action && (!actor || entry["actor"] == *actor) ? 1 : 0;
  if (!words.Take("times")) {
    if (count > 0) return {};
    return NotFound("the audit log has no {} by {}", action, actor.value_or("anybody"));
  }
  ASSIGN_OR_RETURN(const double times, words.Number("how often"));
  return count == times ? Status{}
                        : Differs("the count of " + action, fmt::format("{}", count),
                                  fmt::format("{}", times));
}

// "expect point pump-7/temperature 70 Good"
Status ExpectPoint(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string path, words.Word("a point"));
  ASSIGN_OR_RETURN(const double value, words.Number("a value"));
  ASSIGN_OR_RETURN(const std::string quality, words.Word("a quality"));
  ASSIGN_OR_RETURN(const Json points, world.Get("/api/v1/points"));
  for (const Json& point : points["items"]) {
    if (point["path"] != path) continue;
    if (point["value"] == value && point["quality"] == quality) return {};
    return Differs(path, point["value"].dump() + " " + point["quality"].dump(),
                   fmt::format("{} {}", value, quality));
  }
  return NotFound("no point {}", path);
}

// "expect samples pump-7/temperature 12 [bad 3]": of the last day.
Status ExpectSamples(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string path, words.Word("a point"));
  ASSIGN_OR_RETURN(const double count, words.Number("how many"));
  const Time now = world.clock().Now();
  ASSIGN_OR_RETURN(const Json rows,
                   world.Get(fmt::format("/api/v1/samples?point={}&limit=100000&from={}&to={}",
                                         path, FormatTime(now - std::chrono::hours(24)),
                                         FormatTime(now + std::chrono::hours(1)))));
  const auto bad = std::count_if(rows["items"].begin(), rows["items"].end(), [](const Json& row) {
    return row["quality"].get<std::string>().starts_with("Bad");
  });
  const std::string found = fmt::format("{} bad {}", rows["items"].size(), bad);
  if (static_cast<double>(rows["items"].size()) != count)
    return Differs("the number of samples", found, fmt::format("{}", count));
  if (words.Take("bad")) {
    ASSIGN_OR_RETURN(const double expected, words.Number("how many"));
    if (static_cast<double>(bad) != expected)
      return Differs("the number of samples", found, fmt::format("bad {}", expected));
  }
  return {};
}

// "expect quarantine type 1 [\"text\"]"
Status ExpectQuarantine(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string rule, words.Word("a rule"));
  ASSIGN_OR_RETURN(const double count, words.Number("how many"));
  const std::string text = words.Rest();
  ASSIGN_OR_RETURN(const Json list, world.Get("/api/v1/quarantine?limit=1000"));
  double found = 0;
  for (const Json& item : list["items"])
    if (item["rule"] == rule && (Contains(item["message"], text) || Contains(item["value"], text)))
      ++found;
  return found == count ? Status{}
                        : Differs("the quarantine", list["items"].dump(1),
                                  fmt::format("{} of {}", count, rule));
}

Status ExpectAnswer(World& world, Words& words) {
  ASSIGN_OR_RETURN(const double status, words.Number("an HTTP status"));
  const std::string text = words.Rest();
  const auto& answer = world.last_answer;
  if (answer.status == static_cast<int>(status) && Contains(answer.text, text)) return {};
  return Differs("the answer", fmt::format("{} {}", answer.status, answer.text),
                 fmt::format("{} {}", status, text));
}

Status ExpectLog(World& world, Words& words) {
  const std::string text = words.Rest();
  if (Contains(world.Log(), text)) return {};
  return NotFound("the log does not say \"{}\"", text);
}

// "expect thing pump-7 title \"Pump 7\""
Status ExpectThing(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string name, words.Word("a thing"));
  if (!words.Take("title")) return InvalidArgument("which title?");
  const std::string title = words.Rest();
  ASSIGN_OR_RETURN(const Json thing, world.Get("/api/v1/things/" + name));
  return thing["title"] == title ? Status{} : Differs("its title", thing["title"].dump(), title);
}

// "expect model bearing 3", or "expect model bearing none"
Status ExpectModel(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string name, words.Word("a model"));
  ASSIGN_OR_RETURN(const std::string version, words.Word("a version or none"));
  ASSIGN_OR_RETURN(const Json models, world.Get("/api/v1/models"));
  for (const Json& model : models["items"])
    if (model["name"] == name)
      return model["version"].dump() == version ? Status{} : Differs(name, model.dump(), version);
  return version == "none" ? Status{} : Differs(name, "not in use", version);
}

// "expect ledger stored >= 10", "expect ledger gap = 0"
Status ExpectLedger(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string column, words.Word("a column"));
  ASSIGN_OR_RETURN(const Json ledger, world.Get("/api/v1/ledger"));
  return Compare(column, ledger.value(column, Json()), words);
}

constexpr StepKind kExpectations[] = {
    {"alarm", "expect alarm CAUSE [on THING] [STATE]", ExpectAlarm},
    {"alarms", "expect alarms NUMBER [CAUSE]", ExpectAlarms},
    {"open", "expect open alarms NUMBER", ExpectOpen},
    {"because", "expect because FEATURE", ExpectBecause},
    {"label", "expect label CLASS|none [VERDICT]", ExpectLabel},
    {"kpi", "expect kpi NAME = NUMBER", ExpectKpi},
    {"gate", "expect gate USECASE check ID ok|blocked [\"text\"]", ExpectGate},
    {"step", "expect step STAGE [\"text\"]", ExpectStep},
    {"explain", "expect explain STAGE...", ExpectExplain},
    {"proof", "expect proof ok", ExpectProof},
    {"audit", "expect audit ACTION [by ACTOR] [times NUMBER]", ExpectAudit},
    {"point", "expect point PATH VALUE QUALITY", ExpectPoint},
    {"samples", "expect samples PATH NUMBER [bad NUMBER]", ExpectSamples},
    {"quarantine", "expect quarantine RULE NUMBER [\"text\"]", ExpectQuarantine},
    {"answer", "expect answer STATUS [\"text\"]", ExpectAnswer},
    {"log", "expect log \"text\"", ExpectLog},
    {"thing", "expect thing NAME title \"text\"", ExpectThing},
    {"model", "expect model NAME VERSION|none", ExpectModel},
    {"ledger", "expect ledger COLUMN = NUMBER", ExpectLedger},
};

}  // namespace

std::span<const StepKind> Expectations() { return kExpectations; }

Result<Json> NewestAlarm(World& world, const std::string& cause) {
  ASSIGN_OR_RETURN(const auto alarms, AlarmsOf(world, cause));
  if (!alarms.empty()) return alarms[0];
  ASSIGN_OR_RETURN(const auto all, AlarmsOf(world, ""));
  std::string there;
  for (const Json& alarm : all) there += " " + alarm["cause"].get<std::string>();
  return NotFound("no alarm {}; there are:{}", cause, there.empty() ? " none" : there);
}

}  // namespace penstock::stories
