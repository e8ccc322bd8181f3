// Who is out there: every device the node speaks with, whether it answers, what it sent and what
// went wrong. Changes of state are kept in the records, the last kChangesKept of each device; the
// counts live in memory and start anew with the node.
//
// Thread rule: any thread; the DeviceEvents calls only note in memory, a change of state is written
// by Flush().
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "storage/records.h"
#include "telemetry/device_events.h"
#include "things/directory.h"

namespace penstock::fleet {

inline constexpr size_t kDevicesMax = 100'000;
inline constexpr int64_t kChangesKept = 100;

enum class DeviceState { kNever, kConnected, kRetrying };
std::string_view DeviceStateName(DeviceState state);  // "never", "connected", "retrying"

struct DeviceStatus {
  std::string name, protocol, address;
  DeviceState state = DeviceState::kNever;
  Time since{};  // In this state.
  std::optional<Time> last_seen;
  uint64_t samples = 0, errors = 0, restarts = 0;  // restarts: connected again after it was lost.
  std::string last_error;
  std::string undescribed_topic;  // One that it published on and no thing describes; or "".
};

class DeviceRegistry final : public telemetry::DeviceEvents {
 public:
  // `records` must outlive the registry.
  static Result<std::unique_ptr<DeviceRegistry>> Open(storage::Records& records);
  ~DeviceRegistry() override;

  // Lists the things that drivers or devices serve, also before anything was heard of them
  // ("never"); those that were never heard of and are described no more go.
  void Expect(const things::Snapshot& snapshot, Time at);

  void OnConnected(std::string_view name, std::string_view protocol, std::string_view address,
                   Time at) override;
  void OnDisconnected(std::string_view name, const Error& why, Time at) override;
  void OnSamples(std::string_view name, uint64_t count, Time at) override;
  void OnError(std::string_view name, const Error& why, Time at) override;
  void OnUndescribed(std::string_view name, std::string_view topic, Time at) override;

  std::vector<DeviceStatus> List() const;  // By name.
  Result<DeviceStatus> Get(const std::string& name) const;
  // As /devices lists them; "carries" names the devices that speak through this one (a gateway).
  Json ToJson() const;
  // Changes of state, newest first: {"at","state","reason"}.
  Result<Json> Changes(const std::string& name) const;
  Status Flush();  // Writes the changes noted since the last time.

 private:
  struct Change {
    std::string name;
    Time at;
    DeviceState state;
    std::string reason;
  };
  explicit DeviceRegistry(storage::Records& records) : records_(records) {}
  DeviceStatus* Find(std::string_view name);
  void Enter(DeviceStatus& device, DeviceState state, Time at, const std::string& reason);

  storage::Records& records_;
  mutable std::mutex mutex_;
  std::map<std::string, DeviceStatus, std::less<>> devices_;
  std::deque<Change> changes_;
};

}  // namespace penstock::fleet
