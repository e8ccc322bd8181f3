// Order of a step: plan, weather, pump, filler, gearbox, meter. Each sees what those before it did
// in this second and those after it in the last one.
//
// Reports are due at multiples of the interval since the epoch of plant time, half-way for the
// quick ones, so that a run that starts later reports on the same grid. The burst of a waveform
// covers the second that ends with the report.
#include "plant/line.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace penstock::plant {
namespace {

using std::chrono::seconds;

std::vector<std::unique_ptr<Machine>> MakeMachines(const Random& seed, Time start) {
  std::vector<std::unique_ptr<Machine>> machines;
  machines.push_back(MakeWeather(seed.Fork("weather-1"), start));
  machines.push_back(MakePump(seed.Fork("pump-7")));
  machines.push_back(MakeFiller(seed.Fork("filler-1")));
  machines.push_back(MakeGearbox(seed.Fork("gearbox-2")));
  machines.push_back(MakeEnergyMeter(seed.Fork("energy-meter-1")));
  return machines;
}

constexpr std::string_view kBreakable[] = {"pump-7", "gearbox-2", "filler-1"};

}  // namespace

Station::Station(std::unique_ptr<Machine> machine, const Random& seed, const LineOptions& options,
                 bool early, Truth& truth)
    : machine_(std::move(machine)),
      life_(*machine_, seed.Fork("life"), options.rates, options.start, early, truth),
      measured_(machine_->points().size()) {
  for (const PointKind& point : machine_->points())
    instruments_.emplace_back(point, seed.Fork(point.property));
}

void Station::Step(LineState& line) {
  machine_->Step(life_.Advance(line.time), line);
  for (size_t i = 0; i < instruments_.size(); ++i)
    measured_[i] = instruments_[i].Measure(machine_->Value(i), line.time);
}

Line::Line(const LineOptions& options, Truth& truth)
    : report_interval_(options.report_interval),
      rates_(options.rates),
      truth_(truth),
      sensor_faults_(Random(options.seed).Fork("sensor faults")),
      production_(Random(options.seed).Fork("production"), options.start),
      burst_(kBurstSamples) {
  CHECK(report_interval_ >= seconds(2) && report_interval_ % seconds(2) == Duration(0));
  const Random seed(options.seed);
  Random choice = seed.Fork("early fault");
  const std::string_view early = options.rates.early_fault
                                     ? kBreakable[choice.Below(std::size(kBreakable))]
                                     : std::string_view();
  state_.time = std::chrono::floor<seconds>(options.start);
  for (auto& machine : MakeMachines(seed, options.start)) {
    const Random own = seed.Fork(machine->name()).Fork("station");
    const bool worn = machine->name() == early;
    stations_.push_back(std::make_unique<Station>(std::move(machine), own, options, worn, truth));
  }
  next_sensor_fault_ =
      state_.time +
      seconds(std::llround(
          900 + sensor_faults_.Exponential(std::max(0.01, rates_.sensor_fault_hours)) * 3600));
  Step();
  const Machine& filler = Find("filler-1")->machine();
  good_at_start_ = filler.Value(0);
  rejects_at_start_ = filler.Value(1);
  energy_at_start_ = Find("energy-meter-1")->machine().Value(1);
}

Station* Line::Find(std::string_view machine) {
  for (const auto& station : stations_)
    if (station->name() == machine) return station.get();
  return nullptr;
}

void Line::AdvanceTo(Time until, const ReportSink& sink) {
  const Duration half = report_interval_ / 2;
  while (state_.time + seconds(1) <= until) {
    state_.time += seconds(1);
    Step();
    const Duration age = state_.time.time_since_epoch();
    if (age % half == Duration(0)) ReportAll(age % report_interval_ == Duration(0), sink);
  }
}

