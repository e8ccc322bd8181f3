// What makes an outage harmless: the log is the queue. Nothing is held in memory but the block on
// its way; a restart of either side begins at the cursor, and what was sent but not yet called
// durable is sent again and cut away by the hub.
//
// Lanes. A connection begins with the live lane at the log's end, so that an alarm's samples never
// stand behind an hour of backlog; what lies before is backfill, oldest first. When the live lane
// itself cannot keep up (a full block for two seconds on end, on a link slower than the machines)
// it starts at the end again and leaves the rest to the backfill: new rows stay new.
//
// Time-outs and back-off run on the steady clock, with jitter so that a thousand edges do not
// return at one moment; the wall clock is only asked whether the certificate is due.
#include "protocols/uplink/uplink.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/batch_codec.h"
#include "things/point_ids.h"

namespace penstock::protocols::uplink {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kCursor = "hub";
constexpr milliseconds kFirstPause{100}, kLongestPause{15'000};
constexpr milliseconds kIdle{500};         // Between looks when nobody wakes us.
constexpr milliseconds kBehindFor{2'000};  // Then the live lane jumps.
constexpr milliseconds kHelloEvery{30'000};
constexpr milliseconds kRenewEvery{3'600'000};
constexpr size_t kThingsTogether = 200;

struct Metrics {
  Metric& connected = Gauge("penstock_uplink_connected", "1 while the hub answers.");
  Metric& waiting = Gauge("penstock_uplink_waiting_records", "Log records the hub has not.");
  Metric& live = Counter("penstock_uplink_rows_total", "Rows durable at the hub.", "lane=\"live\"");
  Metric& backfill =
      Counter("penstock_uplink_rows_total", "Rows durable at the hub.", "lane=\"backfill\"");
  Metric& bytes = Counter("penstock_uplink_bytes_total", "Bytes of blocks sent.");
  Metric& resumed = Counter("penstock_uplink_resumed_total", "Blocks gone on with after a cut.");
  Metric& lost =
      Counter("penstock_uplink_lost_rows_total", "Rows the log gave up before the hub had them.");
  Metric& errors = Counter("penstock_uplink_errors_total", "Connections to the hub that failed.");
};
Metrics& M() {
  static Metrics metrics;
  return metrics;
}

uint64_t SeedOfChance() {
  const Bytes bytes = RandomBytes(sizeof(uint64_t));
  uint64_t seed = 0;
  for (const uint8_t byte : bytes) seed = seed << 8 | byte;
  return seed;
}

}  // namespace

Result<std::unique_ptr<Uplink>> Uplink::Open(UplinkOptions options, Parts parts) {
  ASSIGN_OR_RETURN(Credentials credentials, ReadCredentials(options.folder));
  if (!options.hub.empty()) credentials.hub = options.hub;
  while (credentials.hub.ends_with('/')) credentials.hub.pop_back();
  // Set at once, so that the log keeps everything for the hub from now on.
  ASSIGN_OR_RETURN(const uint64_t cursor, parts.log.Cursor(kCursor));
  TRY(parts.log.SetCursor(kCursor, std::clamp(cursor, parts.log.begin(), parts.log.durable_end())));
  if (options.evict) parts.log.MayLose(kCursor);
  return std::unique_ptr<Uplink>(
      new Uplink(std::move(options), std::move(parts), std::move(credentials)));
}

Uplink::Uplink(UplinkOptions options, Parts parts, Credentials credentials)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      credentials_(std::move(credentials)),
      backlog_(parts_.log.Cursor(kCursor).value_or(0)),
      random_(SeedOfChance()),
      live_blocks_(parts_.log, credentials_.edge, parts_.texts),
      backfill_blocks_(parts_.log, credentials_.edge, parts_.texts) {
  Use(credentials_);
}

Uplink::~Uplink() { Stop(); }

void Uplink::Start() {
  live_thread_ = std::jthread([this](const std::stop_token& stop) { RunLive(stop); });
  for (Backfill& lane : backfill_)
    lane.thread =
        std::jthread([this, &lane](const std::stop_token& stop) { RunBackfill(stop, lane); });
}

void Uplink::Stop() {
  live_thread_.request_stop();
  for (Backfill& lane : backfill_) lane.thread.request_stop();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& client : clients_)
      if (client) client->Abort();
  }
  if (live_thread_.joinable()) live_thread_.join();
  for (Backfill& lane : backfill_)
    if (lane.thread.joinable()) lane.thread.join();
}

void Uplink::Wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wake_.notify_all();
}

void Uplink::Use(Credentials credentials) {
  const std::lock_guard lock(mutex_);
  credentials_ = std::move(credentials);
  for (auto& client : clients_)
    client = std::make_shared<HubClient>(credentials_.hub, credentials_);
}

