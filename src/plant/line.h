// The line: five machines, their instruments, the plan and the faults, moved together in steps of
// one plant second. The same seed and the same repairs give the same run, whatever the wall clock
// did.
//
// Thread rule: one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plant/fault.h"
#include "plant/machine.h"
#include "plant/production.h"
#include "plant/sensor.h"
#include "plant/truth.h"

namespace penstock::plant {

struct LineOptions {
  uint64_t seed = 1;
  Time start{};
  Duration report_interval = std::chrono::seconds(120);  // At least 2 s, even.
  FaultRates rates;
};

// A machine with what stands around it.
class Station {
 public:
  Station(std::unique_ptr<Machine> machine, const Random& seed, const LineOptions& options,
          bool early, Truth& truth);

  Machine& machine() { return *machine_; }
  const Machine& machine() const { return *machine_; }
  std::string_view name() const { return machine_->name(); }
  FaultLife& life() { return life_; }
  const FaultLife& life() const { return life_; }
  std::vector<Instrument>& instruments() { return instruments_; }
  // In the order of machine().points().
  std::span<const Measured> measured() const { return measured_; }

  void Step(LineState& line);

 private:
  std::unique_ptr<Machine> machine_;
  FaultLife life_;
  std::vector<Instrument> instruments_;
  std::vector<Measured> measured_;
};

// One report of one station, valid during the call.
struct Report {
  const Station& station;
  Time time;                         // Of the scalar values.
  std::span<const Measured> values;  // As machine().points().
  std::span<const double> waveform;  // Of the plant second before `time`; empty when none is due.
  Time waveform_time;                // Of its first sample.
};
using ReportSink = std::function<void(const Report&)>;

class Line {
 public:
  Line(const LineOptions& options, Truth& truth);

  Time now() const { return state_.time; }
  // Steps to the last whole second at or before `until`; `sink` gets what is due on the way, oldest
  // first.
  void AdvanceTo(Time until, const ReportSink& sink);

  std::span<const std::unique_ptr<Station>> stations() const { return stations_; }
  Station* Find(std::string_view machine);  // nullptr when unknown.
  const LineState& state() const { return state_; }
  // The crew mends the sensors of a machine; returns how many were lying.
  int RepairSensors(std::string_view machine);
  // Counters: {"good", "rejected", "energy_kwh"} since the start of the run.
  Json Production() const;

 private:
  void Step();
  void StepSensorFaults();
  void BeginSensorFault();
  void ReportAll(bool full, const ReportSink& sink);

  Duration report_interval_;
  FaultRates rates_;
  Truth& truth_;
  Random sensor_faults_;
  plant::Production production_;
  LineState state_;
  Time next_sensor_fault_{};
  std::vector<std::unique_ptr<Station>> stations_;
  std::vector<double> burst_;
  double good_at_start_ = 0, rejects_at_start_ = 0, energy_at_start_ = 0;
};

}  // namespace penstock::plant
