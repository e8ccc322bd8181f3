// Leases are facts with a time to live. Each hub holds one that says it is there, and with the
// number of those each knows its fair share of the partitions: it takes free ones up to that, and
// gives back what is beyond it when another hub comes. A lease that could not be renewed is given
// up before it can have run out for the others.
#include "protocols/stream/taker.h"

#include <condition_variable>
#include <set>

#include "base/log.h"
#include "base/metrics.h"
#include "protocols/stream/route.h"

namespace penstock::protocols::stream {
namespace {

using Steady = std::chrono::steady_clock;
constexpr auto kSayEvery = std::chrono::milliseconds(250);
constexpr auto kSilence = std::chrono::seconds(30);
constexpr auto kConfirmPatience = std::chrono::seconds(3);
constexpr int kClaimAttempts = 10;
constexpr auto kClaimPause = std::chrono::milliseconds(50);
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
Metric& Skipped() {
  static Metric& metric = Counter("penstock_stream_skipped_total",
                                  "Messages behind missing rows; their edge sends them again.");
  return metric;
}
Metric& Waiting() {
  static Metric& metric =
      Gauge("penstock_stream_rows_unconfirmed",
            "Rows durable here that waited to be confirmed when they were last looked at.");
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
    size_t count = 0, bytes = 0;
    bool failed = false;  // One could not be applied: all behind it come again.
  };
  std::shared_ptr<Moving> moving = std::make_shared<Moving>();
  std::jthread thread;
};

Taker::Taker(TakerOptions options, Parts parts) : options_(std::move(options)), parts_(parts) {}

Taker::~Taker() { Stop(); }

void Taker::Start() {
  {
    const std::lock_guard lock(mutex_);
    says_ = true;
  }
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
    for (const auto& [number, partition] : held_) {
      held.push_back(number);
      partition->thread.request_stop();
    }
  }
  for (const uint32_t number : held) Drop(number);
  say_thread_.request_stop();
  say_thread_.join();
  (void)Confirm();
  // Of a stream that is away the leases run out by themselves.
  storage::Stream& stream = parts_.stream;
  const auto away = [this] {
    const std::lock_guard lock(mutex_);
    return !answered_;
  };
  if (away() || !stream.RenewLease("hub." + options_.hub, options_.hub, member_)) return;
  for (const uint32_t number : held) stream.GiveLease(LeaseName(number));
  stream.GiveLease("hub." + options_.hub);
}

void Taker::HoldLeases(const std::stop_token& stop) {
  const auto every = parts_.stream.options().lease / 5;
  while (!stop.stop_requested()) {
    Answered(Balance());
    Pause(stop, every);
  }
}

Status Taker::Balance() {
  storage::Stream& stream = parts_.stream;
  // Renewing comes first; what fails for too long is dropped in time.
  std::vector<uint32_t> lost;
  // Only this thread changes the map; the network shall hold up nobody, and a stream that is away
  // is asked once, for each question takes seconds then.
  Status away;
  for (auto& [number, partition] : held_) {
    const auto renewed = away ? stream.RenewLease(LeaseName(number), options_.hub, partition->lease)
                              : Result<uint64_t>(std::unexpected(away.error()));
    const bool theirs = !renewed && renewed.error().code == Code::kAborted;
    if (renewed) partition->lease = *renewed, partition->renewed = Steady::now();
    if (!renewed && !theirs) away = std::unexpected(renewed.error());
    const bool late = Steady::now() - partition->renewed > stream.options().lease * 3 / 5;
    if (theirs || (!renewed && late)) lost.push_back(number);
  }
  for (const uint32_t number : lost) {
    LogWarn("stream: partition {} is no longer this hub's", number);
    Drop(number);
  }
  TRY(away);
  auto member = stream.RenewLease("hub." + options_.hub, options_.hub, member_);
  if (!member && member.error().code == Code::kAborted)
    member = stream.TakeLease("hub." + options_.hub, options_.hub);
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
  for (const uint32_t number : surplus) {
    Drop(number);
    (void)SayOnce();
    stream.GiveLease(LeaseName(number));
  }
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
  // What another hub did meanwhile is in the facts.
  std::erase_if(claims_, [&](const auto& each) {
    return PartitionIn(each.first.second) == number && UnconfirmedOf(each.first, each.second) == 0;
  });
  for (auto& [source, claim] : claims_)
    if (PartitionIn(source.second) == number) claim.fresh = false;
  held_[number] = std::move(partition);
  started.thread =
      std::jthread([this, &started](const std::stop_token& stop) { Read(started, stop); });
}

