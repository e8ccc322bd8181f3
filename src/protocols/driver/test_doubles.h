// What the drivers' tests hold instead of a node: a sink, a quarantine and a device book that
// remember.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "protocols/driver/driver.h"

namespace penstock::protocols {

// Waits until `condition` holds; a generous bound, so that only a hang fails.
bool Eventually(const std::function<bool()>& condition);

class RecordingSink final : public telemetry::SampleSink {
 public:
  struct Row {
    PointId point;
    Time source, ingest;
    double value = 0;
    telemetry::Quality quality = 0;
  };
  void Write(telemetry::Batch batch, std::function<void(const Status&)> on_durable) override;
  // Codes of texts in the order of coming, from 1; "refuse" is refused.
  Result<double> Intern(PointId point, std::string_view text) override;
  std::vector<std::string> texts() const;
  // While held, nothing becomes durable; Release(status) tells all that wait.
  void Hold();
  void Release(const Status& status = {});
  std::vector<Row> rows() const;
  std::vector<Row> rows(PointId point) const;
  size_t waiting() const;  // Callbacks held back.
  size_t writes() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Row> rows_;
  bool held_ = false;
  size_t writes_ = 0;
  std::vector<std::string> texts_;
  std::vector<std::function<void(const Status&)>> waiting_;
};

class RecordingQuarantine final : public telemetry::QuarantineSink {
 public:
  void Put(telemetry::QuarantineEntry entry) override;
  std::vector<telemetry::QuarantineEntry> entries() const;

 private:
  mutable std::mutex mutex_;
  std::vector<telemetry::QuarantineEntry> entries_;
};

class RecordingEvents final : public telemetry::DeviceEvents {
 public:
  void OnConnected(std::string_view name, std::string_view protocol, std::string_view address,
                   Time at) override;
  void OnDisconnected(std::string_view name, const Error& why, Time at) override;
  void OnSamples(std::string_view name, uint64_t count, Time at) override;
  void OnError(std::string_view name, const Error& why, Time at) override;
  void OnUndescribed(std::string_view name, std::string_view topic, Time at) override;
  // "up pump-7 modbus 127.0.0.1:502/1", "down pump-7 WHY", "error pump-7 WHY".
  std::vector<std::string> lines() const;
  size_t Count(std::string_view part) const;  // Lines that contain `part`.
  uint64_t samples(const std::string& name) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  std::map<std::string, uint64_t> samples_;
};

// All of them, with a clock that stands still.
struct TestNode {
  ManualClock clock{FromMicros(1'800'000'000'000'000)};
  RecordingSink sink;
  RecordingQuarantine quarantine;
  RecordingEvents events;
  DriverContext context() { return {clock, sink, quarantine, events, nullptr}; }
};

// A snapshot is made of these; the id is the point's.
things::Property PropertyOf(uint32_t id, std::string thing, std::string name, things::Form form,
                            things::ValueType type = things::ValueType::kNumber);
things::Snapshot SnapshotOf(std::vector<things::Property> properties);

}  // namespace penstock::protocols
