// The promise: a range is called durable only after the log's sync, and once called so it stays so.
// Three things keep it over a crash. The log's records carry their origin, so replay finds the
// ranges again; before the log's cursor passes records, their ranges are written to the database;
// and a range that is on its way is never called durable, nor given to a second sender, so two
// connections that send the same rows cannot have them applied twice.
#include "telemetry/origins.h"

#include <algorithm>

#include "base/log.h"
#include "base/metrics.h"

namespace penstock::telemetry {
namespace {

Metric& Again() {
  static Metric& metric =
      Counter("penstock_uplink_rows_again_total", "Rows an edge sent that were here already.");
  return metric;
}
Metric& Gaps() {
  static Metric& metric = Counter("penstock_uplink_rows_missing_total",
                                  "Rows of edges that will never come; each gap is written down.");
  return metric;
}

std::string RangesText(const SequenceSet& set) {
  Json ranges = Json::array();
  for (const SequenceRange& range : set.all()) ranges.push_back({range.from, range.to});
  return ranges.dump();
}

}  // namespace

// --- SequenceSet

void SequenceSet::Add(SequenceRange range) {
  if (range.empty()) return;
  auto next = ranges_.upper_bound(range.from);
  if (next != ranges_.begin()) {
    const auto before = std::prev(next);
    if (before->second >= range.from) {
      range.from = before->first;
      range.to = std::max(range.to, before->second);
      ranges_.erase(before);
    }
  }
  while (next != ranges_.end() && next->first <= range.to) {
    range.to = std::max(range.to, next->second);
    next = ranges_.erase(next);
  }
  ranges_.emplace(range.from, range.to);
}

void SequenceSet::Remove(SequenceRange range) {
  if (range.empty()) return;
  auto at = ranges_.upper_bound(range.from);
  if (at != ranges_.begin()) --at;
  while (at != ranges_.end() && at->first < range.to) {
    const auto [from, to] = *at;
    if (to <= range.from) {
      ++at;
      continue;
    }
    at = ranges_.erase(at);
    if (from < range.from) ranges_.emplace(from, range.from);
    if (to > range.to) ranges_.emplace(range.to, to);
  }
}

std::vector<SequenceRange> SequenceSet::Missing(SequenceRange within) const {
  std::vector<SequenceRange> missing;
  uint64_t at = within.from;
  auto next = ranges_.upper_bound(within.from);
  if (next != ranges_.begin()) at = std::max(at, std::prev(next)->second);
  for (; next != ranges_.end() && next->first < within.to; ++next) {
    if (at < next->first) missing.push_back({at, next->first});
    at = std::max(at, next->second);
  }
  if (at < within.to) missing.push_back({at, within.to});
  return missing;
}

std::vector<SequenceRange> SequenceSet::all() const {
  std::vector<SequenceRange> all;
  for (const auto& [from, to] : ranges_) all.push_back({from, to});
  return all;
}

// --- Origins

Result<std::unique_ptr<Origins>> Origins::Open(storage::Records& records) {
  std::unique_ptr<Origins> origins(new Origins(records));
  TRY(origins->Load());
  return origins;
}

Status Origins::Load() {
  TRY(records_.Migrate(
      "origins",
      {{1,
        "CREATE TABLE origins (edge TEXT NOT NULL, epoch TEXT NOT NULL, ranges TEXT NOT NULL, "
        "row_count INTEGER NOT NULL, PRIMARY KEY (edge, epoch));"
        "CREATE TABLE origin_gaps (id INTEGER PRIMARY KEY, edge TEXT NOT NULL, epoch TEXT NOT "
        "NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL, at INTEGER "
        "NOT NULL)"}}));
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT edge, epoch, ranges, row_count FROM origins"));
  for (const storage::SqlRow& row : rows) {
    ASSIGN_OR_RETURN(const Json ranges, ParseJson(row.Text(2)));
    One& one = all_[{row.Text(0), std::stoull("0" + row.Text(1))}];
    for (const Json& range : ranges)
      one.durable.Add({range.at(0).get<uint64_t>(), range.at(1).get<uint64_t>()});
    one.received = one.durable.end();
    one.rows = static_cast<uint64_t>(row.Integer(3));
  }
  return {};
}

Origins::One* Origins::Find(const std::string& edge, uint64_t epoch) {
  const auto found = all_.find({edge, epoch});
  return found == all_.end() ? nullptr : &found->second;
}
const Origins::One* Origins::Find(const std::string& edge, uint64_t epoch) const {
  const auto found = all_.find({edge, epoch});
  return found == all_.end() ? nullptr : &found->second;
}

void Origins::Observe(const Batch& batch) {
  if (batch.origin.edge.empty() || batch.empty()) return;
  const std::lock_guard lock(mutex_);
  One& one = all_[{batch.origin.edge, batch.origin.epoch}];
  const SequenceRange range{batch.origin.first, batch.origin.first + batch.size()};
  for (const SequenceRange& fresh : one.durable.Missing(range)) one.rows += fresh.to - fresh.from;
  one.durable.Add(range);
  one.received = std::max(one.received, range.to);
  one.changed = true;
}

Result<std::vector<SequenceRange>> Origins::Begin(const std::string& edge, uint64_t epoch,
                                                  SequenceRange range) {
  const std::lock_guard lock(mutex_);
  if (Find(edge, epoch) == nullptr) {
    size_t epochs = 0;
    for (auto at = all_.lower_bound({edge, 0}); at != all_.end() && at->first.first == edge; ++at)
      ++epochs;
    if (epochs >= kOriginEpochsMax)
      return ResourceExhausted("edge {} began {} times with an empty data folder; at most {}", edge,
                               epochs, kOriginEpochsMax);
  }
  One& one = all_[{edge, epoch}];
  if (one.durable.count() + one.moving.count() >= kOriginRangesMax &&
      range.from > one.durable.end())
    return ResourceExhausted("edge {} has {} gaps open; it must fill some first", edge,
                             one.durable.count());
  std::vector<SequenceRange> fresh;
  for (const SequenceRange& part : one.durable.Missing(range))
    for (const SequenceRange& left : one.moving.Missing(part)) fresh.push_back(left);
  uint64_t again = range.to - range.from;
  for (const SequenceRange& part : fresh) {
    one.moving.Add(part);
    again -= part.to - part.from;
  }
  one.again += again;
  Again().Add(again);
  one.received = std::max(one.received, range.to);
  return fresh;
}

void Origins::Done(const std::string& edge, uint64_t epoch, SequenceRange part, bool durable) {
  const std::lock_guard lock(mutex_);
  One& one = all_[{edge, epoch}];
  one.moving.Remove(part);
  if (!durable) return;
  for (const SequenceRange& fresh : one.durable.Missing(part)) one.rows += fresh.to - fresh.from;
  one.durable.Add(part);
  one.changed = true;
}

Origins::State Origins::StateOf(const std::string& edge, uint64_t epoch) const {
  const std::lock_guard lock(mutex_);
  State state;
  const One* one = Find(edge, epoch);
  if (one == nullptr) return state;
  state.received = one->received;
  state.ranges = one->durable.all();
  if (!state.ranges.empty() && state.ranges.front().from == 0)
    state.durable = state.ranges.front().to;
  return state;
}

std::vector<SequenceRange> Origins::Missing(const std::string& edge, uint64_t epoch,
                                            SequenceRange range) const {
  const std::lock_guard lock(mutex_);
  if (range.empty()) return {};
  const One* one = Find(edge, epoch);
  return one == nullptr ? std::vector{range} : one->durable.Missing(range);
}

Result<uint64_t> Origins::NoteGap(const std::string& edge, uint64_t epoch, SequenceRange range,
                                  const std::string& reason, Time at) {
  const auto missing = Missing(edge, epoch, range);
  uint64_t rows = 0;
  for (const SequenceRange& gap : missing) {
    TRY(
        records_.Run("INSERT INTO origin_gaps (edge, epoch, first, last, reason, at) "
                     "VALUES (?, ?, ?, ?, ?, ?)",
                     {edge, std::to_string(epoch), static_cast<int64_t>(gap.from),
                      static_cast<int64_t>(gap.to - 1), reason.substr(0, 200), ToMicros(at)}));
    LogWarn("uplink: edge {}: rows {} to {} will never come: {}", edge, gap.from, gap.to - 1,
            reason);
    rows += gap.to - gap.from;
  }
  if (missing.empty()) return 0;
  Gaps().Add(rows);
  {
    const std::lock_guard lock(mutex_);
    One& one = all_[{edge, epoch}];
    for (const SequenceRange& gap : missing) one.durable.Add(gap);
    one.changed = true;
  }
  TRY(Persist());
  return rows;
}

void Origins::Forget(const std::string& edge, uint64_t epoch, SequenceRange range) {
  const std::lock_guard lock(mutex_);
  One* const one = Find(edge, epoch);
  if (one == nullptr || range.empty()) return;
  uint64_t here = range.to - range.from;
  for (const SequenceRange& missing : one->durable.Missing(range))
    here -= missing.to - missing.from;
  one->durable.Remove(range);
  one->rows -= std::min(one->rows, here);
  one->changed = true;
}

Status Origins::Persist() {
  std::vector<std::pair<Key, std::pair<std::string, uint64_t>>> changed;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [key, one] : all_)
      if (std::exchange(one.changed, false))
        changed.push_back({key, {RangesText(one.durable), one.rows}});
  }
  if (changed.empty()) return {};
  auto stored = records_.Transaction([&]() -> Status {
    for (const auto& [key, value] : changed)
      TRY(
          records_.Run("INSERT INTO origins (edge, epoch, ranges, row_count) VALUES (?, ?, ?, ?) "
                       "ON CONFLICT (edge, epoch) DO UPDATE SET ranges = excluded.ranges, "
                       "row_count = excluded.row_count",
                       {key.first, std::to_string(key.second), value.first,
                        static_cast<int64_t>(value.second)}));
    return {};
  });
  if (stored) return stored;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, value] : changed) all_[key].changed = true;
  return stored;
}

Result<Json> Origins::ToJson() const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT edge, epoch, first, last, reason, at FROM origin_gaps "
                                  "ORDER BY id DESC LIMIT 1000"));
  std::map<Key, Json> gaps;
  for (const storage::SqlRow& row : rows)
    gaps[{row.Text(0), std::stoull("0" + row.Text(1))}].push_back(
        {{"first", row.Integer(2)},
         {"last", row.Integer(3)},
         {"reason", row.Text(4)},
         {"at", FormatTime(FromMicros(row.Integer(5)))}});
  Json edges = Json::array();
  const std::lock_guard lock(mutex_);
  for (const auto& [key, one] : all_) {
    Json ranges = Json::array();
    for (const SequenceRange& range : one.durable.all()) ranges.push_back({range.from, range.to});
    const auto of_key = gaps.find(key);
    edges.push_back({{"edge", key.first},
                     {"epoch", std::to_string(key.second)},
                     {"received", one.received},
                     {"ranges", std::move(ranges)},
                     {"rows", one.rows},
                     {"again", one.again},
                     {"gaps", of_key == gaps.end() ? Json::array() : of_key->second}});
  }
  return Json{{"edges", std::move(edges)}};
}

}  // namespace penstock::telemetry
