// Leases are facts with a time to live. Each hub holds one that says it is there, and with the
// number of those each knows its fair share of the partitions: it takes free ones up to that, and
// gives back what is beyond it when another hub comes. A lease that could not be renewed is given
// up before it can have run out for the others.
#include "protocols/stream/taker.h"

#include <charconv>
#include <condition_variable>

#include "base/log.h"
#include "base/metrics.h"
#include "protocols/stream/route.h"

namespace penstock::protocols::stream {
namespace {

using Steady = std::chrono::steady_clock;
constexpr auto kSayEvery = std::chrono::milliseconds(100);
constexpr auto kFetchWait = std::chrono::milliseconds(250);

std::string LeaseName(uint32_t partition) { return fmt::format("partition.p{:02}", partition); }

Metric& Messages() {
  static Metric& metric =
      Counter("penstock_stream_messages_total", "Messages of the stream that are durable here.");
  return metric;
}
Metric& Refused() {
  static Metric& metric =
      Counter("penstock_stream_refused_total", "Messages of the stream that cannot be read.");
  return metric;
}

void Pause(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

struct Taker::Partition {
  uint32_t number = 0;
  uint64_t lease = 0;
  Steady::time_point renewed;
  // Messages fetched and not yet answered; shared with the answers that are still to come.
  struct Moving {
    std::mutex mutex;
    std::condition_variable changed;
    size_t count = 0;
  };
  std::shared_ptr<Moving> moving = std::make_shared<Moving>();
  std::jthread thread;
};

Taker::Taker(TakerOptions options, Parts parts) : options_(std::move(options)), parts_(parts) {}

Taker::~Taker() { Stop(); }

void Taker::Start() {
  say_thread_ = std::jthread([this](const std::stop_token& stop) { Say(stop); });
  leases_thread_ = std::jthread([this](const std::stop_token& stop) { HoldLeases(stop); });
}

void Taker::Stop() {
  if (!leases_thread_.joinable()) return;
  leases_thread_.request_stop();
  leases_thread_.join();
  std::vector<uint32_t> held;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, partition] : held_) held.push_back(number);
  }
  for (const uint32_t number : held) Drop(number, true);
  say_thread_.request_stop();
  say_thread_.join();
  parts_.stream.GiveLease("hub." + options_.hub);
}

void Taker::HoldLeases(const std::stop_token& stop) {
  const auto every = parts_.stream.options().lease / 5;
  while (!stop.stop_requested()) {
    if (const Status balanced = Balance(); !balanced)
      LogSometimes(LogLevel::kWarn, "stream-leases", balanced.error().ToString());
    Pause(stop, every);
  }
}

Status Taker::Balance() {
  storage::Stream& stream = parts_.stream;
  // Renewing comes first; what fails for too long is dropped in time.
  std::vector<uint32_t> lost;
  // Only this thread changes the map; the network shall hold up nobody.
  for (auto& [number, partition] : held_) {
    const auto renewed = stream.RenewLease(LeaseName(number), options_.hub, partition->lease);
    if (renewed) partition->lease = *renewed, partition->renewed = Steady::now();
    const bool late = Steady::now() - partition->renewed > stream.options().lease * 3 / 5;
    if (!renewed && (renewed.error().code == Code::kAborted || late)) lost.push_back(number);
  }
  for (const uint32_t number : lost) {
    LogWarn("stream: partition {} is no longer this hub's", number);
    Drop(number, false);
  }
  auto member = member_ == 0 ? stream.TakeLease("hub." + options_.hub, options_.hub)
                             : stream.RenewLease("hub." + options_.hub, options_.hub, member_);
  member_ = member ? *member : 0;
  if (!member) return std::unexpected(member.error());

  ASSIGN_OR_RETURN(const auto leases, stream.Leases());
  std::set<std::string> taken(leases.begin(), leases.end());
  size_t hubs = 0;
  for (const std::string& name : taken) hubs += name.starts_with("hub.") ? 1 : 0;
  const uint32_t partitions = stream.options().partitions;
  const size_t share = (partitions + std::max<size_t>(hubs, 1) - 1) / std::max<size_t>(hubs, 1);
  size_t mine = 0;
  std::vector<uint32_t> surplus;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, partition] : held_)
      if (++mine > share) surplus.push_back(number);
  }
  for (const uint32_t number : surplus) Drop(number, true);
  for (uint32_t i = 0; i < partitions && mine < share; ++i) {
    if (taken.contains(LeaseName(i))) continue;
    const size_t before = mine;
    Take(i);
    const std::lock_guard lock(mutex_);
    mine = held_.contains(i) ? before + 1 : before;
  }
  return {};
}

void Taker::Take(uint32_t number) {
  const auto lease = parts_.stream.TakeLease(LeaseName(number), options_.hub);
  if (!lease) return;  // Another hub was faster.
  auto partition = std::make_unique<Partition>();
  partition->number = number;
  partition->lease = *lease;
  partition->renewed = Steady::now();
  Partition& started = *partition;
  const std::lock_guard lock(mutex_);
  // What another hub did meanwhile is in the facts again.
  std::erase_if(met_, [&](const auto& edge) { return PartitionIn(edge.second) == number; });
  held_[number] = std::move(partition);
  started.thread =
      std::jthread([this, &started](const std::stop_token& stop) { Read(started, stop); });
}

