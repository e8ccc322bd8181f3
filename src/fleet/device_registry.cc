#include "fleet/device_registry.h"

#include "base/log.h"
#include "base/metrics.h"
#include "things/form.h"

namespace penstock::fleet {
namespace {

constexpr size_t kChangesWaitingMax =
    10'000;  // Beyond, the oldest is dropped: the present state is what counts.
constexpr size_t kErrorBytesMax = 500;

}  // namespace

std::string_view DeviceStateName(DeviceState state) {
  switch (state) {
    case DeviceState::kNever:
      return "never";
    case DeviceState::kConnected:
      return "connected";
    case DeviceState::kRetrying:
      return "retrying";
  }
  return "never";
}

Result<std::unique_ptr<DeviceRegistry>> DeviceRegistry::Open(storage::Records& records) {
  TRY(records.Migrate("fleet",
                      {{1,
                        "CREATE TABLE device_changes(seq INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                        " at INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL);"
                        "CREATE INDEX device_changes_by_name ON device_changes(name, seq);"}}));
  return std::unique_ptr<DeviceRegistry>(new DeviceRegistry(records));
}

DeviceRegistry::~DeviceRegistry() {
  if (const auto flushed = Flush(); !flushed)
    LogWarn("device changes not stored: {}", flushed.error().ToString());
}

DeviceStatus* DeviceRegistry::Find(std::string_view name) {
  if (const auto found = devices_.find(name); found != devices_.end()) return &found->second;
  if (devices_.size() >= kDevicesMax) {
    Counter("penstock_devices_refused_total", "Devices beyond the registry's bound").Add();
    return nullptr;
  }
  DeviceStatus& device = devices_[std::string(name)];
  device.name = name;
  return &device;
}

void DeviceRegistry::Enter(DeviceStatus& device, DeviceState state, Time at,
                           const std::string& reason) {
  if (device.state == state) return;
  if (state == DeviceState::kConnected && device.state == DeviceState::kRetrying &&
      device.last_seen)
    ++device.restarts;
  device.state = state;
  device.since = at;
  if (changes_.size() >= kChangesWaitingMax) changes_.pop_front();
  changes_.push_back({device.name, at, state, reason});
}

void DeviceRegistry::Expect(const things::Snapshot& snapshot, Time at) {
  const std::lock_guard lock(mutex_);
  std::erase_if(devices_, [&](const auto& entry) {
    const DeviceStatus& device = entry.second;
    return device.state == DeviceState::kNever && device.errors == 0 &&
           snapshot.FindThing(entry.first) == nullptr;
  });
  for (auto& [name, device] : devices_) device.undescribed_topic.clear();  // Until it comes again.
  for (const things::Thing& thing : snapshot.things) {
    const things::Form* form = nullptr;
    for (const things::Property& property : thing.properties)
      if (form == nullptr && property.source() != nullptr &&
          property.source()->protocol != things::Protocol::kNone)
        form = property.source();
    if (form == nullptr) continue;
    DeviceStatus* device = Find(thing.name);
    if (device == nullptr || device->state != DeviceState::kNever) continue;
    device->protocol = things::ProtocolName(form->protocol);
    device->address = things::EndpointOf(*form);
    if (device->since == Time()) device->since = at;
  }
}

void DeviceRegistry::OnConnected(std::string_view name, std::string_view protocol,
                                 std::string_view address, Time at) {
  const std::lock_guard lock(mutex_);
  DeviceStatus* device = Find(name);
  if (device == nullptr) return;
  device->protocol = protocol;
  device->address = address;
  device->undescribed_topic.clear();  // By now it may be described.
  Enter(*device, DeviceState::kConnected, at, "");
  device->last_seen = at;
}

void DeviceRegistry::OnDisconnected(std::string_view name, const Error& why, Time at) {
  const std::lock_guard lock(mutex_);
  DeviceStatus* device = Find(name);
  if (device == nullptr) return;
  device->last_error = why.message.substr(0, kErrorBytesMax);
  ++device->errors;
  Enter(*device, DeviceState::kRetrying, at, device->last_error);
}

