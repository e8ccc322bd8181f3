// An endpoint climbs a ladder of steps: connect, read the namespace array (an index is only good
// for one session; the Thing Description names the URI), subscribe, create the monitored items,
// run. Each step is one asynchronous request, so a server that never answers costs a deadline and
// nobody's time. The library's callbacks only note what happened; Poll() acts on it, outside of the
// library, where a client may be deleted.
//
// Whatever breaks, the whole client is thrown away and the ladder climbed again after the back-off:
// a restarted server knows neither session nor subscription, and half a recovery is harder to be
// sure of than none.
#include "protocols/opcua/endpoint.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>

#include <open62541/client_config_default.h>
#include <open62541/client_highlevel_async.h>
#include <open62541/client_subscriptions.h>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "protocols/opcua/value.h"
#include "telemetry/texts.h"
#include "things/reader.h"

namespace penstock::protocols::opcua {
namespace {

// Why the reading is no value of the point's type, or "".
std::string Unfit(const things::Point& point, const Reading& reading) {
  using things::ValueType;
  const bool text = point.type == ValueType::kString;
  if (reading.text)
    return text ? "" : fmt::format("a text where a {} is expected", ValueTypeName(point.type));
  if (reading.is_array && reading.values.size() != 1 && point.type != ValueType::kWaveform)
    return fmt::format("an array of {} values", reading.values.size());
  if (reading.values.empty() || telemetry::IsBad(reading.quality)) return "";
  const double value = reading.values.front();
  if (text) return fmt::format("the number {} where a text is expected", value);
  if (point.type == ValueType::kBoolean && value != 0 && value != 1)
    return fmt::format("{} where a boolean is expected", value);
  if (point.type == ValueType::kInteger && std::isfinite(value) &&
      !telemetry::IsExactInteger(value))
    return fmt::format("{} where a whole number between -2^53 and 2^53 is expected", value);
  return "";
}

constexpr std::chrono::seconds kStepTimeout{10};
constexpr UA_UInt32 kRequestTimeoutMs = 5000;
constexpr UA_UInt32 kConnectivityCheckMs = 5000;
constexpr size_t kItemsPerCall = 500;
constexpr std::chrono::milliseconds kCloseWithin{300};

std::string Text(const UA_String& text) {
  return {reinterpret_cast<const char*>(text.data), text.length};
}

// The library's own log is for its developers; what an operator must know comes from us.
void Log(void*, UA_LogLevel level, UA_LogCategory, const char* format, va_list args) {
  if (level < UA_LOGLEVEL_WARNING) return;
  char line[512];
  va_list copy;
  va_copy(copy, args);
  std::vsnprintf(line, sizeof line, format, copy);
  va_end(copy);
  LogDebug("open62541: {}", line);
}

const UA_Logger& Logger() {
  static const UA_Logger logger{Log, nullptr, nullptr};
  return logger;
}

Metric& Notifications() {
  static Metric& metric =
      Counter("penstock_opcua_notifications_total", "Data changes received from OPC UA servers.");
  return metric;
}
Metric& Overflows() {
  static Metric& metric = Counter("penstock_opcua_overflows_total",
                                  "Notifications that say that the server's queue lost values.");
  return metric;
}

}  // namespace

Endpoint::Endpoint(UA_EventLoop& loop, const DriverContext& context, telemetry::Batch& out,
                   Source source)
    : loop_(loop),
      context_(context),
      out_(out),
      source_(std::move(source)),
      things_(source_.things()),
      reporter_(source_.points),
      backoff_(source_.address),
      samples_(things_.size()) {
  for (size_t i = 0; i < source_.points.size(); ++i) {
    items_.push_back({this, i});
    const auto thing =
        std::lower_bound(things_.begin(), things_.end(), source_.points[i].point.thing);
    thing_of_.push_back(static_cast<size_t>(thing - things_.begin()));
  }
}

Endpoint::~Endpoint() { DeleteClient(); }

Endpoint& Endpoint::Of(UA_Client* client) {
  return *static_cast<Endpoint*>(UA_Client_getContext(client));
}

void Endpoint::Poll(Steady::time_point now) {
  if (step_ == Step::kWaiting) {
    if (now >= deadline_) Connect(now);
    return;
  }
  if (!failed_ && step_ != Step::kRunning && now > deadline_) {
    Fail(Error{Code::kDeadlineExceeded, "no answer"});
  }
  if (failed_) return Drop(now);
  if (!answered_) return;
  answered_ = false;
  deadline_ = now + kStepTimeout;
  Advance();
}

void Endpoint::Connect(Steady::time_point now) {
  UA_ClientConfig config{};
  config.logging = const_cast<UA_Logger*>(&Logger());
  config.eventLoop = &loop_;
  config.externalEventLoop = true;
  UA_ClientConfig_setDefault(&config);
  config.clientContext = this;
  config.timeout = kRequestTimeoutMs;
  config.connectivityCheckInterval = kConnectivityCheckMs;
  config.noReconnect = true;
  config.noNewSession = true;
  config.securityMode = UA_MESSAGESECURITYMODE_NONE;
  config.stateCallback = OnState;
  config.inactivityCallback = [](UA_Client* client) {
    Of(client).Fail(Error{Code::kDeadlineExceeded, "the server is silent"});
  };
  config.subscriptionInactivityCallback = [](UA_Client* client, UA_UInt32, void*) {
    Of(client).Fail(Error{Code::kDeadlineExceeded, "the subscription is silent"});
  };
  failed_ = answered_ = false;
  step_ = Step::kConnecting;
  deadline_ = now + kStepTimeout;
  if (source_.wants_password) {
    const auto credential =
        context_.credentials ? context_.credentials(source_.address) : std::nullopt;
    if (!credential) {
      UA_ClientConfig_clear(&config);
      return Fail(
          Error{Code::kUnauthenticated, "the Thing Description asks for a password, none is known"}
              .Fix("store user name and password for this address"));
    }
    LogSometimes(LogLevel::kWarn, source_.address + " password",
                 fmt::format("opcua {}: the password travels unencrypted (security mode None)",
                             source_.address));
    UA_ClientConfig_setAuthenticationUsername(&config, credential->user.c_str(),
                                              credential->password.c_str());
  }
  client_ = UA_Client_newWithConfig(&config);
  if (client_ == nullptr) return Fail(Error{Code::kResourceExhausted, "no memory for a client"});
  const UA_StatusCode status = UA_Client_connectAsync(client_, source_.address.c_str());
  if (status != UA_STATUSCODE_GOOD) {
    Fail(Error{Code::kUnavailable, fmt::format("cannot connect: {}", StatusText(status))});
  }
}

void Endpoint::OnState(UA_Client* client, UA_SecureChannelState channel, UA_SessionState session,
                       UA_StatusCode status) {
  Endpoint& self = Of(client);
  if (self.step_ == Step::kWaiting) return;
  if (status != UA_STATUSCODE_GOOD) {
    const bool login = status == UA_STATUSCODE_BADIDENTITYTOKENINVALID ||
                       status == UA_STATUSCODE_BADIDENTITYTOKENREJECTED ||
                       status == UA_STATUSCODE_BADUSERACCESSDENIED;
    return self.Fail(Error{login ? Code::kUnauthenticated : Code::kUnavailable,
                           fmt::format("connection failed: {}", StatusText(status))});
  }
  if (self.step_ == Step::kConnecting) {
    self.answered_ = session == UA_SESSIONSTATE_ACTIVATED;
  } else if (session != UA_SESSIONSTATE_ACTIVATED || channel == UA_SECURECHANNELSTATE_CLOSED) {
    self.Fail(Error{Code::kUnavailable, "the session ended"});
  }
}

void Endpoint::Fail(const Error& why) {
  if (failed_) return;  // The first reason is the telling one.
  failed_ = true;
  why_ = why;
}

void Endpoint::Drop(Steady::time_point now) {
  step_ = Step::kWaiting;
  deadline_ = now + backoff_.Next();
  DeleteClient();
  Error why = why_;
  why.message = fmt::format("opcua {}: {}", source_.address, why_.message);
  LogSometimes(LogLevel::kWarn, source_.address, why.ToString());
  const Time at = context_.clock.Now();
  for (const std::string& thing : things_) context_.events.OnDisconnected(thing, why, at);
  if (std::exchange(told_down_, true)) return;
  for (size_t i = 0; i < source_.points.size(); ++i) {
    reporter_.Fail(i, at, telemetry::kBadNoCommunication, out_);
  }
}

void Endpoint::DeleteClient() {
  if (client_ == nullptr) return;
  step_ = Step::kWaiting;  // Callbacks of the end are of no interest.
  // Without the channel there is no session to close politely, which could wait for a dead server.
  UA_Client_disconnectSecureChannelAsync(client_);
  UA_Client_delete(client_);
  client_ = nullptr;
  calls_.clear();
  outstanding_ = 0;
}

void Endpoint::Close() {
  if (client_ != nullptr && step_ == Step::kRunning) {
    step_ = Step::kWaiting;
    UA_Client_disconnectAsync(client_);
    const auto until = Steady::now() + kCloseWithin;
    UA_SecureChannelState channel = UA_SECURECHANNELSTATE_OPEN;
    while (channel != UA_SECURECHANNELSTATE_CLOSED && Steady::now() < until) {
      UA_Client_run_iterate(client_, 10);
      UA_Client_getState(client_, &channel, nullptr, nullptr);
    }
  }
  DeleteClient();
}

void Endpoint::Advance() {
  switch (step_) {
    case Step::kConnecting:
      return ReadNamespaces();
    case Step::kNamespaces:
      return Subscribe();
    case Step::kSubscribing:
      return Monitor();
    case Step::kMonitoring: {
      step_ = Step::kRunning;
      backoff_.Reset();
      told_down_ = false;
      LogInfo("opcua {}: {} points are monitored", source_.address, monitored_.size());
      for (const std::string& thing : things_) {
        context_.events.OnConnected(thing, "opcua", source_.address, context_.clock.Now());
      }
      return;
    }
    case Step::kWaiting:
    case Step::kRunning:
      return;
  }
}

void Endpoint::ReadNamespaces() {
  step_ = Step::kNamespaces;
  const auto on_value = [](UA_Client* client, void*, UA_UInt32, UA_StatusCode status,
                           UA_DataValue* value) {
    Endpoint& self = Of(client);
    if (status != UA_STATUSCODE_GOOD || value == nullptr ||
        !UA_Variant_hasArrayType(&value->value, &UA_TYPES[UA_TYPES_STRING])) {
      return self.Fail(Error{Code::kUnavailable,
                             fmt::format("namespace array unreadable: {}", StatusText(status))});
    }
    self.namespaces_.clear();
    const auto* uris = static_cast<const UA_String*>(value->value.data);
    for (size_t i = 0; i < value->value.arrayLength; ++i) {
      self.namespaces_.push_back(Text(uris[i]));
    }
    self.answered_ = true;
  };
  const UA_StatusCode status = UA_Client_readValueAttribute_async(
      client_, UA_NODEID_NUMERIC(0, UA_NS0ID_SERVER_NAMESPACEARRAY), on_value, nullptr, nullptr);
  if (status != UA_STATUSCODE_GOOD) Fail(Error{Code::kUnavailable, StatusText(status)});
}

double Endpoint::ShortestSamplingMs() const {
  Duration shortest = std::chrono::seconds(10);
  for (const SourcePoint& each : source_.points) {
    shortest = std::min(shortest, each.form.opcua.sampling);
  }
  return std::max(10.0, ToSeconds(shortest) * 1000);
}

void Endpoint::Subscribe() {
  step_ = Step::kSubscribing;
  UA_CreateSubscriptionRequest request = UA_CreateSubscriptionRequest_default();
  request.requestedPublishingInterval = ShortestSamplingMs();
  // A server whose client died forgets the subscription within half a minute.
  request.requestedMaxKeepAliveCount =
      static_cast<UA_UInt32>(std::clamp(2000 / request.requestedPublishingInterval, 1.0, 100.0));
  request.requestedLifetimeCount =
      std::max(3 * request.requestedMaxKeepAliveCount,
               static_cast<UA_UInt32>(30'000 / request.requestedPublishingInterval));
  const auto on_deleted = [](UA_Client* client, UA_UInt32, void*) {
    Of(client).Fail(Error{Code::kUnavailable, "the server ended the subscription"});
  };
  const auto on_status = [](UA_Client* client, UA_UInt32, void*,
                            UA_StatusChangeNotification* change) {
    Of(client).Fail(Error{Code::kUnavailable,
                          fmt::format("the subscription ended: {}", StatusText(change->status))});
  };
  const auto on_created = [](UA_Client* client, void*, UA_UInt32, void* answer) {
    const auto& response = *static_cast<UA_CreateSubscriptionResponse*>(answer);
    Endpoint& self = Of(client);
    const UA_StatusCode result = response.responseHeader.serviceResult;
    if (result != UA_STATUSCODE_GOOD) {
      return self.Fail(
          Error{Code::kUnavailable, fmt::format("subscription refused: {}", StatusText(result))});
    }
    self.subscription_ = response.subscriptionId;
    self.answered_ = true;
  };
  const UA_StatusCode status = UA_Client_Subscriptions_create_async(
      client_, request, this, on_status, on_deleted, on_created, nullptr, nullptr);
  if (status != UA_STATUSCODE_GOOD) Fail(Error{Code::kUnavailable, StatusText(status)});
}

Result<uint16_t> Endpoint::NamespaceIndex(const std::string& uri) const {
  if (uri.empty()) return uint16_t{0};
  const auto found = std::find(namespaces_.begin(), namespaces_.end(), uri);
  if (found != namespaces_.end()) return static_cast<uint16_t>(found - namespaces_.begin());
  Error error{Code::kNotFound, fmt::format("the server has no namespace {}", uri)};
  const std::string nearest = Nearest(uri, namespaces_);
  return std::unexpected(error.Fix(nearest.empty() ? "compare with the server's namespace array"
                                                   : fmt::format("is it {}?", nearest)));
}

void Endpoint::RefusePoint(size_t point, telemetry::Quality quality, const Error& why) {
  const things::Point& named = source_.points[point].point;
  Error error = why;
  error.message = fmt::format("opcua {}: {}: {}", source_.address, named.path(), why.message);
  LogSometimes(LogLevel::kWarn, named.path(), error.ToString());
  context_.events.OnError(named.thing, error, context_.clock.Now());
  reporter_.Fail(point, context_.clock.Now(), quality, out_);
}

void Endpoint::Monitor() {
  step_ = Step::kMonitoring;
  monitored_.clear();
  calls_.clear();
  outstanding_ = 0;
  for (size_t i = 0; i < source_.points.size(); ++i) {
    const things::OpcUaForm& form = source_.points[i].form.opcua;
    auto index = NamespaceIndex(form.namespace_uri);
    auto node = index ? ParseNode(*index, form.identifier) : std::unexpected(index.error());
    if (!node) {
      RefusePoint(i, telemetry::kBadNoCommunication, node.error());
      continue;
    }
    UA_NodeId_clear(&*node);
    monitored_.push_back(i);
  }
  contexts_.clear();
  for (const size_t point : monitored_) contexts_.push_back(&items_[point]);
  for (size_t first = 0; first < monitored_.size() && !failed_; first += kItemsPerCall) {
    MonitorSome(first, std::min(kItemsPerCall, monitored_.size() - first));
  }
  if (monitored_.empty()) answered_ = true;
}

void Endpoint::MonitorSome(size_t first, size_t count) {
  std::vector<UA_MonitoredItemCreateRequest> items;
  const double publishing_ms = ShortestSamplingMs();
  // An unchanged value with a new source time is news too (OPC UA Part 4, 7.22.2): the device still
  // measures.
  UA_DataChangeFilter filter;
  UA_DataChangeFilter_init(&filter);
  filter.trigger = UA_DATACHANGETRIGGER_STATUSVALUETIMESTAMP;
  for (size_t i = first; i < first + count; ++i) {
    const things::OpcUaForm& form = source_.points[monitored_[i]].form.opcua;
    auto node = ParseNode(*NamespaceIndex(form.namespace_uri), form.identifier);
    CHECK(node.has_value());
    UA_MonitoredItemCreateRequest item = UA_MonitoredItemCreateRequest_default(*node);
    const double sampling_ms = ToSeconds(form.sampling) * 1000;
    item.requestedParameters.samplingInterval = sampling_ms;
    UA_ExtensionObject_setValueNoDelete(&item.requestedParameters.filter, &filter,
                                        &UA_TYPES[UA_TYPES_DATACHANGEFILTER]);
    // What is sampled between two publishings, twice over for a hiccup.
    item.requestedParameters.queueSize = static_cast<UA_UInt32>(
        std::clamp(2 * std::ceil(publishing_ms / std::max(1.0, sampling_ms)), 2.0, 1000.0));
    items.push_back(item);
  }
  UA_CreateMonitoredItemsRequest request;
  UA_CreateMonitoredItemsRequest_init(&request);
  request.subscriptionId = subscription_;
  request.timestampsToReturn = UA_TIMESTAMPSTORETURN_BOTH;
  request.itemsToCreate = items.data();
  request.itemsToCreateSize = items.size();

  static constexpr auto on_data = [](UA_Client*, UA_UInt32, void*, UA_UInt32, void* context,
                                     UA_DataValue* value) {
    const Item& item = *static_cast<Item*>(context);
    item.endpoint->OnData(item.point, *value);
  };
  static constexpr auto on_created = [](UA_Client*, void* context, UA_UInt32, void* response) {
    const ItemCall& call = *static_cast<ItemCall*>(context);
    call.endpoint->OnItemsCreated(call.first, response);
  };
  std::vector<UA_Client_DataChangeNotificationCallback> callbacks(items.size(), +on_data);
  std::vector<UA_Client_DeleteMonitoredItemCallback> deletes(items.size(), nullptr);
  calls_.push_back(std::make_unique<ItemCall>(ItemCall{this, first}));
  ++outstanding_;
  const UA_StatusCode status = UA_Client_MonitoredItems_createDataChanges_async(
      client_, request, contexts_.data() + first, callbacks.data(), deletes.data(), +on_created,
      calls_.back().get(), nullptr);
  for (auto& item : items) UA_NodeId_clear(&item.itemToMonitor.nodeId);
  if (status != UA_STATUSCODE_GOOD) {
    Fail(Error{Code::kUnavailable,
               fmt::format("monitored items cannot be asked for: {}", StatusText(status))});
  }
}

void Endpoint::OnItemsCreated(size_t first, const void* answer) {
  const auto& response = *static_cast<const UA_CreateMonitoredItemsResponse*>(answer);
  const UA_StatusCode result = response.responseHeader.serviceResult;
  if (result != UA_STATUSCODE_GOOD) {
    return Fail(
        Error{Code::kUnavailable, fmt::format("monitored items refused: {}", StatusText(result))});
  }
  for (size_t i = 0; i < response.resultsSize && first + i < monitored_.size(); ++i) {
    const UA_StatusCode status = response.results[i].statusCode;
    if (status == UA_STATUSCODE_GOOD) continue;
    const size_t point = monitored_[first + i];
    Error why{Code::kNotFound,
              fmt::format("node {} refused: {}", source_.points[point].form.opcua.identifier,
                          StatusText(status))};
    RefusePoint(point, status & 0xFFFF0000,
                why.Fix("compare opcua:nodeId with the server's address space"));
  }
  if (--outstanding_ == 0) answered_ = true;
}

void Endpoint::Refuse(size_t point, std::string_view rule, const std::string& what) {
  const SourcePoint& source = source_.points[point];
  context_.quarantine.Put(
      {.at = context_.clock.Now(),
       .source = fmt::format("opcua {}", source_.address),
       .point = source.point.path(),
       .rule = std::string(rule),
       .value = what,
       .message = fmt::format("node {}: {}; correct opcua:nodeId or the property's type",
                              source.form.opcua.identifier, what)});
}

void Endpoint::OnData(size_t point, const UA_DataValue& value) {
  Notifications().Add();
  const Time now = context_.clock.Now();
  const SourcePoint& source = source_.points[point];
  // The server has not measured yet: no news, and its time is that of its own start.
  if (value.hasStatus && value.status == UA_STATUSCODE_BADWAITINGFORINITIALDATA) return;
  auto reading = ReadValue(value, now);
  if (auto why = reading ? Unfit(source.point, *reading) : reading.error().message; !why.empty())
    return Refuse(point, "type", why);
  if (reading->overflow) Overflows().Add();
  const size_t before = out_.size();
  if (reading->text) {
    const auto code = context_.samples.Intern(source.point.id, *reading->text);
    if (!code) return Refuse(point, telemetry::TextRule(code.error()), code.error().message);
    reporter_.Add(point, reading->source, now, *code, reading->quality, out_);
    samples_[thing_of_[point]] += out_.size() - before;
    return;
  }
  const things::OpcUaForm& form = source.form.opcua;
  for (double& each : reading->values) each = each * form.scale + form.offset;
  if (reading->values.empty()) {
    // Not before what the server said last, also when its clock is ahead of ours.
    if (!reading->is_array)
      reporter_.Fail(point, std::max(now, reading->source), reading->quality, out_);
  } else if (source.point.type == things::ValueType::kWaveform) {
    reporter_.AddWaveform(point, reading->source, now, reading->values, reading->quality, out_);
  } else {
    reporter_.Add(point, reading->source, now, reading->values.front(), reading->quality, out_);
  }
  samples_[thing_of_[point]] += out_.size() - before;
}

void Endpoint::TellSamples() {
  for (size_t thing = 0; thing < samples_.size(); ++thing) {
    if (samples_[thing] == 0) continue;
    context_.events.OnSamples(things_[thing], std::exchange(samples_[thing], 0),
                              context_.clock.Now());
  }
}

}  // namespace penstock::protocols::opcua