void Taker::Drop(uint32_t number, bool give_back) {
  std::unique_ptr<Partition> partition;
  {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(number);
    if (found == held_.end()) return;
    partition = std::move(found->second);
    held_.erase(found);
  }
  partition->thread.request_stop();
  partition->thread.join();
  if (!give_back) return;
  SayOnce();
  parts_.stream.GiveLease(LeaseName(number));
}

void Taker::Read(Partition& partition, const std::stop_token& stop) {
  std::unique_ptr<storage::StreamReader> reader;
  auto& moving = *partition.moving;
  while (!stop.stop_requested()) {
    if (!reader) {
      auto opened = parts_.stream.Read(partition.number);
      if (!opened) {
        LogSometimes(LogLevel::kWarn, "stream-read", opened.error().ToString());
        Pause(stop, std::chrono::seconds(1));
        continue;
      }
      reader = std::move(*opened);
    }
    {
      std::unique_lock lock(moving.mutex);
      if (!moving.changed.wait_for(lock, kFetchWait,
                                   [&] { return moving.count < options_.moving; }))
        continue;
    }
    auto messages = reader->Fetch(options_.fetch, kFetchWait);
    if (!messages) {
      LogSometimes(LogLevel::kWarn, "stream-read", messages.error().ToString());
      reader.reset();
      Pause(stop, std::chrono::milliseconds(250));
      continue;
    }
    for (storage::StreamMessage& message : *messages) Apply(partition, std::move(message));
  }
  // The reader outlives what it has fetched.
  std::unique_lock lock(moving.mutex);
  moving.changed.wait(lock, [&] { return moving.count == 0; });
}

// The first time that this hub hears of an edge's partition: what other hubs have of it.
void Taker::Meet(const std::string& edge, uint64_t epoch) {
  {
    const std::lock_guard lock(mutex_);
    if (!met_.insert({edge, epoch}).second) return;
  }
  const auto fact = parts_.stream.Fact(AppliedKey(edge, epoch));
  if (!fact) return;
  uint64_t applied = 0;
  (void)std::from_chars(fact->data(), fact->data() + fact->size(), applied);
  const uint64_t here = parts_.origins.StateOf(edge, epoch).durable;
  if (applied <= here) return;
  const auto noted = parts_.origins.NoteGap(edge, epoch, {here, applied}, "durable at another hub",
                                            parts_.clock.Now());
  if (!noted) LogWarn("stream: {}", noted.error().ToString());
}

void Taker::Apply(Partition& partition, storage::StreamMessage message) {
  const auto id = ParseMessageId(message.id);
  if (!id || PartitionIn(id->epoch) != partition.number) {
    ++refused_;
    Refused().Add();
    LogSometimes(LogLevel::kWarn, "stream-id",
                 fmt::format("stream: a message of partition {} is not ours: \"{}\"",
                             partition.number, message.id.substr(0, 100)));
    message.done();
    return;
  }
  Meet(id->edge, id->epoch);
  {
    const std::lock_guard lock(partition.moving->mutex);
    ++partition.moving->count;
  }
  const size_t bytes = message.bytes.size();
  parts_.receiver.Take(id->edge, message.id, 0, bytes, std::move(message.bytes), false,
                       [this, id = *id, done = std::move(message.done),
                        moving = partition.moving](const Result<Json>& answer) {
                         const bool unreadable =
                             !answer && (answer.error().code == Code::kInvalidArgument ||
                                         answer.error().code == Code::kOutOfRange ||
                                         answer.error().code == Code::kPermissionDenied);
                         if (answer) {
                           ++messages_;
                           Messages().Add();
                           const std::lock_guard lock(mutex_);
                           changed_[{id.edge, id.epoch}].push_back(done);
                         } else if (unreadable) {
                           ++refused_;
                           Refused().Add();
                           done();  // It would not become readable; the edge sends its rows again.
                         }
                         // Anything else comes again when the stream misses the acknowledgement.
                         const std::lock_guard lock(moving->mutex);
                         --moving->count;
                         moving->changed.notify_all();
                       });
}

void Taker::Say(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    Pause(stop, kSayEvery);
    SayOnce();
  }
}

void Taker::SayOnce() {
  decltype(changed_) changed;
  {
    const std::lock_guard lock(mutex_);
    changed.swap(changed_);
  }
  for (auto& [source, done] : changed) {
    const auto& [edge, epoch] = source;
    const uint64_t durable = parts_.origins.StateOf(edge, epoch).durable;
    const Status kept = parts_.stream.SetFact(AppliedKey(edge, epoch), std::to_string(durable));
    if (kept) {
      (void)parts_.stream.Tell(edge, fmt::format("{:x} {}", epoch, durable));
      for (const auto& give_back : done) give_back();
      continue;
    }
    LogSometimes(LogLevel::kWarn, "stream-say", kept.error().ToString());
    const std::lock_guard lock(mutex_);
    auto& again = changed_[source];
    again.insert(again.end(), done.begin(), done.end());
  }
}

Json Taker::ToJson() const {
  Json partitions = Json::array();
  const std::lock_guard lock(mutex_);
  for (const auto& [number, partition] : held_) partitions.push_back(number);
  return {{"hub", options_.hub},
          {"partitions", std::move(partitions)},
          {"messages", messages_.load()},
          {"refused", refused_.load()}};
}

}  // namespace penstock::protocols::stream