// Finishes what was fetched of it.
void Taker::Drop(uint32_t number) {
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
}

void Taker::Read(Partition& partition, const std::stop_token& stop) {
  std::unique_ptr<storage::StreamReader> reader;
  auto& moving = *partition.moving;
  const size_t moving_bytes = std::min(
      options_.moving_bytes, options_.moving_bytes * 8 / parts_.stream.options().partitions);
  const auto failed = [&] {
    const std::lock_guard lock(moving.mutex);
    return moving.failed;
  };
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
      if (!moving.changed.wait_for(lock, kFetchWait, [&] {
            return moving.count < options_.moving && moving.bytes < moving_bytes;
          }))
        continue;
    }
    auto messages = reader->Fetch(options_.fetch, options_.fetch_bytes, kFetchWait);
    if (!messages) {
      LogSometimes(LogLevel::kWarn, "stream-read", messages.error().ToString());
      reader.reset();
      Pause(stop, std::chrono::milliseconds(250));
      continue;
    }
    for (storage::StreamMessage& message : *messages) {
      if (failed()) break;
      Apply(partition, std::move(message));
    }
    if (!failed()) continue;
    std::unique_lock lock(moving.mutex);
    moving.changed.wait(lock, [&] { return moving.count == 0; });
    moving.failed = false;
    lock.unlock();
    Rewind(partition.number);
    reader.reset();
    Pause(stop, std::chrono::seconds(1));
  }
  // The reader outlives what it has fetched.
  std::unique_lock lock(moving.mutex);
  moving.changed.wait(lock, [&] { return moving.count == 0; });
}

// The first time that this hub hears of an edge's partition since it took it: what other hubs have
// of it, and that from there on it is this hub's.
Status Taker::Meet(const Source& source) {
  std::optional<Claim> before;  // Of rows that it could not confirm when it had the partition last.
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = claims_.find(source); found != claims_.end()) {
      if (found->second.fresh) return {};
      before = found->second;
    }
  }
  const std::string key = AppliedKey(source.first, source.second);
  for (int i = 0;; ++i) {
    Claim claim;
    const auto fact = parts_.stream.Fact(key);
    if (!fact && fact.error().code != Code::kNotFound) return std::unexpected(fact.error());
    if (fact) {
      ASSIGN_OR_RETURN(claim.applied, ParseApplied(fact->value));
      claim.number = fact->number;
    }
    const bool holds = claim.applied.Holds(options_.hub);
    claim.applied.TakeOver(options_.hub);
    if (before && !StillOurs(source, *before, claim.applied))
      return Aborted("rows of {} are another hub's by now", source.first);
    if (holds) return Claimed(source, std::move(claim));
    const auto number = parts_.stream.SetFact(key, FormatApplied(claim.applied), claim.number);
    if (number) {
      claim.number = *number;
      return Claimed(source, std::move(claim));
    }
    if (number.error().code != Code::kAborted || i == kClaimAttempts)
      return std::unexpected(number.error());
    std::this_thread::sleep_for(kClaimPause);  // A reading may be a moment old.
  }
}

Status Taker::Claimed(const Source& source, Claim claim) {
  const auto& [edge, epoch] = source;
  const uint64_t here = parts_.origins.StateOf(edge, epoch).durable;
  if (claim.applied.rows > here) {
    const auto noted = parts_.origins.NoteGap(edge, epoch, {here, claim.applied.rows},
                                              "durable at another hub", parts_.clock.Now());
    if (!noted) return std::unexpected(noted.error());
  }
  const std::lock_guard lock(mutex_);
  claim.next = std::max(here, claim.applied.rows);
  claims_.insert_or_assign(source, std::move(claim));
  return {};
}

Taker::Place Taker::PlaceOf(const Source& source, uint64_t first, uint64_t rows) {
  const std::lock_guard lock(mutex_);
  const auto found = claims_.find(source);
  if (found == claims_.end()) return Place::kUnclaimed;
  uint64_t& next = found->second.next;
  if (first > next) return Place::kBehindHole;
  next = std::max(next, first + rows);
  return Place::kNext;
}

