// Put() is on the way of every refused value, perhaps a flood of them from one broken client, so it
// never waits for the disk: entries gather in memory, at most as many as a flush is allowed to be
// large; what comes beyond in the same moment is only counted. Totals per rule live in the records
// too, so the console's figure survives a restart.
//
// Keep() is on the way of samples that will be acknowledged: one record of the spool, synced,
// before it returns. What becomes of it: quarantine_move.cc.
//
// Releasing in three steps (claimed, durable in the log, settled) makes it happen once: what was
// claimed when the node ended is looked up in the history at the next start.
#include "telemetry/quarantine.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/batch_codec.h"

namespace penstock::telemetry {
namespace {

using storage::SqlRow;
using storage::SqlValue;

constexpr size_t kWaitingMax = 1000;
constexpr size_t kRulesMax = 64;  // Rules are our own words; a bound all the same.
constexpr std::chrono::milliseconds kFlushEvery{250};
constexpr size_t kValueMax = 200;
// Who moves rests so many times as long as it took, three percent of a core at most; nobody waits
// for it, because who asks moves.
constexpr int kRestShare = 31;

constexpr std::string_view kStates[] = {"noted", "open", "releasing", "released", "discarded"};
constexpr const char* kColumns =
    "id, at, source, point, rule, value, message, state, contract, source_time, quality, rows, "
    "corrected, actor, reason, resolved_at";

QuarantineItem ItemOf(const SqlRow& row) {
  QuarantineItem item;
  item.id = static_cast<uint64_t>(row.Integer(0));
  item.entry = {.at = FromMicros(row.Integer(1)),
                .source = row.Text(2),
                .point = row.Text(3),
                .rule = row.Text(4),
                .value = row.Text(5),
                .message = row.Text(6)};
  item.state = ParseQuarantineState(row.Text(7)).value_or(QuarantineState::kNoted);
  item.contract = row.Text(8);
  item.source_time = FromMicros(row.Integer(9));
  item.quality = static_cast<Quality>(row.Integer(10));
  item.rows = static_cast<uint64_t>(row.Integer(11));
  if (!row.IsNull(12)) item.corrected = row.Real(12);
  item.actor = row.Text(13);
  item.reason = row.Text(14);
  if (!row.IsNull(15)) item.resolved_at = FromMicros(row.Integer(15));
  return item;
}

}  // namespace

void CutText(std::string& text, size_t max) {
  if (text.size() <= max) return;
  while (max > 0 && (static_cast<uint8_t>(text[max]) & 0xC0) == 0x80) --max;
  text.resize(max);
}

std::string_view QuarantineStateName(QuarantineState state) {
  return kStates[static_cast<size_t>(state)];
}

Result<QuarantineState> ParseQuarantineState(std::string_view name) {
  for (size_t i = 0; i < std::size(kStates); ++i)
    if (kStates[i] == name) return static_cast<QuarantineState>(i);
  auto error = InvalidArgument("state \"{}\" is not known", name.substr(0, 40));
  error.error().Fix("noted, open, releasing, released or discarded");
  return error;
}

Result<std::unique_ptr<QuarantineStore>> QuarantineStore::Open(storage::Records& records,
                                                               const std::string& folder,
                                                               QuarantineLimits limits,
                                                               storage::Disk& disk) {
  TRY(records.Migrate("telemetry", {{1, R"sql(
    CREATE TABLE telemetry_quarantine (
      id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, source TEXT NOT NULL,
      point TEXT NOT NULL, rule TEXT NOT NULL, value TEXT NOT NULL, message TEXT NOT NULL);
    CREATE TABLE telemetry_quarantine_rules (rule TEXT PRIMARY KEY, count INTEGER NOT NULL);
  )sql"},
                                    {2, R"sql(
    ALTER TABLE telemetry_quarantine ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE telemetry_quarantine ADD COLUMN state TEXT NOT NULL DEFAULT 'noted';
    ALTER TABLE telemetry_quarantine ADD COLUMN contract TEXT NOT NULL DEFAULT '';
    ALTER TABLE telemetry_quarantine ADD COLUMN source_time INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE telemetry_quarantine ADD COLUMN quality INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE telemetry_quarantine ADD COLUMN rows INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE telemetry_quarantine ADD COLUMN record BLOB;
    ALTER TABLE telemetry_quarantine ADD COLUMN corrected REAL;
    ALTER TABLE telemetry_quarantine ADD COLUMN actor TEXT NOT NULL DEFAULT '';
    ALTER TABLE telemetry_quarantine ADD COLUMN reason TEXT NOT NULL DEFAULT '';
    ALTER TABLE telemetry_quarantine ADD COLUMN resolved_at INTEGER;
    CREATE INDEX telemetry_quarantine_held ON telemetry_quarantine (held, id);
    CREATE INDEX telemetry_quarantine_point ON telemetry_quarantine (point, id);
    CREATE INDEX telemetry_quarantine_state ON telemetry_quarantine (state, id);
    CREATE TABLE telemetry_violations (
      contract TEXT NOT NULL, point TEXT NOT NULL, rule TEXT NOT NULL, rows INTEGER NOT NULL,
      last INTEGER NOT NULL, PRIMARY KEY (contract, point, rule));
    CREATE TABLE telemetry_quarantine_evicted (only_one INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
    INSERT INTO telemetry_quarantine_evicted VALUES (1, 0);
  )sql"},
                                    {3, R"sql(
    CREATE TABLE telemetry_quarantine_spool (
      spool TEXT PRIMARY KEY, moved INTEGER NOT NULL);
    DROP INDEX telemetry_quarantine_state;
    CREATE INDEX telemetry_quarantine_not_open ON telemetry_quarantine (state, id)
      WHERE state <> 'open';
  )sql"}}));
  std::unique_ptr<QuarantineStore> store(new QuarantineStore(records, limits));
  ASSIGN_OR_RETURN(store->spool_, QuarantineSpool::Open(folder, limits.waiting_bytes, disk));
  TRY(store->Load());
  TRY(store->Move());
  store->thread_ =
      std::jthread([raw = store.get()](const std::stop_token& stop) { raw->Run(stop); });
  return store;
}

QuarantineStore::~QuarantineStore() {
  thread_.request_stop();
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (auto flushed = Flush(); !flushed) LogError("quarantine: {}", flushed.error().ToString());
}

Status QuarantineStore::Load() {
  ASSIGN_OR_RETURN(const auto rules,
                   records_.Query("SELECT rule, count FROM telemetry_quarantine_rules"));
  for (const auto& row : rules) per_rule_[row.Text(0)] = static_cast<uint64_t>(row.Integer(1));
  ASSIGN_OR_RETURN(
      const auto points,
      records_.Query(
          "SELECT point, count(*) FROM telemetry_quarantine WHERE held = 1 GROUP BY point"));
  for (const auto& row : points) {
    held_of_point_[row.Text(0)] = static_cast<uint64_t>(row.Integer(1));
    held_ += static_cast<uint64_t>(row.Integer(1));
  }
  ASSIGN_OR_RETURN(const auto evicted,
                   records_.Query("SELECT rows FROM telemetry_quarantine_evicted"));
  if (!evicted.empty()) evicted_ = static_cast<uint64_t>(evicted[0].Integer(0));
  return FindPosition();
}

// --- Notes

void QuarantineStore::Put(QuarantineEntry entry) {
  CutText(entry.source, kQuarantineTextMax);
  CutText(entry.point, kQuarantineTextMax);
  CutText(entry.rule, kQuarantineTextMax);
  CutText(entry.value, kValueMax);
  CutText(entry.message, kQuarantineTextMax);
  Counter("penstock_quarantined_total", "Values that could not become samples.",
          fmt::format("rule=\"{}\"", entry.rule))
      .Add();
  const std::lock_guard lock(mutex_);
  ++per_rule_[CountedAs(entry.rule)];
  if (waiting_.size() < kWaitingMax) waiting_.push_back(std::move(entry));
  changed_ = true;
}

// Rules are our own words; a bound all the same. The caller holds mutex_.
std::string QuarantineStore::CountedAs(std::string_view rule) const {
  std::string name(rule);
  return per_rule_.contains(name) || per_rule_.size() < kRulesMax ? name : "other";
}

void QuarantineStore::Run(const std::stop_token& stop) {
  using Steady = std::chrono::steady_clock;
  Steady::time_point next;
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, kFlushEvery, [] { return false; });
    }
    const std::lock_guard writer(flush_mutex_);
    Status written = WriteNotes();
    if (const auto begin = Steady::now(); written && (begin >= next || spool_->crowded())) {
      written = Move();
      next = Steady::now() + kRestShare * (Steady::now() - begin);
    }
    if (!written) LogSometimes(LogLevel::kError, "quarantine", written.error().ToString());
  }
}

Status QuarantineStore::Flush() {
  const std::lock_guard writer(flush_mutex_);
  TRY(WriteNotes());
  return Move();
}

Status QuarantineStore::WriteNotes() {
  std::vector<QuarantineEntry> entries;
  std::map<std::string, uint64_t> counts;
  {
    const std::lock_guard lock(mutex_);
    if (!changed_) return {};
    entries.swap(waiting_);
    counts = per_rule_;
    for (const auto& [rule, rows] : uncounted_) counts[rule] -= rows;
    changed_ = false;
  }
  auto written = records_.Transaction([&]() -> Status {
    for (const auto& e : entries) {
      TRY(
          records_.Run("INSERT INTO telemetry_quarantine (at, source, point, rule, value, message) "
                       "VALUES (?, ?, ?, ?, ?, ?)",
                       {ToMicros(e.at), e.source, e.point, e.rule, e.value, e.message}));
    }
    for (const auto& [rule, count] : counts) {
      TRY(
          records_.Run("INSERT INTO telemetry_quarantine_rules VALUES (?, ?) "
                       "ON CONFLICT (rule) DO UPDATE SET count = excluded.count",
                       {rule, static_cast<int64_t>(count)}));
    }
    if (entries.empty()) return {};
    TRY(
        records_.Run("DELETE FROM telemetry_quarantine WHERE held = 0 AND id <= coalesce("
                     "(SELECT id FROM telemetry_quarantine WHERE held = 0 "
                     "ORDER BY id DESC LIMIT 1 OFFSET ?), 0)",
                     {static_cast<int64_t>(limits_.notes)}));
    return {};
  });
  if (!written) {
    const std::lock_guard lock(mutex_);
    changed_ = true;
    // Older first; what does not fit any more is only counted.
    entries.insert(entries.end(), std::make_move_iterator(waiting_.begin()),
                   std::make_move_iterator(waiting_.end()));
    if (entries.size() > kWaitingMax) entries.resize(kWaitingMax);
    waiting_ = std::move(entries);
  }
  return written;
}

// --- Held entries

namespace {

struct ViolationShare {
  std::string_view contract, rule;
  uint64_t rows = 0;
};

// Rows by contract and rule: a few, whatever the number of violations.
std::vector<ViolationShare> SharesOf(const Violations& violations) {
  std::vector<ViolationShare> shares;
  ViolationShare* last = nullptr;
  for (const Violation& v : violations.list) {
    const auto same = [&](const ViolationShare& share) {
      return share.rule == v.rule && share.contract == v.contract;
    };
    if (last == nullptr || !same(*last)) {
      const auto found = std::find_if(shares.begin(), shares.end(), same);
      last = found != shares.end() ? &*found : &shares.emplace_back(v.contract, v.rule);
    }
    last->rows += v.rows;
  }
  return shares;
}

}  // namespace

Status QuarantineStore::Keep(const Violations& violations) {
  const auto shares = SharesOf(violations);
  const std::lock_guard keeper(keep_mutex_);
  TRY(spool_->Append(violations));
  const std::lock_guard lock(mutex_);
  for (const ViolationShare& share : shares) {
    const std::string name = CountedAs(share.rule);
    per_rule_[name] += share.rows;
    uncounted_[name] += share.rows;
    Counter("penstock_contract_violations_total", "Samples that broke a data contract.",
            fmt::format("contract=\"{}\",rule=\"{}\"",
                        share.contract.substr(0, share.contract.find('@')), share.rule))
        .Add(share.rows);
  }
  return {};
}

Result<std::vector<QuarantineItem>> QuarantineStore::List(uint64_t after, size_t limit,
                                                          const QuarantineFilter& filter) {
  TRY(Flush());
  const auto below = after == 0 || after > INT64_MAX ? INT64_MAX : static_cast<int64_t>(after);
  std::string where = "id < ?";
  std::vector<SqlValue> parameters = {below};
  const auto add = [&](const char* condition, SqlValue value) {
    where += std::string(" AND ") + condition;
    parameters.push_back(std::move(value));
  };
  if (filter.contract.find('@') != std::string::npos) {
    add("contract = ?", filter.contract);
  } else if (!filter.contract.empty()) {  // All its versions.
    add("substr(contract, 1, ?) = ?", static_cast<int64_t>(filter.contract.size() + 1));
    parameters.emplace_back(filter.contract + "@");
  }
  if (!filter.point.empty()) add("point = ?", filter.point);
  if (!filter.rule.empty()) add("rule = ?", filter.rule);
  if (filter.state) add("state = ?", std::string(QuarantineStateName(*filter.state)));
  if (filter.state && *filter.state != QuarantineState::kOpen) where += " AND state <> 'open'";
  if (filter.from) add("at >= ?", ToMicros(*filter.from));
  if (filter.to) add("at < ?", ToMicros(*filter.to));
  parameters.emplace_back(static_cast<int64_t>(std::min<size_t>(limit, 10'000)));
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query(fmt::format("SELECT {} FROM telemetry_quarantine WHERE {} "
                                              "ORDER BY id DESC LIMIT ?",
                                              kColumns, where),
                                  std::move(parameters)));
  std::vector<QuarantineItem> items;
  items.reserve(rows.size());
  for (const auto& row : rows) items.push_back(ItemOf(row));
  return items;
}

Result<QuarantineItem> QuarantineStore::Get(uint64_t id) {
  TRY(Flush());
  return Find(id);
}

// Without Flush, so that it may be called inside of a transaction.
Result<QuarantineItem> QuarantineStore::Find(uint64_t id) {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query(fmt::format("SELECT {} FROM telemetry_quarantine WHERE id = ?", kColumns),
                     {static_cast<int64_t>(std::min<uint64_t>(id, INT64_MAX))}));
  if (rows.empty()) return NotFound("no entry {} in the quarantine", id);
  return ItemOf(rows[0]);
}

Result<Batch> QuarantineStore::RowsOf(uint64_t id) {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query("SELECT record FROM telemetry_quarantine WHERE id = ? AND held = 1",
                     {static_cast<int64_t>(std::min<uint64_t>(id, INT64_MAX))}));
  if (rows.empty()) return FailedPrecondition("entry {} has no sample to release", id);
  return DecodeBatch(rows[0].Blob(0));
}

// Open -> `to`; the entry as it was before.
Result<QuarantineItem> QuarantineStore::ChangeState(uint64_t id, const QuarantineAct& act,
                                                    QuarantineState to) {
  QuarantineItem before;
  TRY(records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(before, Find(id));
    if (before.state == QuarantineState::kNoted && to == QuarantineState::kReleasing) {
      auto error = FailedPrecondition("entry {} has no sample to release", id);
      error.error().Fix("it was no sample: see its message; discard it");
      return error;
    }
    if (before.state > QuarantineState::kOpen) return {};
    TRY(records_.Run(
        "UPDATE telemetry_quarantine SET state = ?, actor = ?, reason = ?, corrected = ?, "
        "resolved_at = ? WHERE id = ?",
        {std::string(QuarantineStateName(to)), act.actor, act.reason,
         act.value ? SqlValue(*act.value) : SqlValue(nullptr), ToMicros(act.at),
         static_cast<int64_t>(id)}));
    return {};
  }));
  return before;
}

