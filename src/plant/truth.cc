// Lines are flushed one by one: the log is read by people while the plant runs, and it is short (a
// few events an hour). In memory the oldest half is dropped at the bound; the events themselves
// (faults, sensor faults, stops) are kept, they are what the summary is made of: some thousands in
// a year of plant time.
#include "plant/truth.h"

#include <cerrno>
#include <cmath>

#include "base/log.h"

namespace penstock::plant {
namespace {

Json TimeOrNull(const std::optional<Time>& time) {
  return time ? Json(FormatTime(*time)) : Json(nullptr);
}

}  // namespace

double FaultEvent::DamageAt(Time time) const {
  if (!ActiveAt(time)) return 0;
  const double life = ToSeconds(would_fail_at - onset), age = ToSeconds(time - onset);
  return std::min(1.0, degree_at_onset + (1 - degree_at_onset) * age / life);
}

double FaultEvent::SeverityAt(Time time) const { return std::pow(DamageAt(time), growth); }

bool FaultEvent::ActiveAt(Time time) const {
  return time >= onset && (!repair_began || time < *repair_began);
}

std::string_view FaultEvent::outcome() const {
  return failed_at ? "failed" : repair_began ? "prevented" : "ongoing";
}

bool SensorFaultEvent::ActiveAt(Time time) const {
  return time >= began && time < ended_at.value_or(would_end_at);
}

Result<std::unique_ptr<Truth>> Truth::Open(const std::string& path) {
  auto truth = std::make_unique<Truth>();
  if (!path.empty()) {
    truth->file_ = std::fopen(path.c_str(), "ae");
    if (truth->file_ == nullptr) return FromErrno(errno, fmt::format("truth log {}", path));
  }
  return truth;
}

Truth::~Truth() {
  if (file_ != nullptr) std::fclose(file_);
}

Inspection Truth::Inspect(std::string_view machine, Time raised, Time now) const {
  using std::chrono::minutes;
  Inspection found;
  for (const FaultEvent& fault : faults) {
    if (fault.machine != machine || fault.onset > now) continue;
    if (fault.repair_began.value_or(now + Duration(1)) > raised) found.fault = fault.kind;
    found.fault_now |= !fault.repair_began;
  }
  for (const SensorFaultEvent& fault : sensor_faults)
    if (fault.machine == machine && fault.began <= now &&
        fault.ended_at.value_or(now) >= raised - minutes(20))
      found.sensor_fault = fault.kind;
  for (const StopEvent& stop : stops)
    if (stop.machine == machine && stop.began <= now && stop.ends_at > raised - minutes(25))
      found.stopped = true;
  return found;
}

void Truth::Write(Time time, std::string_view event, Json fields) {
  fields["time"] = FormatTime(time);
  fields["event"] = event;
  if (lines_.size() >= kLinesMax) lines_.erase(lines_.begin(), lines_.begin() + kLinesMax / 2);
  lines_.push_back(fields.dump());
  if (file_ == nullptr) return;
  if (std::fprintf(file_, "%s\n", lines_.back().c_str()) < 0 || std::fflush(file_) != 0)
    LogSometimes(LogLevel::kWarn, "truth",
                 fmt::format("plant: truth log not written, errno {}", errno));
}

Json Truth::ToJson() const {
  Json all = {
      {"faults", Json::array()}, {"sensor_faults", Json::array()}, {"stops", Json::array()}};
  for (const FaultEvent& fault : faults)
    all["faults"].push_back({{"machine", fault.machine},
                             {"kind", fault.kind},
                             {"onset", FormatTime(fault.onset)},
                             {"would_fail_at", FormatTime(fault.would_fail_at)},
                             {"failed_at", TimeOrNull(fault.failed_at)},
                             {"repair_began", TimeOrNull(fault.repair_began)},
                             {"repaired_at", TimeOrNull(fault.repaired_at)},
                             {"outcome", fault.outcome()}});
  for (const SensorFaultEvent& fault : sensor_faults)
    all["sensor_faults"].push_back({{"machine", fault.machine},
                                    {"point", fault.machine + "/" + fault.property},
                                    {"kind", fault.kind},
                                    {"began", FormatTime(fault.began)},
                                    {"ended", TimeOrNull(fault.ended_at)},
                                    {"repaired", fault.repaired}});
  for (const StopEvent& stop : stops)
    all["stops"].push_back({{"machine", stop.machine},
                            {"reason", stop.reason},
                            {"began", FormatTime(stop.began)},
                            {"ends_at", FormatTime(stop.ends_at)}});
  return all;
}

}  // namespace penstock::plant
