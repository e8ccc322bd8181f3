// Put() is on the way of every refused value, perhaps a flood of them from one broken client, so it
// never waits for the disk: entries gather in memory, at most as many as a flush is allowed to be
// large; what comes beyond in the same moment is only counted. Totals per rule live in the records
// too, so the console's figure survives a restart.
#include "telemetry/quarantine.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/metrics.h"

namespace penstock::telemetry {
namespace {

constexpr size_t kWaitingMax = 1000;
constexpr size_t kRulesMax = 64;  // Rules are our own words; a bound all the same.
constexpr std::chrono::milliseconds kFlushEvery{250};
constexpr size_t kValueMax = 200, kTextMax = 1000;

// Cuts at a character, never inside one (UTF-8).
void Cut(std::string& text, size_t max) {
  if (text.size() <= max) return;
  while (max > 0 && (static_cast<uint8_t>(text[max]) & 0xC0) == 0x80) --max;
  text.resize(max);
}

}  // namespace

Result<std::unique_ptr<QuarantineStore>> QuarantineStore::Open(storage::Records& records,
                                                               size_t limit) {
  TRY(records.Migrate("telemetry", {{1, R"sql(
    CREATE TABLE telemetry_quarantine (
      id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, source TEXT NOT NULL,
      point TEXT NOT NULL, rule TEXT NOT NULL, value TEXT NOT NULL, message TEXT NOT NULL);
    CREATE TABLE telemetry_quarantine_rules (rule TEXT PRIMARY KEY, count INTEGER NOT NULL);
  )sql"}}));
  std::unique_ptr<QuarantineStore> store(new QuarantineStore(records, limit));
  TRY(store->Load());
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
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT rule, count FROM telemetry_quarantine_rules"));
  for (const auto& row : rows) per_rule_[row.Text(0)] = static_cast<uint64_t>(row.Integer(1));
  return {};
}

void QuarantineStore::Put(QuarantineEntry entry) {
  Cut(entry.source, kTextMax);
  Cut(entry.point, kTextMax);
  Cut(entry.rule, kTextMax);
  Cut(entry.value, kValueMax);
  Cut(entry.message, kTextMax);
  Counter("penstock_quarantined_total", "Values that could not become samples.",
          fmt::format("rule=\"{}\"", entry.rule))
      .Add();
  const std::lock_guard lock(mutex_);
  ++per_rule_[per_rule_.contains(entry.rule) || per_rule_.size() < kRulesMax ? entry.rule
                                                                             : "other"];
  if (waiting_.size() < kWaitingMax) waiting_.push_back(std::move(entry));
  changed_ = true;
}

void QuarantineStore::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, kFlushEvery, [] { return false; });
    }
    if (auto flushed = Flush(); !flushed)
      LogSometimes(LogLevel::kError, "quarantine", flushed.error().ToString());
  }
}

Status QuarantineStore::Flush() {
  const std::lock_guard writer(flush_mutex_);
  std::vector<QuarantineEntry> entries;
  std::map<std::string, uint64_t> counts;
  {
    const std::lock_guard lock(mutex_);
    if (!changed_) return {};
    entries.swap(waiting_);
    counts = per_rule_;
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
    TRY(
        records_.Run("DELETE FROM telemetry_quarantine WHERE id <= "
                     "(SELECT coalesce(max(id), 0) FROM telemetry_quarantine) - ?",
                     {static_cast<int64_t>(limit_)}));
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

Result<std::vector<QuarantineStore::Item>> QuarantineStore::List(uint64_t after, size_t limit) {
  TRY(Flush());
  const auto below = after == 0 || after > INT64_MAX ? INT64_MAX : static_cast<int64_t>(after);
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query("SELECT id, at, source, point, rule, value, message FROM telemetry_quarantine "
                     "WHERE id < ? ORDER BY id DESC LIMIT ?",
                     {below, static_cast<int64_t>(std::min<size_t>(limit, limit_))}));
  std::vector<Item> items;
  items.reserve(rows.size());
  for (const auto& row : rows) {
    items.push_back({static_cast<uint64_t>(row.Integer(0)),
                     {.at = FromMicros(row.Integer(1)),
                      .source = row.Text(2),
                      .point = row.Text(3),
                      .rule = row.Text(4),
                      .value = row.Text(5),
                      .message = row.Text(6)}});
  }
  return items;
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

}  // namespace penstock::telemetry