Result<std::optional<Batch>> QuarantineStore::Claim(uint64_t id, const QuarantineAct& act) {
  ASSIGN_OR_RETURN(const QuarantineItem now, Find(id));
  if (act.value && now.rows > 1) {
    auto error =
        FailedPrecondition("entry {} has {} samples, one value corrects one", id, now.rows);
    error.error().At("/value").Fix("release it as it is, or discard it");
    return error;
  }
  ASSIGN_OR_RETURN(const QuarantineItem before, ChangeState(id, act, QuarantineState::kReleasing));
  if (before.state == QuarantineState::kDiscarded)
    return FailedPrecondition("entry {} was discarded by {}", id, before.actor);
  if (before.state > QuarantineState::kOpen) {
    if (before.corrected != act.value)
      return FailedPrecondition("entry {} was released by {} with another value", id, before.actor);
    return std::optional<Batch>();
  }
  ASSIGN_OR_RETURN(Batch rows, RowsOf(id));
  rows.released = true;
  rows.first_sequence = 0;
  if (act.value) {
    rows.value.front() = *act.value;
    rows.quality.front() = kUncertainSubstituteValue;
  }
  return std::optional(std::move(rows));
}

Status QuarantineStore::Settle(uint64_t id, bool stored) {
  const char* sql =
      stored ? "UPDATE telemetry_quarantine SET state = 'released' WHERE id = ? AND state = "
               "'releasing'"
             : "UPDATE telemetry_quarantine SET state = 'open', actor = '', reason = '', "
               "corrected = NULL, resolved_at = NULL WHERE id = ? AND state = 'releasing'";
  TRY(records_.Run(sql, {static_cast<int64_t>(id)}));
  return {};
}

