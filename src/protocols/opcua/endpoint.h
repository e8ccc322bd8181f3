// One OPC UA server: a session, one subscription, a monitored item per point; made again whenever
// it breaks.
//
// Thread rule: everything runs on the engine's thread, driven by Poll().
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <open62541/client.h>

#include "protocols/driver/backoff.h"
#include "protocols/driver/driver.h"
#include "protocols/driver/reporter.h"

namespace penstock::protocols::opcua {

class Endpoint {
 public:
  using Steady = std::chrono::steady_clock;

  // `loop` outlives the endpoint. Samples are added to `out`, which the engine hands over.
  Endpoint(UA_EventLoop& loop, const DriverContext& context, telemetry::Batch& out, Source source);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  void Poll(Steady::time_point now);  // Before and after each turn of the event loop.
  void TellSamples();                 // To DeviceEvents, once per batch.
  void Close();                       // Ends the session as the standard wants, waiting shortly.

 private:
  enum class Step {
    kWaiting,     // For the back-off to pass.
    kConnecting,  // Channel and session.
    kNamespaces,  // Reading the namespace array.
    kSubscribing,
    kMonitoring,  // Creating the monitored items.
    kRunning,
  };
  struct Item {
    Endpoint* endpoint = nullptr;
    size_t point = 0;
  };

  void Connect(Steady::time_point now);
  void Advance();  // Takes the next step when the present one's answer is here.
  void ReadNamespaces();
  void Subscribe();
  void Monitor();
  void MonitorSome(size_t first, size_t count);
  void OnItemsCreated(size_t first, const void* response);
  void OnData(size_t point, const UA_DataValue& value);
  void Fail(const Error& why);  // Noted in a callback, acted on in Poll.
  void Drop(Steady::time_point now);
  void DeleteClient();
  Result<uint16_t> NamespaceIndex(const std::string& uri) const;
  void Refuse(size_t point, std::string_view rule, const std::string& what);
  void RefusePoint(size_t point, telemetry::Quality quality, const Error& why);
  double ShortestSamplingMs() const;

  static Endpoint& Of(UA_Client* client);
  static void OnState(UA_Client* client, UA_SecureChannelState channel, UA_SessionState session,
                      UA_StatusCode status);

  UA_EventLoop& loop_;
  const DriverContext& context_;
  telemetry::Batch& out_;
  const Source source_;
  const std::vector<std::string> things_;
  Reporter reporter_;
  Backoff backoff_;
  UA_Client* client_ = nullptr;

  Step step_ = Step::kWaiting;
  Steady::time_point deadline_{};  // Of the step; kWaiting: when it ends.
  bool answered_ = false;          // The step's answer is here.
  bool failed_ = false, told_down_ = false;
  Error why_;
  std::vector<std::string> namespaces_;
  UA_UInt32 subscription_ = 0;
  size_t outstanding_ = 0;  // Calls that create monitored items.
  struct ItemCall {
    Endpoint* endpoint = nullptr;
    size_t first = 0;
  };
  std::vector<std::unique_ptr<ItemCall>> calls_;
  std::vector<Item> items_;        // By point; their addresses are the callbacks' contexts.
  std::vector<size_t> monitored_;  // Points with a valid node, in the order of the calls.
  std::vector<void*> contexts_;
  std::vector<uint64_t> samples_;  // Since TellSamples, by thing.
  std::vector<size_t> thing_of_;
};

}  // namespace penstock::protocols::opcua