// Nothing of the partition is on its way any more: the next row is the first that is not durable.
void Taker::Rewind(uint32_t partition) {
  const std::lock_guard lock(mutex_);
  for (auto& [source, claim] : claims_)
    if (PartitionIn(source.second) == partition)
      claim.next =
          std::max(claim.applied.rows, parts_.origins.StateOf(source.first, source.second).durable);
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
  const Source source{id->edge, id->epoch};
  const Status met = Meet(source);
  if (!met) LogSometimes(LogLevel::kWarn, "stream-claim", met.error().ToString());
  const Place place = met ? PlaceOf(source, id->first, id->rows) : Place::kUnclaimed;
  if (place == Place::kUnclaimed) {
    const std::lock_guard lock(partition.moving->mutex);
    partition.moving->failed = true;
    return;
  }
  if (place == Place::kBehindHole) {
    ++skipped_;
    Skipped().Add();
    message.done();
    return;
  }
  const size_t bytes = message.bytes.size();
  {
    const std::lock_guard lock(partition.moving->mutex);
    ++partition.moving->count;
    partition.moving->bytes += bytes;
  }
  parts_.receiver.Take(id->edge, message.id, 0, bytes, std::move(message.bytes), false,
                       [this, bytes, id = *id, done = std::move(message.done),
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
                         const std::lock_guard lock(moving->mutex);
                         // What is behind it would not be confirmed: it comes again.
                         if (!answer) moving->failed = true;
                         --moving->count;
                         moving->bytes -= bytes;
                         moving->changed.notify_all();
                       });
}

void Taker::Say(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    asked_changed_.wait_for(lock, stop, kSayEvery, [&] { return asked_ > said_; });
    const uint64_t asked = asked_;
    lock.unlock();
    (void)SayOnce();
    lock.lock();
    said_ = asked;
    said_changed_.notify_all();
  }
  says_ = false;
  said_changed_.notify_all();
}

Status Taker::Confirm() {
  bool confirmed = false;
  {
    std::unique_lock lock(mutex_);
    const bool silent = Steady::now() < silent_until_;
    // Also of messages that are not answered, for some of their rows are still on their way.
    for (const auto& [source, claim] : claims_)
      if (!silent && UnconfirmedOf(source, claim) > 0) changed_.try_emplace(source);
    const uint64_t mine = silent ? 0 : ++asked_;
    asked_changed_.notify_all();
    said_changed_.wait_for(lock, kConfirmPatience, [&] { return said_ >= mine || !says_; });
    confirmed = !silent && said_ >= mine && answered_;
    if (!silent && !says_) {
      lock.unlock();
      confirmed = SayOnce().has_value();
    }
  }
  LookForHoles(confirmed);
  const uint64_t rows = Unconfirmed();
  if (rows == 0) return {};
  const std::lock_guard lock(mutex_);
  auto error =
      Unavailable("{} rows of the stream wait to be confirmed: {}", rows,
                  confirmed   ? "rows before them are missing"
                  : answered_ ? "the stream does not answer"
                              : fmt::format("the stream is away since {}: {}",
                                            FormatTime(failing_since_), answered_.error().message));
  error.error().Fix("look at the NATS servers that stream: names");
  return error;
}

Status Taker::SayOnce() {
  const std::lock_guard saying(saying_);
  decltype(changed_) changed;
  {
    const std::lock_guard lock(mutex_);
    changed.swap(changed_);
  }
  Status status;
  for (auto& [source, done] : changed) {
    const auto said = status ? SayOf(source) : Result<bool>(false);
    if (!said) status = std::unexpected(said.error());
    if (said && status) {
      for (const auto& give_back : *said ? done : Answers()) give_back();
      continue;
    }
    const std::lock_guard lock(mutex_);
    auto& again = changed_[source];
    again.insert(again.begin(), done.begin(), done.end());
  }
  if (!changed.empty()) Answered(status);
  return status;
}

void Taker::Answered(const Status& status) {
  const std::lock_guard lock(mutex_);
  if (!status) {
    LogSometimes(LogLevel::kWarn, "stream-away", status.error().ToString());
    if (answered_) failing_since_ = parts_.clock.Now();
    silent_until_ = Steady::now() + kSilence;
  } else {
    silent_until_ = {};
  }
  answered_ = status;
}