Status QuarantineStore::Discard(uint64_t id, const QuarantineAct& act) {
  ASSIGN_OR_RETURN(const QuarantineItem before, ChangeState(id, act, QuarantineState::kDiscarded));
  if (before.state == QuarantineState::kReleased || before.state == QuarantineState::kReleasing)
    return FailedPrecondition("entry {} was released by {}", id, before.actor);
  return {};
}

Result<std::vector<uint64_t>> QuarantineStore::Interrupted() {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT id FROM telemetry_quarantine WHERE state = 'releasing' "
                                  "AND state <> 'open' ORDER BY id"));
  std::vector<uint64_t> ids;
  for (const auto& row : rows) ids.push_back(static_cast<uint64_t>(row.Integer(0)));
  return ids;
}

Result<std::vector<ViolationCount>> QuarantineStore::CountsOf(const std::string& contract_id) {
  TRY(Flush());
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query("SELECT contract, point, rule, rows, last FROM "
                     "telemetry_violations WHERE substr(contract, 1, ?) = ? "
                     "ORDER BY contract, point, rule LIMIT 10000",
                     {static_cast<int64_t>(contract_id.size() + 1), contract_id + "@"}));
  std::vector<ViolationCount> counts;
  for (const auto& row : rows)
    counts.push_back({row.Text(0), row.Text(1), row.Text(2), static_cast<uint64_t>(row.Integer(3)),
                      FromMicros(row.Integer(4))});
  return counts;
}

