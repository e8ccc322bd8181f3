// Training data without sockets: the same machines, instruments and reports as `penstock plant`, as
// fast as they compute, with nobody to answer: faults run into failure or are repaired at a random
// degree.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "plant/fault.h"
#include "plant/truth.h"

namespace penstock::plant {

struct Reading {
  const std::string& path;  // "pump-7/flow"
  Time time;                // Waveform: of its first sample.
  double value = 0;         // As a client sees it after scaling; waveform: 0.
  // What a status or the range rule of the Thing Description refuses. Stuck, offset, drift are for
  // the reader to find.
  bool bad = false;
  std::span<const double> waveform = {};  // Valid during the call.
  double sample_rate_hz = 0;
};

struct HistoryRun {
  uint64_t seed = 1;
  Time start{};
  double hours = 8;
  Duration report_interval = std::chrono::seconds(96);
  FaultRates rates = {.early_fault = false, .repair_chance = 0.6};
};

// Readings come in order of time per machine. `faults` and `sensor_faults` (may be null) get what
// was really wrong.
void RunHistory(const HistoryRun& run, const std::function<void(const Reading&)>& sink,
                std::vector<FaultEvent>* faults,
                std::vector<SensorFaultEvent>* sensor_faults = nullptr,
                std::vector<StopEvent>* stops = nullptr);

}  // namespace penstock::plant
