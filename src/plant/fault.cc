// Healthy time is exponential with a floor, the kind of fault uniform, the life uniform within the
// kind's bounds. Every draw for a fault is made at its onset and in one order, whatever a crew does
// later, so that the same seed and the same repairs give the same run.
//
// The early fault of a run starts at 35 % of a short life: with the time-lapse of the demo it is
// plain to see within half a minute, and still ends in a failure when nobody looks.
#include "plant/fault.h"

#include <algorithm>
#include <cmath>

namespace penstock::plant {
namespace {

using std::chrono::seconds;

Duration Hours(double hours) {
  return std::chrono::duration_cast<Duration>(seconds(std::llround(hours * 3600)));
}
Duration Minutes(double minutes) { return Hours(minutes / 60); }

}  // namespace

FaultLife::FaultLife(Machine& machine, const Random& seed, const FaultRates& rates, Time start,
                     bool early, Truth& truth)
    : machine_(machine), random_(seed), rates_(rates), truth_(truth), early_(early) {
  PlanNext(start);
  if (early_) next_onset_ = start + Minutes(random_.Uniform(2, 6));
}

void FaultLife::PlanNext(Time from) {
  const double healthy = random_.Exponential(std::max(rates_.healthy_hours, 1e-9));
  next_onset_ = from + Hours(std::max(healthy, rates_.healthy_hours_min));
}

const FaultEvent* FaultLife::current() const {
  return fault_ >= 0 ? &truth_.faults[event_] : nullptr;
}

Condition FaultLife::Advance(Time now) {
  if (machine_.faults().empty()) return {};
  if (repair_ends_ && now >= *repair_ends_) EndRepair(now);
  if (!repair_ends_ && repair_at_ && now >= *repair_at_) {
    repair_at_.reset();
    BeginRepair(now, planned_length_, "repair");
  }
  if (fault_ < 0 && !repair_ends_ && rates_.healthy_hours > 0 && now >= next_onset_) Begin(now);
  if (fault_ >= 0 && !failed_ && now >= truth_.faults[event_].would_fail_at) Fail(now);
  Condition condition;
  condition.available = !down();
  if (fault_ >= 0) {
    condition.fault = fault_;
    condition.severity = truth_.faults[event_].SeverityAt(now);
  }
  return condition;
}

void FaultLife::Begin(Time now) {
  fault_ = static_cast<int>(random_.Below(machine_.faults().size()));
  const FaultKind& kind = machine_.faults()[static_cast<size_t>(fault_)];
  double life = random_.Uniform(kind.life_hours_min, kind.life_hours_max);
  FaultEvent event;
  if (early_) {
    event.degree_at_onset = 0.35;
    life = random_.Uniform(1.6, 2.2);
    early_ = false;
  }
  event.machine = machine_.name();
  event.kind = kind.name;
  event.growth = kind.growth;
  event.onset = now;
  event.would_fail_at = now + Hours(life * (1 - event.degree_at_onset));
  planned_length_ = Minutes(random_.Uniform(20, 60));
  breakdown_length_ = Minutes(random_.Uniform(60, 120));
  const double degree = random_.Uniform(0.4, 0.98);
  if (random_.Chance(rates_.repair_chance)) {
    const double from = event.degree_at_onset;
    repair_at_ = now + Hours(life * std::max(0.05, std::max(degree, from + 0.1) - from));
  }
  event_ = truth_.faults.size();
  truth_.faults.push_back(event);
  machine_.FaultBegins(fault_);
  truth_.Write(now, "fault_onset",
               {{"machine", event.machine},
                {"kind", event.kind},
                {"would_fail_at", FormatTime(event.would_fail_at)},
                {"degree", event.degree_at_onset}});
}

void FaultLife::Fail(Time now) {
  FaultEvent& event = truth_.faults[event_];
  event.failed_at = now;
  failed_ = true;
  repair_at_ = now + Minutes(random_.Uniform(10, 20));  // Until the crew is there with parts.
  truth_.Write(now, "failure", {{"machine", event.machine}, {"kind", event.kind}});
}

void FaultLife::BeginRepair(Time now, Duration length, std::string_view reason) {
  if (repair_ends_) return;
  if (failed_) reason = "breakdown";
  repair_ends_ = now + (failed_ ? std::max(length, breakdown_length_) : length);
  repair_at_.reset();
  mends_fault_ = fault_ >= 0;
  Json fields = {
      {"machine", machine_.name()}, {"reason", reason}, {"ends_at", FormatTime(*repair_ends_)}};
  if (mends_fault_) {
    truth_.faults[event_].repair_began = now;
    fields["kind"] = truth_.faults[event_].kind;
  }
  truth_.stops.push_back({std::string(machine_.name()), std::string(reason), now, *repair_ends_});
  truth_.Write(now, "repair_start", std::move(fields));
  fault_ = -1;
}

void FaultLife::EndRepair(Time now) {
  repair_ends_.reset();
  failed_ = false;
  Json fields = {{"machine", machine_.name()}};
  if (mends_fault_) {
    truth_.faults[event_].repaired_at = now;
    fields["kind"] = truth_.faults[event_].kind;
    machine_.Repaired();
    PlanNext(now);
  }
  mends_fault_ = false;
  truth_.Write(now, "repair_end", std::move(fields));
}

}  // namespace penstock::plant
