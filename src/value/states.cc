#include "value/states.h"

#include <algorithm>

#include "base/log.h"

namespace penstock::value {
namespace {

constexpr std::chrono::seconds kStatesFlushEvery{
    5};  // Real time; what a crash loses of this comes back with the log's replay.
constexpr size_t kChangesMax = 200'000;  // Per machine, in memory.

}  // namespace

Result<std::unique_ptr<States>> States::Open(storage::Records& records, const Clock& clock,
                                             const AlarmFacts& facts) {
  TRY(records.Migrate("value_states", {{1, R"sql(
    CREATE TABLE value_running (
      thing TEXT NOT NULL, at INTEGER NOT NULL, run INTEGER NOT NULL,
      PRIMARY KEY (thing, at)) WITHOUT ROWID;
    CREATE TABLE value_last_seen (thing TEXT PRIMARY KEY, at INTEGER NOT NULL);
  )sql"}}));
  std::unique_ptr<States> states(new States(records, clock, facts));
  TRY(states->Load());
  return states;
}

States::~States() {
  if (auto flushed = Flush(); !flushed) LogError("machine states: {}", flushed.error().ToString());
}

Status States::Load() {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT thing, at, run FROM value_running ORDER BY thing, at"));
  for (const auto& row : rows) {
    machines_[row.Text(0)].changes.push_back(
        {FromMicros(row.Integer(1)), static_cast<Run>(row.Integer(2))});
  }
  ASSIGN_OR_RETURN(const auto seen, records_.Query("SELECT thing, at FROM value_last_seen"));
  for (const auto& row : seen) machines_[row.Text(0)].last_seen = FromMicros(row.Integer(1));
  for (auto& [thing, machine] : machines_) machine.stored = machine.changes.size();
  return {};
}

void States::Configure(std::vector<KpiFile> files, const things::Snapshot& snapshot) {
  const std::lock_guard lock(mutex_);
  files_.clear();
  running_points_.clear();
  asset_thing_.clear();
  for (auto& file : files) {
    for (const auto& machine : file.machines) {
      if (const auto* thing = snapshot.FindThing(machine)) asset_thing_[thing->asset] = machine;
      const auto* point = snapshot.FindPoint(machine + "/" + file.states.running);
      if (point != nullptr) running_points_[point->id] = {machine, file.states.unknown_after};
    }
    files_.push_back(std::make_shared<const KpiFile>(std::move(file)));
  }
}

void States::Observe(const telemetry::Batch& batch) {
  {
    const std::lock_guard lock(mutex_);
    PointId last_id;
    const Watched* watched = nullptr;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (batch.point[i] != last_id) {
        last_id = batch.point[i];
        const auto found = running_points_.find(last_id);
        watched = found == running_points_.end() ? nullptr : &found->second;
      }
      if (watched == nullptr || telemetry::IsBad(batch.quality[i])) continue;
      if (batch.quality[i] == telemetry::kUncertainLastUsableValue) continue;
      See(watched->thing, batch.source_time[i], batch.value[i] >= 0.5, watched->unknown_after);
    }
  }
  const auto now = std::chrono::steady_clock::now();
  if (now < next_flush_) return;
  next_flush_ = now + kStatesFlushEvery;
  if (auto flushed = Flush(); !flushed)
    LogSometimes(LogLevel::kError, "states", flushed.error().ToString());
}

void States::See(const std::string& thing, Time time, bool running, Duration unknown_after) {
  Machine& machine = machines_[thing];
  if (machine.last_seen && time <= *machine.last_seen) return;  // Replayed, or late.
  const bool silent = machine.last_seen && time - *machine.last_seen > unknown_after;
  if (silent && !machine.changes.empty() && machine.changes.back().run != Run::kUnknown) {
    machine.changes.push_back({*machine.last_seen + unknown_after, Run::kUnknown});
  }
  machine.last_seen = time;
  machine.dirty = true;
  const Run run = running ? Run::kRunning : Run::kStopped;
  if (!machine.changes.empty() && machine.changes.back().run == run) return;
  machine.changes.push_back({time, run});
  if (machine.changes.size() <= kChangesMax) return;
  const size_t drop = machine.changes.size() / 10;
  if (drop > machine.stored) return;  // Not while the records fail.
  machine.changes.erase(machine.changes.begin(),
                        machine.changes.begin() + static_cast<ptrdiff_t>(drop));
  machine.stored -= drop;
}

Status States::Flush() {
  const std::lock_guard lock(mutex_);
  if (std::ranges::none_of(machines_, [](const auto& entry) { return entry.second.dirty; }))
    return {};
  TRY(records_.Transaction([&]() -> Status {
    for (const auto& [thing, machine] : machines_) {
      if (!machine.dirty) continue;
      for (size_t i = machine.stored; i < machine.changes.size(); ++i) {
        TRY(records_.Run("INSERT OR REPLACE INTO value_running VALUES (?, ?, ?)",
                         {thing, ToMicros(machine.changes[i].at),
                          static_cast<int64_t>(machine.changes[i].run)}));
      }
      TRY(records_.Run("INSERT OR REPLACE INTO value_last_seen VALUES (?, ?)",
                       {thing, ToMicros(*machine.last_seen)}));
    }
    return {};
  }));
  for (auto& [thing, machine] : machines_) {
    machine.stored = machine.changes.size();
    machine.dirty = false;
  }
  return {};
}

std::optional<States::Place> States::PlaceOf(const std::string& asset) const {
  const auto by_asset = asset_thing_.find(asset);
  const std::string& thing = by_asset == asset_thing_.end() ? asset : by_asset->second;
  for (const auto& file : files_) {
    if (file->asset == asset || file->name == asset) return Place{file, ""};
    if (std::ranges::find(file->machines, thing) != file->machines.end()) return Place{file, thing};
  }
  return std::nullopt;
}

std::map<std::string, std::vector<StateSpan>> States::OfLine(const KpiFile& file, Time from,
                                                             Time to) const {
  std::map<std::string, std::vector<StateSpan>> spans;
  for (const auto& thing : file.machines) {
    const auto machine = machines_.find(thing);
    std::vector<RunningChange> changes;
    if (machine != machines_.end()) {
      changes = machine->second.changes;
      // Silent by now: what it was last is not what it is.
      const auto& seen = machine->second.last_seen;
      if (seen && *seen + file.states.unknown_after < to) {
        changes.push_back({*seen + file.states.unknown_after, Run::kUnknown});
      }
    }
    spans[thing] = ClassifyStops(
        changes, facts_.Touching(thing, from - kLookBack - file.states.repair_within, to), file,
        from, to);
  }
  ExplainWaiting(spans, file);
  return spans;
}

std::string States::Now(const std::string& asset) const {
  // One more moment than now, so that the present state has a length.
  const Time now = clock_.Now() + Duration(1);
  const std::lock_guard lock(mutex_);
  const auto place = PlaceOf(asset);
  if (!place) return "unknown";
  // Far enough back that the present stop is judged by its length.
  auto spans = OfLine(*place->file, now - kLookBack, now);
  const auto chosen = place->thing.empty() ? LineSpans(spans, *place->file) : spans[place->thing];
  return std::string(
      MachineStateName(chosen.empty() ? MachineState::kUnknown : chosen.back().state));
}

Result<std::vector<StateSpan>> States::List(const std::string& asset, Time from, Time to) const {
  to = std::min(to, clock_.Now());
  const std::lock_guard lock(mutex_);
  const auto place = PlaceOf(asset);
  if (!place) {
    auto error = NotFound("no KPI file names the asset {}", asset);
    error.error().Fix("add it to the machines of a file in kpis/");
    return error;
  }
  if (from >= to) return std::vector<StateSpan>();
  auto spans = OfLine(*place->file, from, to);
  return place->thing.empty() ? LineSpans(spans, *place->file) : std::move(spans[place->thing]);
}

std::shared_ptr<const KpiFile> States::FileOf(const std::string& asset) const {
  const std::lock_guard lock(mutex_);
  const auto place = PlaceOf(asset);
  return place ? place->file : nullptr;
}

std::vector<std::shared_ptr<const KpiFile>> States::files() const {
  const std::lock_guard lock(mutex_);
  return files_;
}

std::vector<std::string> States::ThingsOf(const std::string& asset) const {
  const std::lock_guard lock(mutex_);
  const auto place = PlaceOf(asset);
  if (!place) return {};
  return place->thing.empty() ? place->file->machines : std::vector<std::string>{place->thing};
}

std::optional<Time> States::Begin(const std::string& asset) const {
  const auto things = ThingsOf(asset);
  const std::lock_guard lock(mutex_);
  std::optional<Time> begin;
  for (const auto& thing : things) {
    const auto machine = machines_.find(thing);
    if (machine == machines_.end() || machine->second.changes.empty()) continue;
    const Time first = machine->second.changes.front().at;
    if (!begin || first < *begin) begin = first;
  }
  return begin;
}

}  // namespace penstock::value