void Line::Step() {
  production_.Step(state_);
  for (const auto& station : stations_) {
    const bool up = !station->life().down();
    if (station->name() == "pump-7") state_.pump_available = up;
    if (station->name() == "filler-1") state_.filler_available = up;
    if (station->name() == "gearbox-2") state_.gearbox_available = up;
  }
  for (const auto& station : stations_) station->Step(state_);
  StepSensorFaults();
}

void Line::StepSensorFaults() {
  if (rates_.sensor_fault_hours <= 0) return;
  for (size_t i = truth_.sensor_faults.size(); i-- > 0;) {
    SensorFaultEvent& event = truth_.sensor_faults[i];
    if (event.ended_at) break;  // Only the newest can be open: one at a time.
    if (state_.time < event.would_end_at) return;
    RepairSensors(event.machine);
    event.repaired = false;  // By itself: a loose plug, a wet cable.
  }
  if (state_.time >= next_sensor_fault_) BeginSensorFault();
}

void Line::BeginSensorFault() {
  std::vector<std::pair<Station*, Instrument*>> candidates;
  for (const auto& station : stations_)
    for (Instrument& instrument : station->instruments())
      if (instrument.can_lie()) candidates.emplace_back(station.get(), &instrument);
  const auto [station, instrument] = candidates[sensor_faults_.Below(candidates.size())];
  const auto kinds = SensorFaultKinds();
  const SensorFaultKind& kind = kinds[sensor_faults_.Below(kinds.size())];
  const Duration length = seconds(std::llround(sensor_faults_.Uniform(10, 40) * 60));
  next_sensor_fault_ =
      state_.time + length +
      seconds(std::llround(sensor_faults_.Exponential(rates_.sensor_fault_hours) * 3600));
  instrument->BeginFault(kind.fault, state_.time, length);
  SensorFaultEvent event;
  event.machine = station->name();
  event.property = instrument->point().property;
  event.kind = kind.name;
  event.began = state_.time;
  event.would_end_at = state_.time + length;
  truth_.sensor_faults.push_back(event);
  truth_.Write(state_.time, "sensor_fault_start",
               {{"machine", event.machine},
                {"point", event.machine + "/" + event.property},
                {"kind", event.kind}});
}

int Line::RepairSensors(std::string_view machine) {
  Station* station = Find(machine);
  if (station == nullptr) return 0;
  int mended = 0;
  for (Instrument& instrument : station->instruments())
    if (instrument.lying()) {
      instrument.EndFault();
      ++mended;
    }
  for (SensorFaultEvent& event : truth_.sensor_faults)
    if (event.machine == machine && !event.ended_at) {
      event.ended_at = state_.time;
      event.repaired = true;
      truth_.Write(state_.time, "sensor_fault_end",
                   {{"machine", event.machine},
                    {"point", event.machine + "/" + event.property},
                    {"kind", event.kind}});
    }
  return mended;
}

void Line::ReportAll(bool full, const ReportSink& sink) {
  for (const auto& station : stations_) {
    Machine& machine = station->machine();
    const bool waveform = full && !machine.waveform_property().empty();
    if (waveform) machine.Burst(burst_);
    if (!sink || (!full && machine.reports_per_interval() == 1)) continue;
    sink({*station, state_.time, station->measured(),
          waveform ? std::span<const double>(burst_) : std::span<const double>(),
          state_.time - seconds(1)});
  }
  if (full && state_.time.time_since_epoch() % std::chrono::hours(1) == Duration(0))
    truth_.Write(state_.time, "production", Production());
}

Json Line::Production() const {
  double good = 0, rejected = 0, energy = 0;
  for (const auto& station : stations_) {
    if (station->name() == "filler-1") {
      good = station->machine().Value(0) - good_at_start_;
      rejected = station->machine().Value(1) - rejects_at_start_;
    }
    if (station->name() == "energy-meter-1")
      energy = station->machine().Value(1) - energy_at_start_;
  }
  return {{"good", good}, {"rejected", rejected}, {"energy_kwh", std::round(energy * 1000) / 1000}};
}

}  // namespace penstock::plant