// Fails when the stream is away. False: the rows turn out to be another hub's, which gets the
// messages again.
Result<bool> Taker::SayOf(const Source& source) {
  const auto& [edge, epoch] = source;
  const uint64_t durable = parts_.origins.StateOf(edge, epoch).durable;
  const std::string key = AppliedKey(edge, epoch);
  for (int i = 0;; ++i) {
    Claim claim;
    {
      const std::lock_guard lock(mutex_);
      const auto found = claims_.find(source);
      if (found == claims_.end()) return false;
      claim = found->second;
    }
    if (durable <= claim.applied.rows) break;
    Applied now = claim.applied;
    now.rows = durable;
    auto number = parts_.stream.SetFact(key, FormatApplied(now), claim.number);
    if (!number && (number.error().code != Code::kAborted || i == kClaimAttempts))
      return std::unexpected(number.error());
    if (!number) {
      // Our own word whose answer was lost, or another hub's, or a stream that lost its facts.
      const auto fact = parts_.stream.Fact(key);
      if (!fact && fact.error().code != Code::kNotFound) return std::unexpected(fact.error());
      now = claim.applied;
      if (fact) {
        ASSIGN_OR_RETURN(now, ParseApplied(fact->value));
      }
      if (!StillOurs(source, claim, now)) return false;
      number = fact ? fact->number : 0;
      if (i > 0) std::this_thread::sleep_for(kClaimPause);
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = claims_.find(source); found != claims_.end()) {
      found->second.applied = now;
      found->second.number = *number;
    }
  }
  (void)parts_.stream.Tell(edge, fmt::format("{:x} {}", epoch, durable));
  return true;
}

// Rows that are durable here and, as far as this hub knows, nobody's by the facts.
uint64_t Taker::UnconfirmedOf(const Source& source, const Claim& claim) const {
  uint64_t rows = 0;
  for (const auto& range : parts_.origins.StateOf(source.first, source.second).ranges)
    rows += range.to - std::clamp(claim.applied.rows, range.from, range.to);
  return rows;
}

uint64_t Taker::Unconfirmed() const {
  uint64_t rows = 0;
  const std::lock_guard lock(mutex_);
  for (const auto& [source, claim] : claims_) rows += UnconfirmedOf(source, claim);
  Waiting().Set(static_cast<int64_t>(rows));
  return rows;
}

// Whether the rows that wait to be confirmed still can be, as the fact is now. If not, only a
// replay of the log forgets them.
bool Taker::StillOurs(const Source& source, const Claim& claim, const Applied& now) {
  uint64_t lost = 0;
  for (const auto& range : parts_.origins.StateOf(source.first, source.second).ranges)
    lost += now.LostRows(options_.hub, std::max(range.from, claim.applied.rows), range.to);
  if (lost == 0 && now.Holds(options_.hub)) return true;
  if (lost > 0) {
    parts_.start_anew(
        fmt::format("another hub took over {} of {} from row {} on; {} rows that were "
                    "not confirmed here are left out",
                    PartitionIn(source.second), source.first, claim.applied.rows, lost));
    return false;
  }
  const std::lock_guard lock(mutex_);
  claims_.erase(source);
  return false;
}

// Rows whose predecessors do not come: the next replay forgets them, and they come again.
void Taker::LookForHoles(bool confirmed) {
  std::optional<std::pair<Source, uint64_t>> hole;
  bool too_long = false;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [source, claim] : claims_) {
      if (!confirmed || hole) break;
      if (UnconfirmedOf(source, claim) > 0) hole = {source, claim.applied.rows};
    }
    if (hole != hole_) hole_since_ = Steady::now();
    hole_ = hole;
    too_long = hole_ && Steady::now() - hole_since_ > options_.hole_patience;
  }
  if (too_long)
    parts_.start_anew(fmt::format("row {} of {} in {} does not come; rows behind it are left out",
                                  hole->second, hole->first.first,
                                  PartitionIn(hole->first.second)));
}

Json Taker::ToJson() const {
  Json json = {{"hub", options_.hub},          {"partitions", Json::array()},
               {"messages", messages_.load()}, {"refused", refused_.load()},
               {"skipped", skipped_.load()},   {"unconfirmed", Unconfirmed()}};
  const std::lock_guard lock(mutex_);
  for (const auto& [number, partition] : held_) json["partitions"].push_back(number);
  if (!answered_)
    json["error"] =
        fmt::format("away since {}: {}", FormatTime(failing_since_), answered_.error().message);
  return json;
}

}  // namespace penstock::protocols::stream
