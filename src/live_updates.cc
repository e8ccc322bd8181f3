#include "live_updates.h"

#include <chrono>

#include "api/routes.h"

namespace penstock {
namespace {
constexpr auto kTick = std::chrono::milliseconds(500);
}  // namespace

LiveUpdates::LiveUpdates(const api::Services& services)
    : services_(services), thread_([this](const std::stop_token& stop) { Run(stop); }) {}

LiveUpdates::~LiveUpdates() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void LiveUpdates::SendValues(uint64_t& revision) {
  const auto changed = services_.live.ChangedSince(revision);
  if (changed.empty()) return;
  const auto snapshot = services_.directory.snapshot();
  Json values = Json::object();
  for (const auto& live : changed) {
    const things::Point* point = snapshot->FindPoint(live.point);
    // Every console hears the same: a personal value goes to none of them.
    if (point == nullptr || (services_.withholds && services_.withholds({}, *point))) continue;
    values[point->path()] = {api::ValueJson(services_, point->type, live.value),
                             telemetry::QualityName(live.quality), ToMicros(live.time) / 1000};
  }
  services_.events.Publish(
      "values", {{"time", FormatTime(services_.clock.Now())}, {"values", std::move(values)}},
      false);
}

void LiveUpdates::Run(const std::stop_token& stop) {
  uint64_t revision = 0;
  Json devices;
  for (int tick = 0; !stop.stop_requested(); ++tick) {
    std::this_thread::sleep_for(kTick);
    if (services_.events.clients() == 0) continue;
    SendValues(revision);
    if (tick % 2 != 0) continue;
    services_.events.Publish("overview", api::OverviewJson(services_), false);
    if (Json now = services_.devices.ToJson(); now != devices) {
      services_.events.Publish("device", {{"items", now}}, false);
      devices = std::move(now);
    }
  }
}

}  // namespace penstock