void Uplink::Pause(const std::stop_token& stop, milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, time, [] { return false; });
}

milliseconds Uplink::NextPause(milliseconds& step) {
  const std::lock_guard lock(mutex_);
  const auto pause = milliseconds(
      static_cast<int64_t>(static_cast<double>(step.count()) * random_.Uniform(0.5, 1.5)));
  step = std::min(step * 2, kLongestPause);
  return pause;
}

void Uplink::Failed(const Error& error) {
  M().errors.Add();
  M().connected.Set(0);
  LogSometimes(LogLevel::kWarn, "uplink", "uplink: " + error.ToString());
  const std::lock_guard lock(mutex_);
  connected_ = false;
  last_error_ = error.ToString();
}

// --- The live lane

void Uplink::RunLive(const std::stop_token& stop) {
  milliseconds step = kFirstPause;
  while (!stop.stop_requested()) {
    Status status;
    bool connected;
    {
      const std::lock_guard lock(mutex_);
      connected = connected_;
    }
    if (!connected || HelloDue()) status = Connect();
    if (status) status = SendThings();
    if (status) status = SendLive();
    if (!status) {
      if (stop.stop_requested()) return;
      Failed(status.error());
      Pause(stop, NextPause(step));
      continue;
    }
    step = kFirstPause;
    std::unique_lock lock(mutex_);
    const bool more = !backlog_.Live(parts_.log.durable_end()).empty();
    if (!more) wake_.wait_for(lock, stop, kIdle, [&] { return woken_; });
    woken_ = false;
    lock.unlock();
    if (!more) Pause(stop, options_.linger);
  }
}

bool Uplink::HelloDue() {
  const std::lock_guard lock(mutex_);
  return Steady::now() > hello_at_;
}

// The first sequence that this edge still has for the hub. `holes`: what was before it in the log
// is gone without the hub having it.
uint64_t Uplink::SequenceAtCursor(bool& holes) {
  uint64_t cursor, sequence = parts_.next_sequence();
  {
    const std::lock_guard lock(mutex_);
    cursor = backlog_.cursor();
  }
  (void)parts_.log.Read(cursor, [&](uint64_t index, ByteView record) {
    const auto batch = telemetry::DecodeBatch(record);
    holes |= index > cursor;
    if (!batch || !batch->own()) return true;
    // Rows of an earlier life of the data folder come first: nothing of this one is gone.
    sequence = batch->origin.epoch == options_.epoch ? batch->first_sequence : 0;
    return false;
  });
  return sequence;
}

// Says what this edge has and hears what of it the hub has; also from time to time while connected,
// because only so the hub learns that something will never come.
Status Uplink::Connect() {
  bool evicted = false;
  const uint64_t begin = SequenceAtCursor(evicted);
  {
    const std::lock_guard lock(mutex_);
    evicted |= holes_ > 0;
  }
  const Json hello = {
      {"epoch", std::to_string(options_.epoch)},
      {"begin", begin},
      {"next", parts_.next_sequence()},
      {"site", options_.site},
      {"things", told_things_},
      {"reason", evicted ? "evicted at the edge, whose log was full, or damaged there"
                         : "not in the edge's log any more"}};
  ASSIGN_OR_RETURN(const HubAnswer answer,
                   clients_[0]->Ask("POST", "/api/v1/uplink/hello", hello.dump(),
                                    {"Content-Type: application/json"}));
  if (!answer.ok()) return std::unexpected(answer.error());
  if (StringOr(answer.body, "things", "") != told_things_) told_things_.clear();
  if (Steady::now() > renew_at_) {
    renew_at_ = Steady::now() + kRenewEvery;
    const auto renewed = RenewWhenDue(options_.folder, credentials_, parts_.real_clock.Now());
    if (!renewed) {
      LogWarn("uplink: certificate not renewed: {}", renewed.error().ToString());
    } else if (*renewed) {
      ASSIGN_OR_RETURN(Credentials fresh, ReadCredentials(options_.folder));
      fresh.hub = credentials_.hub;
      Use(std::move(fresh));
    }
  }
  const std::lock_guard lock(mutex_);
  hello_at_ = Steady::now() + kHelloEvery;
  if (connected_) return {};
  connected_ = true;
  last_error_.clear();
  backlog_.StartLiveAt(parts_.log.durable_end());
  behind_since_ = {};
  M().connected.Set(1);
  LogInfo("uplink: connected to {} as {}, {} records wait", credentials_.hub, credentials_.edge,
          backlog_.waiting(parts_.log.durable_end()));
  wake_.notify_all();
  return {};
}

// --- Names and descriptions

