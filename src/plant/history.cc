// Modbus points have no report of their own: the node polls them, twice per report interval with
// the default settings, so they are read on that grid. The grid of a live node is shifted by its
// start; nothing depends on that.
#include "plant/history.h"

#include <map>

#include "plant/line.h"

namespace penstock::plant {

void RunHistory(const HistoryRun& run, const std::function<void(const Reading&)>& sink,
                std::vector<FaultEvent>* faults, std::vector<SensorFaultEvent>* sensor_faults,
                std::vector<StopEvent>* stops) {
  Truth truth;
  Line line({run.seed, run.start, run.report_interval, run.rates}, truth);
  std::map<std::string_view, std::vector<std::string>> paths;
  for (const auto& station : line.stations()) {
    auto& own = paths[station->name()];
    for (const PointKind& point : station->machine().points())
      own.push_back(fmt::format("{}/{}", station->name(), point.property));
    own.push_back(fmt::format("{}/{}", station->name(), station->machine().waveform_property()));
  }
  line.AdvanceTo(run.start + FromSeconds(run.hours * 3600), [&](const Report& report) {
    const auto points = report.station.machine().points();
    const auto& own = paths[report.station.name()];
    for (size_t i = 0; i < points.size(); ++i) {
      const Measured& measured = report.values[i];
      const bool outside =
          !(measured.value >= points[i].minimum && measured.value <= points[i].maximum);
      sink({own[i], report.time, measured.value, measured.lost || outside});
    }
    if (!report.waveform.empty())
      sink({own.back(), report.waveform_time, 0, false, report.waveform, kSampleRateHz});
  });
  if (faults != nullptr) *faults = std::move(truth.faults);
  if (sensor_faults != nullptr) *sensor_faults = std::move(truth.sensor_faults);
  if (stops != nullptr) *stops = std::move(truth.stops);
}

}  // namespace penstock::plant
