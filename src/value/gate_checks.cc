#include "value/gate_checks.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/number.h"

namespace penstock::value {
namespace {

constexpr double kCompleteness = 95, kBadShare = 2;  // Percent.
constexpr Duration kNewestAge = std::chrono::minutes(15);
constexpr double kPrecisionMin = 0.6;  // Lower end of the interval.
constexpr double kVerdicts = 80;       // Percent of the alarms that are old enough.
constexpr Duration kTimeToAnswer = std::chrono::hours(1);

double Days(Duration duration) { return ToSeconds(duration) / 86'400; }

std::string PointsQuery(const GateContext& context) {
  return context.use.points.empty() ? "/api/v1/points"
                                    : "/api/v1/samples?point=" + context.use.points.front();
}
std::string KpiQuery(const GateContext& context) {
  return "/api/v1/kpis?asset=" + context.use.asset;
}

// The worst of the needed points by `measure`; nothing when one of them has no figure.
struct Worst {
  double value = 0;
  std::string point;
};
template <typename Measure>
std::optional<Worst> WorstOf(const GateContext& context, Check& check, bool larger_is_worse,
                             Measure measure) {
  if (context.use.points.empty()) {
    check.text = "the use case names no points";
    check.fix = "list them in needs: {points: [pump-7/vibration_de]}";
    return std::nullopt;
  }
  std::optional<Worst> worst;
  for (size_t i = 0; i < context.use.points.size(); ++i) {
    const std::string& point = context.use.points[i];
    const auto& coverage = context.coverage[i];
    const std::optional<double> value =
        coverage && coverage->samples > 0 ? measure(*coverage) : std::nullopt;
    if (!value) {
      check.text = coverage ? fmt::format("{} has no samples", point) : coverage.error().message;
      check.fix = "connect the point, see /api/v1/devices";
      return std::nullopt;
    }
    const bool worse = !worst || (larger_is_worse ? *value > worst->value : *value < worst->value);
    if (worse) worst = Worst{*value, point};
  }
  return worst;
}

double Completeness(const PointCoverage& coverage, Time from, Time now) {
  const double step = std::max(60.0, ToSeconds(coverage.report_interval));
  const Time begin = std::max(from, *coverage.first);
  const double expected = std::max(1.0, std::floor(ToSeconds(now - begin) / step));
  return std::min(100.0, 100 * static_cast<double>(coverage.minutes_present) / expected);
}

void Sponsor(const GateContext& c, Check& check) {
  check.query = fmt::format("/api/v1/usecases/{}", c.use.name);
  check.fix = fmt::format(
      "{1} signs on the use case's page; while nobody holds that title: "
      "penstock gate sign {0} --as {1}",
      c.use.name, c.use.sponsor);
  if (!c.signature) {
    check.text = fmt::format("no signature by {}", c.use.sponsor);
  } else if (c.signature->digest != c.use.digest) {
    check.text = fmt::format("signed by {} for an earlier version of the file", c.signature->actor);
  } else {
    check.ok = true;
    check.text = fmt::format("signed by {} as {} on {}", c.signature->actor, c.signature->role,
                             FormatTime(c.signature->at).substr(0, 10));
  }
}

void Kpi(const GateContext& c, Check& check) {
  check.query = KpiQuery(c);
  const auto kpi = c.kpis.ComputeOne(c.use.primary_kpi, c.use.asset);
  if (!kpi) {
    check.text = kpi.error().message;
    check.fix = kpi.error().fix.empty() ? "name the asset in a file of kpis/" : kpi.error().fix;
    return;
  }
  check.value = kpi->value;
  check.ok = kpi->value.has_value();
  check.text =
      check.ok ? fmt::format("{} is {} {}", c.use.primary_kpi, NumberText(*kpi->value), kpi->unit)
               : fmt::format("{}: {}", c.use.primary_kpi, kpi->reason);
  if (!check.ok) check.fix = "collect data until it can be computed";
}

void Target(const GateContext& c, Check& check) {
  check.query = fmt::format("/api/v1/usecases/{}", c.use.name);
  check.fix = "write kpi: {target: \"-30 %\", guard: [\"false_alarms_per_day <= 2\"]}";
  if (c.use.target_change == 0) {
    check.text = "no target for the primary KPI";
    return;
  }
  const bool wanted_up = FindKpiKind(c.use.primary_kpi)->higher_is_better;
  if ((c.use.target_change > 0) != wanted_up) {
    check.text =
        fmt::format("{:+.0f} % would make {} worse", 100 * c.use.target_change, c.use.primary_kpi);
    return;
  }
  check.ok = !c.use.guards.empty();
  check.value = 100 * c.use.target_change;
  check.text = check.ok ? fmt::format("{:+.0f} % with {} guard(s)", 100 * c.use.target_change,
                                      c.use.guards.size())
                        : "a target, but no guard against its side effects";
}

void Baseline(const GateContext& c, Check& check) {
  check.query = PointsQuery(c);
  check.limit = Days(c.use.baseline);
  if (c.use.baseline <= Duration(0)) {
    check.text = "no baseline planned";
    check.fix = "write plan: {baseline: 90d}";
    return;
  }
  const auto shortest =
      WorstOf(c, check, false, [&](const PointCoverage& p) -> std::optional<double> {
        return Days(c.now - std::max(c.from(), *p.first));
      });
  if (!shortest) return;
  const auto complete =
      WorstOf(c, check, false, [&](const PointCoverage& p) -> std::optional<double> {
        return Completeness(p, c.from(), c.now);
      });
  check.value = shortest->value;
  // A sample a little after the beginning is no gap.
  check.ok = shortest->value >= 0.99 * *check.limit;
  check.text = fmt::format("{:.1f} of {:.1f} days, {:.1f} % complete", shortest->value,
                           *check.limit, complete->value);
  check.fix = check.ok ? "" : fmt::format("wait {:.1f} days", *check.limit - shortest->value);
}

void Contract(const GateContext& c, Check& check) {
  check.query = "/api/v1/things";
  if (c.use.points.empty()) {
    check.text = "the use case names no points";
    check.fix = "list them in needs: {points: [pump-7/vibration_de]}";
    return;
  }
  for (size_t i = 0; i < c.use.points.size(); ++i) {
    const auto& coverage = c.coverage[i];
    if (coverage && coverage->known && !coverage->contract.empty()) continue;
    check.text = !coverage          ? coverage.error().message
                 : !coverage->known ? fmt::format("{} is in no Thing Description", c.use.points[i])
                                    : fmt::format("{} has no contract", c.use.points[i]);
    check.fix = "name one in its Thing Description: \"ps:contract\": \"pump@1.2.0\"";
    return;
  }
  check.ok = true;
  check.text = fmt::format("all {} points have a contract", c.use.points.size());
}

void CompletenessCheck(const GateContext& c, Check& check) {
  check.query = PointsQuery(c);
  check.limit = kCompleteness;
  const auto worst = WorstOf(c, check, false, [&](const PointCoverage& p) -> std::optional<double> {
    return Completeness(p, c.from(), c.now);
  });
  if (!worst) return;
  check.value = worst->value;
  check.ok = worst->value >= kCompleteness;
  check.text = fmt::format("{}: completeness {:.1f} % {} {:.0f} %", worst->point, worst->value,
                           check.ok ? ">=" : "<", kCompleteness);
  if (!check.ok) check.fix = fmt::format("look for gaps: /api/v1/points/{}/trend", worst->point);
}

void Timeliness(const GateContext& c, Check& check) {
  check.query = PointsQuery(c);
  check.limit = ToSeconds(kNewestAge);
  const auto worst = WorstOf(c, check, true, [&](const PointCoverage& p) -> std::optional<double> {
    return ToSeconds(c.now - *p.last);
  });
  if (!worst) return;
  check.value = worst->value;
  check.ok = worst->value <= *check.limit;
  check.text = fmt::format("{}: newest sample {:.0f} s old", worst->point, worst->value);
  if (!check.ok) check.fix = "see /api/v1/devices for why it is silent";
}

void BadShare(const GateContext& c, Check& check) {
  check.query = PointsQuery(c);
  check.limit = kBadShare;
  const auto worst = WorstOf(c, check, true, [&](const PointCoverage& p) -> std::optional<double> {
    return 100 * static_cast<double>(p.bad) / static_cast<double>(p.samples);
  });
  if (!worst) return;
  check.value = worst->value;
  check.ok = worst->value <= kBadShare;
  check.text = fmt::format("{}: {:.2f} % bad", worst->point, worst->value);
  if (!check.ok) check.fix = fmt::format("have the sensor of {} looked at", worst->point);
}

void Labels(const GateContext& c, Check& check) {
  check.query = "/api/v1/labels";
  if (c.use.labels == 0) {
    check.text = "the use case does not say how many labels it needs";
    check.fix = "write needs: {labels: 30}";
    return;
  }
  check.limit = static_cast<double>(c.use.labels);
  const auto labels = c.evidence.Labels(c.things);
  if (!labels) {
    check.text = labels.error().message;
    return;
  }
  check.value = static_cast<double>(*labels);
  check.ok = *labels >= c.use.labels;
  check.text = fmt::format("{} of {} labels", *labels, c.use.labels);
  if (!check.ok) check.fix = "answer alarms: every verdict is a label";
}

void Model(const GateContext& c, Check& check) {
  check.query = "/api/v1/models";
  if (c.use.models.empty()) {
    check.text = "the use case names no model";
    check.fix = "write needs: {models: [pump-faults]}";
    return;
  }
  for (const auto& name : c.use.models) {
    const auto model = c.evidence.Model(name);
    if (!model || !*model || (*model)->metrics.empty()) {
      check.text = !model    ? model.error().message
                   : !*model ? fmt::format("no version of {} is in use", name)
                             : fmt::format("{} was trained without metrics", name);
      check.fix = fmt::format("penstock learn train --model {}", name);
      return;
    }
    const auto& [metric, value] = *(*model)->metrics.begin();
    check.value = value;
    check.text = fmt::format("{}@{}: {} {:.3f} on {} rows", name, (*model)->version, metric, value,
                             (*model)->rows);
  }
  check.ok = true;
}

void Precision(const GateContext& c, Check& check) {
  check.query = KpiQuery(c);
  check.limit = kPrecisionMin;
  const auto kpi = c.kpis.ComputeOne("alarm_precision", c.use.asset);
  if (!kpi || !kpi->value) {
    check.text = kpi ? kpi->reason : kpi.error().message;
    check.fix = "answer alarms until enough are judged";
    return;
  }
  check.value = kpi->low;
  check.ok = *kpi->low >= kPrecisionMin;
  check.text = fmt::format("{:.2f} [{:.2f}, {:.2f}] of {} alarms; the lower end counts",
                           *kpi->value, *kpi->low, *kpi->high, kpi->n);
  if (!check.ok) check.fix = "more verdicts narrow the interval; a higher threshold raises it";
}

void Guards(const GateContext& c, Check& check) {
  check.query = KpiQuery(c);
  if (c.use.guards.empty()) {
    check.text = "no guard";
    check.fix = "write kpi: {guard: [\"false_alarms_per_day <= 2\"]}";
    return;
  }
  for (const Guard& guard : c.use.guards) {
    const auto kpi = c.kpis.ComputeOne(guard.kpi, c.use.asset);
    check.limit = guard.limit;
    check.value = kpi ? kpi->value : std::nullopt;
    if (!check.value || !guard.Holds(*check.value)) {
      check.text = check.value
                       ? fmt::format("{}, but it is {}", guard.text, NumberText(*check.value))
                       : fmt::format("{}: {}", guard.kpi, kpi ? kpi->reason : kpi.error().message);
      check.fix = "change the alarm's threshold or delay, or the guard";
      return;
    }
    check.text = fmt::format("{} holds: {}", guard.text, NumberText(*check.value));
  }
  check.ok = true;
}

void Decision(const GateContext& c, Check& check) {
  check.query = fmt::format("/api/v1/usecases/{}", c.use.name);
  check.fix = "write decide: {who: technician, action: plan replacement, lead-time: 5d}";
  check.ok =
      !c.use.decide_who.empty() && !c.use.decide_action.empty() && c.use.lead_time > Duration(0);
  check.text = check.ok ? fmt::format("{}: {}, {} ahead", c.use.decide_who, c.use.decide_action,
                                      FormatDuration(c.use.lead_time))
                        : "who decides, what is done and how long ahead is not all said";
}

void Money(const GateContext& c, Check& check) {
  check.query = KpiQuery(c);
  const auto price = c.use.value.find(c.use.primary_kpi);
  if (price == c.use.value.end() || !(price->second.amount > 0)) {
    check.text = fmt::format("no price for {}", c.use.primary_kpi);
    check.fix = fmt::format("write value: {{{}: 4200 EUR/h}}", c.use.primary_kpi);
    return;
  }
  const auto kpi = c.kpis.ComputeOne(c.use.primary_kpi, c.use.asset);
  if (!kpi || !kpi->value) {
    check.text = fmt::format("{} cannot be computed yet", c.use.primary_kpi);
    check.fix = "collect data until it can";
    return;
  }
  const double worth = std::abs(c.use.target_change) * *kpi->value * price->second.amount;
  check.value = worth;
  check.limit = 0;
  check.ok = worth > 0;
  check.text = fmt::format("{:.0f} {}/month if the target is met ({} {} x {:.0f} % x {})", worth,
                           price->second.currency, NumberText(*kpi->value), kpi->unit,
                           100 * std::abs(c.use.target_change), price->second.text());
  if (!check.ok) check.fix = "there is nothing to be saved; choose another use case";
}

void Controls(const GateContext& c, Check& check) {
  check.query = fmt::format("/api/v1/usecases/{}", c.use.name);
  check.fix = "write plan: {method: difference-in-differences, controls: [pump-5]}";
  if (c.use.method.empty()) {
    check.text = "no method for the effect";
  } else if (c.use.method == "difference-in-differences" && c.use.controls.empty()) {
    check.text = "difference-in-differences without controls";
  } else {
    const bool own = std::ranges::any_of(c.use.controls, [&](const auto& control) {
      return std::ranges::any_of(
          c.use.points, [&](const auto& point) { return point.starts_with(control + "/"); });
    });
    check.ok = !own;
    check.text = own ? "a control is itself under treatment"
                     : fmt::format("{}{}{}", c.use.method, c.use.controls.empty() ? "" : " with ",
                                   fmt::join(c.use.controls, ", "));
  }
}

void Verdicts(const GateContext& c, Check& check) {
  check.query = "/api/v1/alarms?state=open";
  check.limit = kVerdicts;
  const auto alarms = c.facts.Raised(c.things, c.from(), c.now - kTimeToAnswer);
  if (alarms.empty()) {
    check.text = "no alarm yet that had an hour to be answered";
    check.fix = "let the model watch until it speaks";
    return;
  }
  const auto answered =
      std::ranges::count_if(alarms, [](const AlarmFact& fact) { return fact.verdict.has_value(); });
  check.value = 100.0 * static_cast<double>(answered) / static_cast<double>(alarms.size());
  check.ok = *check.value >= kVerdicts;
  check.text = fmt::format("{} of {} alarms answered", answered, alarms.size());
  if (!check.ok) check.fix = "answer the open alarms";
}

constexpr std::array kG1Checks = {
    CheckKind{"1.1", "Sponsor", Sponsor},
    CheckKind{"1.2", "KPI computed", Kpi},
    CheckKind{"1.3", "Target and guards", Target},
    CheckKind{"1.4", "Baseline", Baseline},
    CheckKind{"1.5", "Contracts", Contract},
    CheckKind{"1.6", "Completeness", CompletenessCheck},
    CheckKind{"1.7", "Timeliness", Timeliness},
    CheckKind{"1.8", "Bad samples", BadShare},
    CheckKind{"1.9", "Labels", Labels},
    CheckKind{"1.10", "Model", Model},
    CheckKind{"1.11", "Alarm precision", Precision},
    CheckKind{"1.12", "Guards hold", Guards},
    CheckKind{"1.13", "Decision", Decision},
    CheckKind{"1.14", "Money", Money},
    CheckKind{"1.15", "Controls", Controls},
    CheckKind{"1.16", "Verdicts", Verdicts},
};

}  // namespace

std::span<const CheckKind> G1Checks() { return kG1Checks; }

}  // namespace penstock::value
