#include <algorithm>
#include <chrono>
#include <thread>

#include "protocols/driver/test_doubles.h"

namespace penstock::protocols {

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void RecordingSink::Write(telemetry::Batch batch, std::function<void(const Status&)> on_durable) {
  {
    const std::lock_guard lock(mutex_);
    ++writes_;
    for (size_t i = 0; i < batch.size(); ++i) {
      rows_.push_back({batch.point[i], batch.source_time[i], batch.ingest_time[i], batch.value[i],
                       batch.quality[i]});
    }
    if (!on_durable) return;
    if (held_) {
      waiting_.push_back(std::move(on_durable));
      return;
    }
  }
  on_durable({});
}

Result<double> RecordingSink::Intern(PointId, std::string_view text) {
  if (text == "refuse") return ResourceExhausted("no room for this text");
  const std::lock_guard lock(mutex_);
  const auto known = std::find(texts_.begin(), texts_.end(), text);
  const auto place = static_cast<size_t>(known - texts_.begin());
  if (place == texts_.size()) texts_.emplace_back(text);
  return static_cast<double>(place + 1);
}

std::vector<std::string> RecordingSink::texts() const {
  const std::lock_guard lock(mutex_);
  return texts_;
}

void RecordingSink::Hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void RecordingSink::Release(const Status& status) {
  std::vector<std::function<void(const Status&)>> waiting;
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
    waiting.swap(waiting_);
  }
  for (const auto& tell : waiting) tell(status);
}

std::vector<RecordingSink::Row> RecordingSink::rows() const {
  const std::lock_guard lock(mutex_);
  return rows_;
}

std::vector<RecordingSink::Row> RecordingSink::rows(PointId point) const {
  auto all = rows();
  std::erase_if(all, [&](const Row& row) { return row.point != point; });
  return all;
}

size_t RecordingSink::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

size_t RecordingSink::writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}

void RecordingQuarantine::Put(telemetry::QuarantineEntry entry) {
  const std::lock_guard lock(mutex_);
  entries_.push_back(std::move(entry));
}

std::vector<telemetry::QuarantineEntry> RecordingQuarantine::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

void RecordingEvents::OnConnected(std::string_view name, std::string_view protocol,
                                  std::string_view address, Time) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(fmt::format("up {} {} {}", name, protocol, address));
}

void RecordingEvents::OnDisconnected(std::string_view name, const Error& why, Time) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(fmt::format("down {} {}", name, why.message));
}

void RecordingEvents::OnSamples(std::string_view name, uint64_t count, Time) {
  const std::lock_guard lock(mutex_);
  samples_[std::string(name)] += count;
}

void RecordingEvents::OnError(std::string_view name, const Error& why, Time) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(fmt::format("error {} {}", name, why.message));
}

void RecordingEvents::OnUndescribed(std::string_view name, std::string_view topic, Time) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(fmt::format("undescribed {} {}", name, topic));
}

std::vector<std::string> RecordingEvents::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

size_t RecordingEvents::Count(std::string_view part) const {
  const auto all = lines();
  return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const std::string& line) {
    return line.find(part) != std::string::npos;
  }));
}

uint64_t RecordingEvents::samples(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = samples_.find(name);
  return found == samples_.end() ? 0 : found->second;
}

things::Property PropertyOf(uint32_t id, std::string thing, std::string name, things::Form form,
                            things::ValueType type) {
  things::Property property;
  property.point.id = PointId{id};
  property.point.thing = std::move(thing);
  property.point.property = std::move(name);
  property.point.type = type;
  property.forms.push_back(std::move(form));
  return property;
}

things::Snapshot SnapshotOf(std::vector<things::Property> properties) {
  things::Snapshot snapshot;
  for (things::Property& property : properties) {
    const std::string& name = property.point.thing;
    auto thing = std::find_if(snapshot.things.begin(), snapshot.things.end(),
                              [&](const things::Thing& each) { return each.name == name; });
    if (thing == snapshot.things.end()) {
      snapshot.things.emplace_back().name = name;
      thing = std::prev(snapshot.things.end());
    }
    thing->properties.push_back(std::move(property));
  }
  return snapshot;
}

}  // namespace penstock::protocols
