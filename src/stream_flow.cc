#include "stream_flow.h"

#include <condition_variable>

#include "base/log.h"
#include "things/point_ids.h"

namespace penstock {
namespace {

constexpr auto kTryAgain = std::chrono::seconds(2);

// "acme/cologne" -> "cologne", of the characters that names in the stream have.
std::string NameOf(const Settings& settings) {
  if (!settings.cluster.stream_as.empty()) return settings.cluster.stream_as;
  std::string name;
  for (const char c : settings.site.substr(settings.site.rfind('/') + 1))
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') name += c;
  return name.empty() ? "node" : name.substr(0, telemetry::kFrameEdgeBytesMax);
}

}  // namespace

StreamFlow::StreamFlow(Parts parts) : parts_(parts), name_(NameOf(parts.settings)) {}

Result<std::unique_ptr<StreamFlow>> StreamFlow::Open(Parts parts) {
  if (parts.settings.cluster.stream.empty()) return nullptr;
  std::unique_ptr<StreamFlow> self(new StreamFlow(parts));
  if (parts.settings.cluster.stream_role == "edge") {
    // The log waits for the stream from the first row on, reachable or not.
    ASSIGN_OR_RETURN(const uint64_t cursor, parts.log.Cursor("stream"));
    TRY(parts.log.SetCursor("stream", cursor));
    StreamFlow& flow = *self;
    parts.pipeline.Subscribe([&flow](const telemetry::Batch&) {
      const std::lock_guard lock(flow.mutex_);
      if (flow.publisher_) flow.publisher_->Wake();
    });
    return self;
  }
  if (parts.receiver != nullptr) return self;
  ASSIGN_OR_RETURN(self->own_origins_, telemetry::Origins::Open(parts.records));
  self->own_receiver_ = std::make_unique<protocols::uplink::Receiver>(
      parts.pipeline, *self->own_origins_, parts.point_ids);
  telemetry::Origins& origins = *self->own_origins_;
  parts.pipeline.Subscribe([&origins](const telemetry::Batch& batch) { origins.Observe(batch); },
                           telemetry::Pipeline::Replay::kYes);
  parts.pipeline.BeforeCursor([&origins] { return origins.Persist(); });
  return self;
}

StreamFlow::~StreamFlow() { Stop(); }

void StreamFlow::Start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

void StreamFlow::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  if (publisher_) publisher_->Stop();
  if (taker_) taker_->Stop();
}

void StreamFlow::Run(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    const Status connected = Connect();
    if (connected) return;
    {
      const std::lock_guard lock(mutex_);
      error_ = connected.error().ToString();
    }
    LogSometimes(LogLevel::kWarn, "stream-connect", connected.error().ToString());
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, kTryAgain, [] { return false; });
  }
}

Status StreamFlow::Connect() {
  const ClusterSettings& settings = parts_.settings.cluster;
  storage::StreamOptions options;
  options.url = settings.stream;
  options.partitions = settings.stream_partitions;
  options.replicas = settings.stream_replicas;
  ASSIGN_OR_RETURN(auto stream, storage::Stream::Open(std::move(options)));
  std::unique_ptr<protocols::stream::Publisher> publisher;
  std::unique_ptr<protocols::stream::Taker> taker;
  if (settings.stream_role == "edge") {
    protocols::stream::PublisherOptions publish;
    publish.edge = name_;
    publish.epoch = parts_.epoch;
    publish.folder = parts_.settings.data + "/stream";
    storage::Records& records = parts_.records;
    ASSIGN_OR_RETURN(publisher, protocols::stream::Publisher::Open(
                                    std::move(publish), {parts_.log, *stream, [&records] {
                                                           return things::PathsIn(records);
                                                         }}));
    publisher->Start();
  } else {
    protocols::stream::TakerOptions take;
    take.hub = name_;
    taker = std::make_unique<protocols::stream::Taker>(
        std::move(take),
        protocols::stream::Taker::Parts{
            *stream, parts_.receiver != nullptr ? *parts_.receiver : *own_receiver_,
            parts_.origins != nullptr ? *parts_.origins : *own_origins_, parts_.real_clock});
    taker->Start();
  }
  LogInfo("stream: connected as {} {}", settings.stream_role, name_);
  const std::lock_guard lock(mutex_);
  stream_ = std::move(stream);
  publisher_ = std::move(publisher);
  taker_ = std::move(taker);
  error_.clear();
  return {};
}

Json StreamFlow::ToJson() const {
  const std::lock_guard lock(mutex_);
  if (publisher_) return publisher_->ToJson();
  if (taker_) return taker_->ToJson();
  return {{"error", error_}};
}

}  // namespace penstock