void DeviceRegistry::OnSamples(std::string_view name, uint64_t count, Time at) {
  const std::lock_guard lock(mutex_);
  DeviceStatus* device = Find(name);
  if (device == nullptr) return;
  device->samples += count;
  device->last_seen = at;
}

void DeviceRegistry::OnError(std::string_view name, const Error& why, Time) {
  const std::lock_guard lock(mutex_);
  DeviceStatus* device = Find(name);
  if (device == nullptr) return;
  ++device->errors;
  device->last_error = why.message.substr(0, kErrorBytesMax);
}

void DeviceRegistry::OnUndescribed(std::string_view name, std::string_view topic, Time) {
  const std::lock_guard lock(mutex_);
  if (DeviceStatus* device = Find(name))
    device->undescribed_topic = topic.substr(0, kErrorBytesMax);
}

std::vector<DeviceStatus> DeviceRegistry::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<DeviceStatus> list;
  for (const auto& [name, device] : devices_) list.push_back(device);
  return list;
}

Result<DeviceStatus> DeviceRegistry::Get(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = devices_.find(name);
  if (found == devices_.end()) return NotFound("device unknown: {}", name.substr(0, 100));
  return found->second;
}

Json DeviceRegistry::ToJson() const {
  Json items = Json::array();
  const auto devices = List();
  std::map<std::string, Json> carried;  // By the client id that stands in their address.
  for (const DeviceStatus& device : devices)
    if (const size_t end = device.address.find(" ("); end != std::string::npos)
      carried.try_emplace(device.address.substr(0, end), Json::array())
          .first->second.push_back(device.name);
  for (const DeviceStatus& device : devices)
    items.push_back(
        {{"name", device.name},
         {"protocol", device.protocol},
         {"address", device.address},
         {"state", DeviceStateName(device.state)},
         {"since", FormatTime(device.since)},
         {"last_seen", device.last_seen ? Json(FormatTime(*device.last_seen)) : Json(nullptr)},
         {"samples", device.samples},
         {"errors", device.errors},
         {"last_error", device.last_error},
         {"restarts", device.restarts},
         {"carries", carried.contains(device.name) ? carried[device.name] : Json::array()}});
  return items;
}

Result<Json> DeviceRegistry::Changes(const std::string& name) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query(
          "SELECT at, state, reason FROM device_changes WHERE name=? ORDER BY seq DESC LIMIT ?",
          {name, kChangesKept}));
  Json items = Json::array();
  for (const auto& row : rows)
    items.push_back({{"at", FormatTime(FromMicros(row.Integer(0)))},
                     {"state", row.Text(1)},
                     {"reason", row.Text(2)}});
  return items;
}

Status DeviceRegistry::Flush() {
  std::deque<Change> changes;
  {
    const std::lock_guard lock(mutex_);
    changes.swap(changes_);
  }
  if (changes.empty()) return {};
  const Status written = records_.Transaction([&]() -> Status {
    for (const Change& change : changes) {
      TRY(records_.Run("INSERT INTO device_changes(name, at, state, reason) VALUES(?,?,?,?)",
                       {change.name, ToMicros(change.at),
                        std::string(DeviceStateName(change.state)), change.reason}));
      TRY(
          records_.Run("DELETE FROM device_changes WHERE name=?1 AND seq NOT IN"
                       " (SELECT seq FROM device_changes WHERE name=?1 ORDER BY seq DESC LIMIT ?2)",
                       {change.name, kChangesKept}));
    }
    return {};
  });
  if (written) return {};
  // They wait for the next time, before what came meanwhile.
  const std::lock_guard lock(mutex_);
  changes_.insert(changes_.begin(), changes.begin(), changes.end());
  while (changes_.size() > kChangesWaitingMax) changes_.pop_front();
  return written;
}

}  // namespace penstock::fleet
