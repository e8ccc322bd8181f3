// From the spool into the records. What a flood brought is looked at as a whole first: of a point
// only its latest entries would survive the bounds, of all only the latest, so only these become
// rows; the others are counted as if they had been pushed out. A wrong contract on a whole site
// then costs the records as much as its last entries do, however long it lasted.
//
// Each once over any crash: how far the spool is moved stands in the records and is written in one
// transaction with what was moved. It is kept by the spool's name, so that a copy of the
// data folder is known again, and another folder's spool is not taken for it. A spool that is
// older than the records (a backup copies it before them) ends before that place: all of it is in
// the records, and the place is drawn back to its end.
//
// A transaction has a few thousand rows, not all, because others wait for the records meanwhile.
#include <algorithm>
#include <deque>
#include <tuple>

#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/batch_codec.h"
#include "telemetry/batch_rows.h"
#include "telemetry/quarantine.h"
#include "telemetry/violation_codec.h"

namespace penstock::telemetry {
namespace {

using storage::SqlValue;

constexpr size_t kPortionEntries = 4096;
constexpr size_t kRowsOfStatement = 32;
// A bound is enforced when exceeded by a sixteenth, so that not every entry pays for a deletion.
constexpr size_t kSlackShare = 16;

// `head` (?, ?), (?, ?) `tail` for many rows of `columns` values: in statements of 32 rows, the
// rest one by one, so that there are two texts to prepare.
Status RunForRows(storage::Records& records, const std::string& head, const std::string& row,
                  const std::string& tail, size_t columns, std::vector<SqlValue> values) {
  std::string many = head + row;
  for (size_t i = 1; i < kRowsOfStatement; ++i) many += ", " + row;
  many += tail;
  const std::string one = head + row + tail;
  for (size_t at = 0; at < values.size();) {
    const size_t all = kRowsOfStatement * columns;
    const size_t size = values.size() - at >= all ? all : columns;
    const auto from = std::make_move_iterator(values.begin() + static_cast<ptrdiff_t>(at));
    TRY(records.Run(size == all ? many : one, {from, from + static_cast<ptrdiff_t>(size)}));
    at += size;
  }
  return {};
}

// Of whom violations are counted; as views for looking it up.
struct CountKey {
  std::string contract, thing, property, rule;
};
struct CountKeyView {
  std::string_view contract, thing, property, rule;
};
struct CountKeyHash {
  using is_transparent = void;
  size_t operator()(const auto& key) const {
    const std::hash<std::string_view> hash;
    return hash(key.thing) * 31 + hash(key.property) * 17 + hash(key.contract) * 7 + hash(key.rule);
  }
};
struct CountKeyEqual {
  using is_transparent = void;
  bool operator()(const auto& a, const auto& b) const {
    return a.thing == b.thing && a.property == b.property && a.contract == b.contract &&
           a.rule == b.rule;
  }
};
struct MovedCount {
  uint64_t rows = 0;
  Time last;
};

std::string PathOf(const Violation& violation) {
  std::string path(violation.thing);
  path += '/';
  return path += violation.property;
}

// Calls `visit(violation, rows of it in record.rows)`.
template <typename Visit>
void ForEachViolation(const ViolationRecord& record, Visit visit) {
  size_t begin = 0;
  for (const Violation& violation : record.list) {
    visit(violation, RowRange{begin, begin + violation.rows});
    begin += violation.rows;
  }
}

// False for what is no such record: told, counted and passed by.
bool DecodeOrTell(uint64_t index, ByteView bytes, ViolationRecord& into) {
  const Status decoded = DecodeViolations(bytes, into);
  if (decoded) return true;
  Counter("penstock_quarantine_records_damaged_total",
          "Records of the quarantine's spool that could not be read back.")
      .Add();
  LogError("quarantine: record {} of the spool skipped: {}", index, decoded.error().ToString());
  return false;
}

}  // namespace

// What one transaction moves.
struct QuarantineStore::Portion {
  std::vector<SqlValue> values;  // Of entries.
  size_t entries = 0;
  std::unordered_map<std::string, uint64_t> of_point;  // The same by path.
  uint64_t evicted = 0;                                // Rows that are counted alone.
  std::unordered_map<CountKey, MovedCount, CountKeyHash, CountKeyEqual> counts;