void Uplink::TakeNames() {
  const auto paths = things::PathsIn(parts_.records);
  if (!paths) {
    LogSometimes(LogLevel::kError, "uplink-names", "uplink: " + paths.error().ToString());
    return;
  }
  const std::lock_guard lock(mutex_);
  names_ = std::make_shared<const std::vector<std::string>>(*paths);
}

Status Uplink::SendThings() {
  const auto snapshot = parts_.directory.snapshot();
  if (snapshot->revision != named_revision_) {
    TakeNames();
    named_revision_ = snapshot->revision;
    told_things_.clear();
  }
  if (!told_things_.empty()) return {};
  Bytes all;
  const auto add = [&all](const std::string& text) {
    all.insert(all.end(), text.begin(), text.end());
  };
  Json models = Json::array(), things = Json::array();
  for (const things::ThingModel& model : snapshot->models) {
    add(model.document.dump());
    models.push_back(model.document);
  }
  if (!models.empty()) TRY(Tell(Json{{"models", models}}));
  for (const things::Thing& thing : snapshot->things) {
    add(thing.document.Text());
    things.push_back(thing.document.Parse());
    if (things.size() < kThingsTogether && &thing != &snapshot->things.back()) continue;
    TRY(Tell(Json{{"things", things}}));
    things.clear();
  }
  const std::string digest = ToHex(Sha256Of(all));
  TRY(Tell(Json{{"digest", digest}}));
  told_things_ = digest;
  return {};
}

Status Uplink::Tell(const Json& body) {
  ASSIGN_OR_RETURN(const HubAnswer answer,
                   clients_[0]->Ask("POST", "/api/v1/uplink/things", body.dump(),
                                    {"Content-Type: application/json"}));
  if (!answer.ok()) return std::unexpected(answer.error());
  const auto refused = answer.body.find("refused");
  if (refused == answer.body.end() || !refused->is_array()) return {};
  for (const Json& thing : *refused)
    LogWarn("uplink: the hub does not take {}: {} ({})", StringOr(thing, "thing", "?"),
            StringOr(thing, "message", ""), StringOr(thing, "fix", ""));
  return {};
}

// --- Blocks

Status Uplink::SendLive() {
  Backlog::Range range;
  std::shared_ptr<const std::vector<std::string>> names;
  {
    const std::lock_guard lock(mutex_);
    range = backlog_.Live(parts_.log.durable_end());
    names = names_;
  }
  if (range.empty() || !names) return {};
  ASSIGN_OR_RETURN(const OutBlock block, live_blocks_.Make(range, options_.live, *names));
  {
    const std::lock_guard lock(mutex_);
    backlog_.LiveTook(block.records.to);
  }
  size_t offset = 0;
  if (!block.bytes.empty()) TRY(Send(*clients_[0], block, offset));
  Booked(block, Lane::kLive);
  const auto now = Steady::now();
  if (!block.more) {
    behind_since_ = {};
  } else if (behind_since_ == Steady::time_point{}) {
    behind_since_ = now;
  } else if (now - behind_since_ > kBehindFor) {
    const std::lock_guard lock(mutex_);
    backlog_.StartLiveAt(parts_.log.durable_end());
    behind_since_ = {};
  }
  return {};
}

void Uplink::Booked(const OutBlock& block, Lane lane) {
  (lane == Lane::kLive ? M().live : M().backfill).Add(block.rows);
  M().bytes.Add(block.bytes.size());
  M().lost.Add(block.lost);
  uint64_t cursor;
  bool moved, backlog;
  {
    const std::lock_guard lock(mutex_);
    moved = backlog_.Durable(block.records);
    cursor = backlog_.cursor();
    rows_[static_cast<size_t>(lane)] += block.rows;
    ++blocks_[static_cast<size_t>(lane)];
    bytes_ += block.bytes.size();
    lost_rows_ += block.lost;
    holes_ += block.holes;
    if (block.holes > 0) hello_at_ = {};  // The hub hears of it at once.
    last_durable_ = parts_.real_clock.Now();
    backlog = !backlog_.Backfill().empty();
    M().waiting.Set(static_cast<int64_t>(backlog_.waiting(parts_.log.durable_end())));
    Limit(backlog);
  }
  if (!moved) return;
  if (const auto set = parts_.log.SetCursor(kCursor, cursor); !set)
    LogSometimes(LogLevel::kWarn, "uplink-cursor", "uplink: " + set.error().ToString());
}

// The caller holds the lock.
void Uplink::Limit(bool backlog) {
  const auto total = static_cast<double>(options_.bits_per_second) / 8;
  const double backfill = total * options_.backfill_share;
  const auto lanes = static_cast<double>(backfill_.size());
  clients_[0]->LimitTo(static_cast<uint64_t>(backlog ? total - backfill : total));
  for (size_t i = 1; i < clients_.size(); ++i)
    clients_[i]->LimitTo(static_cast<uint64_t>(backfill / lanes));
}

