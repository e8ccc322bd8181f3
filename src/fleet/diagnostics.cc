#include "fleet/diagnostics.h"

#include <set>

#include "things/form.h"

namespace penstock::fleet {
namespace {

struct Counts {
  size_t connected = 0, retrying = 0, never = 0;
  uint64_t samples = 0, errors = 0;
};

Json FindingOf(const DeviceStatus& device, std::string_view kind, std::string text,
               std::string_view fix) {
  return {{"device", device.name},
          {"kind", kind},
          {"text", std::move(text)},
          {"fix", fix},
          {"since",
           device.state == DeviceState::kNever ? Json(nullptr) : Json(FormatTime(device.since))}};
}

// A client without a description of its own: what it carries for described things is judged there,
// and one that only listens does no harm.
Json JudgeClient(const DeviceStatus& device) {
  if (!device.undescribed_topic.empty())
    return FindingOf(device, "undescribed",
                     fmt::format("{} publishes on {}, which no thing describes: nothing is kept",
                                 device.name, device.undescribed_topic),
                     "write the Thing Description, or revoke the client");
  if (device.samples == 0) return nullptr;
  return FindingOf(device, "undescribed",
                   fmt::format("{} speaks, but no thing is described under its name", device.name),
                   "write its Thing Description, or revoke it");
}

// At most one finding a device: the first of these that holds is the cause of the others.
Json Judge(const DeviceStatus& device, bool described, Time now,
           const DiagnosticsOptions& options) {
  if (!described) return JudgeClient(device);
  if (device.state == DeviceState::kRetrying)
    return FindingOf(device, "unreachable",
                     fmt::format("{} {} does not answer: {}", device.protocol, device.address,
                                 device.last_error),
                     "check power, cable, address and port; the node goes on trying");
  if (device.state == DeviceState::kNever)
    return FindingOf(
        device, "never_seen",
        device.last_error.empty()
            ? fmt::format("{} {} was never heard of", device.protocol, device.address)
            : device.last_error,
        "check the address in its Thing Description; an MQTT device must publish on its topic");
  if (device.last_seen && now - *device.last_seen > options.silent_after)
    return FindingOf(
        device, "silent",
        fmt::format(
            "connected, but no sample for {}",
            FormatDuration(std::chrono::floor<std::chrono::seconds>(now - *device.last_seen))),
        "check whether the machine is off or its report mode holds values back");
  const double all = static_cast<double>(device.errors + device.samples);
  if (device.errors >= 10 && static_cast<double>(device.errors) > options.error_share * all)
    return FindingOf(
        device, "errors",
        fmt::format("{} errors beside {} samples, the last: {}", device.errors, device.samples,
                    device.last_error),
        "penstock check explains the description; the quarantine holds what was refused");
  return nullptr;
}

}  // namespace

Json Diagnose(const DeviceRegistry& registry, const things::Snapshot& snapshot, Time now,
              const DiagnosticsOptions& options) {
  Counts counts;
  Json findings = Json::array();
  for (const DeviceStatus& device : registry.List()) {
    counts.connected += device.state == DeviceState::kConnected ? 1 : 0;
    counts.retrying += device.state == DeviceState::kRetrying ? 1 : 0;
    counts.never += device.state == DeviceState::kNever ? 1 : 0;
    counts.samples += device.samples;
    counts.errors += device.errors;
    Json finding = Judge(device, snapshot.FindThing(device.name) != nullptr, now, options);
    if (!finding.is_null()) findings.push_back(std::move(finding));
  }
  return {
      {"time", FormatTime(now)},
      {"devices",
       {{"connected", counts.connected}, {"retrying", counts.retrying}, {"never", counts.never}}},
      {"samples", counts.samples},
      {"errors", counts.errors},
      {"healthy", findings.empty()},
      {"findings", std::move(findings)},
      {"items", registry.ToJson()}};
}

}  // namespace penstock::fleet