  void Count(const Violation& v, Time last) {
    const CountKeyView key{v.contract, v.thing, v.property, v.rule};
    auto known = counts.find(key);
    if (known == counts.end())
      known = counts
                  .emplace(CountKey{std::string(v.contract), std::string(v.thing),
                                    std::string(v.property), std::string(v.rule)},
                           MovedCount())
                  .first;
    known->second.rows += v.rows;
    known->second.last = last;
  }
};

// What waits, as a whole.
struct QuarantineStore::Plan {
  uint64_t window = 0;   // Entries of earlier records would not survive.
  Portion skipped;       // What these were.
  uint64_t entries = 0;  // From there on.
  std::unordered_map<std::string, uint64_t> of_point;  // The same by path.
};

Status QuarantineStore::FindPosition() {
  ASSIGN_OR_RETURN(const auto known,
                   records_.Query("SELECT moved FROM telemetry_quarantine_spool WHERE spool = ?",
                                  {spool_->name()}));
  moved_ =
      std::min(known.empty() ? spool_->forgotten() : static_cast<uint64_t>(known[0].Integer(0)),
               spool_->end().next);
  TRY(
      records_.Run("INSERT INTO telemetry_quarantine_spool VALUES (?, ?) ON CONFLICT (spool) DO "
                   "UPDATE SET moved = excluded.moved",
                   {spool_->name(), static_cast<int64_t>(moved_)}));
  return {};
}

Status QuarantineStore::Move() {
  QuarantineSpool::Mark end;
  {
    const std::lock_guard keeper(keep_mutex_);
    end = spool_->end();
  }
  if (moved_ >= end.next) return {};
  ASSIGN_OR_RETURN(Plan plan, MakePlan(end.next));
  TRY(WritePortion(plan.skipped, plan.window));
  TRY(MoveRows(plan, end.next));
  return spool_->Forget(end);
}

Result<QuarantineStore::Plan> QuarantineStore::MakePlan(uint64_t end) const {
  Plan plan;
  std::deque<std::pair<uint64_t, uint64_t>> latest;  // Records and their entries.
  TRY(spool_->Read(moved_, end, [&](uint64_t index, ByteView bytes) -> Status {
    latest.emplace_back(index, ViolationsIn(bytes));
    plan.entries += latest.back().second;
    while (latest.size() > 1 && plan.entries - latest.front().second >= limits_.held) {
      plan.entries -= latest.front().second;
      latest.pop_front();
    }
    return {};
  }));
  plan.window = latest.empty() ? moved_ : latest.front().first;
  ViolationRecord record;
  TRY(spool_->Read(moved_, end, [&](uint64_t index, ByteView bytes) -> Status {
    if (!DecodeOrTell(index, bytes, record)) return {};
    ForEachViolation(record, [&](const Violation& v, const RowRange& rows) {
      if (index >= plan.window) {
        ++plan.of_point[PathOf(v)];
        return;
      }
      plan.skipped.Count(v, record.rows.ingest_time[rows.end - 1]);
      plan.skipped.evicted += v.rows;
    });
    return {};
  }));
  return plan;
}

Status QuarantineStore::MoveRows(Plan& plan, uint64_t end) {
  Portion portion;
  ViolationRecord record;
  Batch rows;
  TRY(spool_->Read(moved_, end, [&](uint64_t index, ByteView bytes) -> Status {
    if (!DecodeOrTell(index, bytes, record)) return {};
    ForEachViolation(record, [&](const Violation& v, const RowRange& range) {
      portion.Count(v, record.rows.ingest_time[range.end - 1]);
      std::string path = PathOf(v);
      // Those that come after it.
      const uint64_t later = --plan.entries, later_of_point = --plan.of_point[path];
      if (later >= limits_.held || later_of_point >= limits_.held_of_point) {
        portion.evicted += v.rows;
        return;
      }
      rows.Clear();
      AddRows(rows, record.rows, range);
      AddEntry(v, rows, std::move(path), portion);
    });
    return portion.entries < kPortionEntries ? Status() : WritePortion(portion, index + 1);
  }));
  return WritePortion(portion, end);
}

void QuarantineStore::AddEntry(const Violation& v, const Batch& rows, std::string path,
                               Portion& to) {
  Bytes encoded;
  EncodeBatch(rows, encoded);
  const double offending = rows.value[v.offending];
  std::string message = MessageShown(v, offending);
  CutText(message, kQuarantineTextMax);
  ++to.of_point[path];
  ++to.entries;
  SqlValue entry[] = {ToMicros(rows.ingest_time.front()),
                      std::string(v.thing),
                      std::move(path),
                      std::string(v.rule),
                      ValueShown(v, offending),
                      std::move(message),
                      std::string(v.contract),
                      ToMicros(rows.source_time.front()),
                      static_cast<int64_t>(rows.quality.front()),
                      static_cast<int64_t>(v.rows),
                      std::move(encoded)};
  std::ranges::move(entry, std::back_inserter(to.values));
}

// Written, `portion` is empty again.
Status QuarantineStore::WritePortion(Portion& portion, uint64_t next) {
  if (moved_ >= next) return {};
  const auto beyond = [](uint64_t count, size_t limit) {
    return count > limit + limit / kSlackShare;
  };
  std::vector<std::string> full;
  for (const auto& [path, count] : portion.of_point)
    if (beyond(held_of_point_[path] + count, limits_.held_of_point)) full.push_back(path);
  const bool all_full = beyond(held_ + portion.entries, limits_.held);
  uint64_t evicted = portion.evicted;
  std::map<std::string, uint64_t> of_rule;
  TRY(records_.Transaction([&]() -> Status {
    TRY(RunForRows(records_,
                   "INSERT INTO telemetry_quarantine (at, source, point, rule, value, message, "
                   "held, state, contract, source_time, quality, rows, record) VALUES ",
                   "(?, ?, ?, ?, ?, ?, 1, 'open', ?, ?, ?, ?, ?)", "", 11,
                   std::move(portion.values)));
    TRY(WriteCounts(portion, of_rule));
    for (const std::string& path : full)
      TRY(EvictHeld(" AND point = ?", {path}, limits_.held_of_point, evicted));
    if (all_full) TRY(EvictHeld("", {}, limits_.held, evicted));
    if (evicted > 0)
      TRY(records_.Run("UPDATE telemetry_quarantine_evicted SET rows = rows + ?",
                       {static_cast<int64_t>(evicted)}));
    TRY(records_.Run("UPDATE telemetry_quarantine_spool SET moved = ? WHERE spool = ?",
                     {static_cast<int64_t>(next), spool_->name()}));
    return {};
  }));
  moved_ = next;
  for (const auto& [path, count] : portion.of_point) held_of_point_[path] += count;
  for (const std::string& path : full) held_of_point_[path] = limits_.held_of_point;
  held_ = all_full ? limits_.held : held_ + portion.entries;
  portion = {};
  const std::lock_guard lock(mutex_);
  evicted_ += evicted;
  for (const auto& [rule, rows] : of_rule) {  // Those of an earlier life were not known before.
    const uint64_t known = std::min(rows, uncounted_[rule]);
    uncounted_[rule] -= known;
    per_rule_[rule] += rows - known;
  }
  return {};
}

// How often which rule was broken, in the order of the table's key, which costs it least.
Status QuarantineStore::WriteCounts(const Portion& portion,
                                    std::map<std::string, uint64_t>& of_rule) {
  using Count = std::tuple<std::string, std::string, std::string_view, MovedCount>;
  std::vector<Count> sorted;
  for (const auto& [key, count] : portion.counts)
    sorted.emplace_back(key.contract, key.thing + "/" + key.property, key.rule, count);
  std::ranges::sort(sorted, [](const Count& a, const Count& b) {
    return std::tie(std::get<0>(a), std::get<1>(a), std::get<2>(a)) <
           std::tie(std::get<0>(b), std::get<1>(b), std::get<2>(b));
  });
  std::vector<SqlValue> values;
  values.reserve(5 * sorted.size());
  for (auto& [contract, path, rule, count] : sorted) {
    SqlValue row[] = {std::move(contract), std::move(path), std::string(rule),
                      static_cast<int64_t>(count.rows), ToMicros(count.last)};
    std::ranges::move(row, std::back_inserter(values));
  }
  TRY(RunForRows(records_, "INSERT INTO telemetry_violations VALUES ", "(?, ?, ?, ?, ?)",
                 " ON CONFLICT (contract, point, rule) DO UPDATE SET rows = "
                 "telemetry_violations.rows + excluded.rows, last = excluded.last",
                 5, std::move(values)));
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, count] : portion.counts) of_rule[CountedAs(key.rule)] += count.rows;
  }
  for (const auto& [rule, rows] : of_rule)
    TRY(
        records_.Run("INSERT INTO telemetry_quarantine_rules VALUES (?, ?) ON CONFLICT (rule) DO "
                     "UPDATE SET count = telemetry_quarantine_rules.count + excluded.count",
                     {rule, static_cast<int64_t>(rows)}));
  return {};
}

// Deletes the oldest held entries of `where` but the latest `keep`; open rows count as evicted.
Status QuarantineStore::EvictHeld(const std::string& where, std::vector<SqlValue> parameters,
                                  size_t keep, uint64_t& evicted) {
  std::vector<SqlValue> with_offset = parameters;
  with_offset.emplace_back(static_cast<int64_t>(keep));
  ASSIGN_OR_RETURN(const auto last,
                   records_.Query("SELECT id FROM telemetry_quarantine WHERE held = 1" + where +
                                      " ORDER BY id DESC LIMIT 1 OFFSET ?",
                                  with_offset));
  if (last.empty()) return {};
  parameters.emplace_back(last[0].Integer(0));
  ASSIGN_OR_RETURN(const auto gone,
                   records_.Query("DELETE FROM telemetry_quarantine WHERE held = 1" + where +
                                      " AND id <= ? RETURNING CASE WHEN state = 'open' THEN "
                                      "rows ELSE 0 END",
                                  parameters));
  for (const auto& row : gone) evicted += static_cast<uint64_t>(row.Integer(0));
  return {};
}

}  // namespace penstock::telemetry