Status Uplink::Send(HubClient& client, const OutBlock& block, size_t& offset) {
  const std::string path = "/api/v1/uplink/blocks";
  if (offset > 0) {  // It was cut before: the hub may have kept what came.
    ASSIGN_OR_RETURN(const HubAnswer kept, client.Ask("GET", path + "/" + block.id, ""));
    if (!kept.ok()) return std::unexpected(kept.error());
    offset = std::min(static_cast<size_t>(NumberOr(kept.body, "bytes", 0)), block.bytes.size());
    if (offset == block.bytes.size()) offset = 0;
    if (offset > 0) M().resumed.Add();
  }
  const size_t begin = offset;
  offset = 1;  // From now on the hub may have some of it.
  ASSIGN_OR_RETURN(
      const HubAnswer answer,
      client.Ask("POST", path, AsText(block.bytes).substr(begin),
                 {"Content-Type: application/vnd.penstock.frames", "Penstock-Block: " + block.id,
                  fmt::format("Content-Range: bytes {}-{}/{}", begin, block.bytes.size() - 1,
                              block.bytes.size())}));
  if (!answer.ok()) return std::unexpected(answer.error());
  offset = 0;
  const auto missing = answer.body.find("missing");
  if (missing == answer.body.end() || !missing->is_array() || !missing->empty())
    return Unavailable("the hub has not made all of block {} durable yet", block.id);
  return {};
}

// --- The backfill lane

void Uplink::RunBackfill(const std::stop_token& stop, Backfill& lane) {
  milliseconds step = kFirstPause;
  while (!stop.stop_requested()) {
    bool connected;
    {
      std::unique_lock lock(mutex_);
      if (!connected_) wake_.wait_for(lock, stop, kIdle, [&] { return connected_; });
      connected = connected_ && names_ != nullptr;
    }
    if (!connected) {
      Pause(stop, kFirstPause);
      continue;
    }
    const auto sent = SendBackfill(lane);
    if (!sent) {
      if (stop.stop_requested()) return;
      M().errors.Add();
      LogSometimes(LogLevel::kWarn, "uplink-backfill", "uplink: " + sent.error().ToString());
      Pause(stop, NextPause(step));
      continue;
    }
    step = kFirstPause;
    if (!*sent) Pause(stop, kIdle);
  }
}

// The oldest records that no lane has; nothing when there are none.
Result<std::optional<OutBlock>> Uplink::TakeBackfill() {
  const std::lock_guard making(making_);  // Its end is known only when the block is made.
  Backlog::Range range;
  std::shared_ptr<const std::vector<std::string>> names;
  {
    const std::lock_guard lock(mutex_);
    range = backlog_.Backfill();
    names = names_;
    if (!range.empty()) Limit(true);
  }
  if (range.empty()) return std::optional<OutBlock>();
  ASSIGN_OR_RETURN(OutBlock block, backfill_blocks_.Make(range, options_.backfill, *names));
  const std::lock_guard lock(mutex_);
  backlog_.Took(block.records);
  return std::optional(std::move(block));
}

Result<bool> Uplink::SendBackfill(Backfill& lane) {
  if (!lane.block) {
    ASSIGN_OR_RETURN(lane.block, TakeBackfill());
    lane.offset = 0;
    if (!lane.block) return false;
  }
  std::shared_ptr<HubClient> client;
  {
    const std::lock_guard lock(mutex_);
    client = clients_[static_cast<size_t>(&lane - backfill_.data()) + 1];
  }
  if (!lane.block->bytes.empty()) TRY(Send(*client, *lane.block, lane.offset));
  Booked(*lane.block, Lane::kBackfill);
  lane.block.reset();
  return true;
}

Json Uplink::ToJson() const {
  const std::lock_guard lock(mutex_);
  return {
      {"edge", credentials_.edge},
      {"hub", credentials_.hub},
      {"connected", connected_},
      {"error", last_error_.empty() ? Json(nullptr) : Json(last_error_)},
      {"cursor", backlog_.cursor()},
      {"waiting_records", backlog_.waiting(parts_.log.durable_end())},
      {"rows", {{"live", rows_[0]}, {"backfill", rows_[1]}}},
      {"blocks", {{"live", blocks_[0]}, {"backfill", blocks_[1]}}},
      {"bytes", bytes_},
      {"holes", holes_},
      {"lost_rows", lost_rows_},
      {"last_durable", last_durable_ == Time{} ? Json(nullptr) : Json(FormatTime(last_durable_))}};
}

}  // namespace penstock::protocols::uplink
