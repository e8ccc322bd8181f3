#include "stream_flow.h"

#include <condition_variable>

#include "base/log.h"
#include "start_anew.h"
#include "things/point_ids.h"

namespace penstock {
namespace {

constexpr auto kTryAgain = std::chrono::seconds(2);
constexpr auto kSettlePatience = std::chrono::seconds(2);

// "acme/cologne" -> "cologne", of the characters that names in the stream have.
std::string NameOf(const Settings& settings) {
  if (!settings.cluster.stream_as.empty()) return settings.cluster.stream_as;
  std::string name;
  for (const char c : settings.site.substr(settings.site.rfind('/') + 1))
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') name += c;
  return name.empty() ? "node" : name.substr(0, telemetry::kFrameEdgeBytesMax);
}

uint64_t RowsIn(const protocols::stream::Settlement::Ranges& ranges) {
  uint64_t rows = 0;
  for (const auto& [source, set] : ranges)
    for (const auto& [from, to] : set.all()) rows += to - from;
  return rows;
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
  if (parts.receiver != nullptr) {
    TRY(self->OpenHub());
    return self;
  }
  ASSIGN_OR_RETURN(self->own_origins_, telemetry::Origins::Open(parts.records));
  self->own_receiver_ = std::make_unique<protocols::uplink::Receiver>(
      parts.pipeline, *self->own_origins_, parts.point_ids);
  telemetry::Origins& origins = *self->own_origins_;
  parts.pipeline.Subscribe([&origins](const telemetry::Batch& batch) { origins.Observe(batch); },
                           telemetry::Pipeline::Replay::kYes);
  parts.pipeline.BeforeCursor([&origins] { return origins.Persist(); });
  TRY(self->OpenHub());
  return self;
}

telemetry::Origins& StreamFlow::origins() const {
  return parts_.origins != nullptr ? *parts_.origins : *own_origins_;
}

Status StreamFlow::OpenHub() {
  parts_.pipeline.BeforeFlush([this] { return MayFlush(); });
  return Settle();
}

// What of the log's last rows is still this hub's, before the pipeline replays them. A stream that
// is away is not waited for: the rows are kept, and settled when it is there.
Status StreamFlow::Settle() {
  ASSIGN_OR_RETURN(auto replayed, protocols::stream::Settlement::Replayed(parts_.log));
  if (replayed.empty()) return {};
  const auto deadline = std::chrono::steady_clock::now() + kSettlePatience;
  auto stream = storage::Stream::Open(StreamOptionsOf());
  while (!stream && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    stream = storage::Stream::Open(StreamOptionsOf());
  }
  Status status;
  if (stream) {
    auto made = protocols::stream::Settlement::Make(name_, **stream, replayed, origins());
    if (made) {
      settlement_ = std::make_unique<protocols::stream::Settlement>(std::move(*made));
      parts_.pipeline.CutReplay([this](const telemetry::Batch& batch) {
        return settlement_->RowsToKeep(batch, origins());
      });
      return {};
    }
    status = std::unexpected(made.error());
  } else {
    status = std::unexpected(stream.error());
  }
  unsettled_ = std::move(replayed);
  error_ = status.error().ToString();
  LogWarn(
      "stream: whose the log's last rows are cannot be asked, they go to no file until then: {}",
      error_);
  return {};
}

Status StreamFlow::SettleLate(storage::Stream& stream) {
  if (unsettled_.empty()) return {};  // Only this thread changes it.
  ASSIGN_OR_RETURN(const auto settlement,
                   protocols::stream::Settlement::Make(name_, stream, unsettled_, origins()));
  if (const uint64_t rows = settlement.RowsToForget(unsettled_); rows > 0) {
    StartAnew(fmt::format("{} rows that were not confirmed are another hub's by now, or come again",
                          rows));
    return Unavailable("{} rows of another hub must be forgotten: start this one again", rows);
  }
  LogInfo("stream: the log's last rows are this hub's, and confirmed");
  const std::lock_guard lock(mutex_);
  unsettled_.clear();
  return {};
}

Status StreamFlow::MayFlush() {
  protocols::stream::Taker* taker = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (!unsettled_.empty()) {
      auto error = Unavailable("{} rows of the log wait to be confirmed by the stream: {}",
                               RowsIn(unsettled_), error_);
      error.error().Fix("look at the NATS servers that stream: names");
      return error;
    }
    taker = taker_.get();
  }
  return taker != nullptr ? taker->Confirm() : Status();
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

storage::StreamOptions StreamFlow::StreamOptionsOf() const {
  const ClusterSettings& settings = parts_.settings.cluster;
  storage::StreamOptions options;
  options.url = settings.stream;
  options.partitions = settings.stream_partitions;
  options.replicas = settings.stream_replicas;
  return options;
}

Status StreamFlow::Connect() {
  const ClusterSettings& settings = parts_.settings.cluster;
  ASSIGN_OR_RETURN(auto stream, storage::Stream::Open(StreamOptionsOf()));
  std::unique_ptr<protocols::stream::Publisher> publisher;
  std::unique_ptr<protocols::stream::Taker> taker;
  if (settings.stream_role == "edge") {
    protocols::stream::PublisherOptions publish;
    publish.edge = name_;
    publish.epoch = parts_.epoch;
    publish.folder = parts_.settings.data + "/stream";
    storage::Records& records = parts_.records;
    ASSIGN_OR_RETURN(publisher,
                     protocols::stream::Publisher::Open(
                         std::move(publish),
                         {parts_.log, *stream, [&records] { return things::PathsIn(records); },
                          parts_.pipeline.texts()}));
  } else {
    TRY(SettleLate(*stream));
    protocols::stream::TakerOptions take;
    take.hub = name_;
    taker = std::make_unique<protocols::stream::Taker>(
        std::move(take),
        protocols::stream::Taker::Parts{
            *stream, parts_.receiver != nullptr ? *parts_.receiver : *own_receiver_, origins(),
            parts_.real_clock, StartAnew});
  }
  LogInfo("stream: connected as {} {}", settings.stream_role, name_);
  {
    const std::lock_guard lock(mutex_);
    stream_ = std::move(stream);
    publisher_ = std::move(publisher);
    taker_ = std::move(taker);
    error_.clear();
  }
  // Not before a flush asks them.
  if (publisher_) publisher_->Start();
  if (taker_) taker_->Start();
  return {};
}

Json StreamFlow::ToJson() const {
  const std::lock_guard lock(mutex_);
  if (publisher_) return publisher_->ToJson();
  if (taker_) return taker_->ToJson();
  if (unsettled_.empty()) return {{"error", error_}};
  return {{"hub", name_},
          {"partitions", Json::array()},
          {"unconfirmed", RowsIn(unsettled_)},
          {"error", error_}};
}

}  // namespace penstock