Result<std::vector<ViolationCount>> QuarantineStore::HeldBetween(const std::string& contract_id,
                                                                 Time from, Time to) {
  TRY(Flush());
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query("SELECT contract, point, rule, sum(rows), max(at) FROM telemetry_quarantine "
                     "WHERE held = 1 AND substr(contract, 1, ?) = ? AND at >= ? AND at < ? "
                     "GROUP BY contract, point, rule ORDER BY contract, point, rule LIMIT 10000",
                     {static_cast<int64_t>(contract_id.size() + 1), contract_id + "@",
                      ToMicros(from), ToMicros(to)}));
  std::vector<ViolationCount> counts;
  for (const auto& row : rows)
    counts.push_back({row.Text(0), row.Text(1), row.Text(2), static_cast<uint64_t>(row.Integer(3)),
                      FromMicros(row.Integer(4))});
  return counts;
}

std::map<std::string, uint64_t> QuarantineStore::PerRule() const {
  const std::lock_guard lock(mutex_);
  return per_rule_;
}

uint64_t QuarantineStore::total() const {
  const std::lock_guard lock(mutex_);
  uint64_t total = 0;
  for (const auto& [rule, count] : per_rule_) total += count;
  return total;
}

uint64_t QuarantineStore::evicted() const {
  const std::lock_guard lock(mutex_);
  return evicted_;
}

}  // namespace penstock::telemetry
