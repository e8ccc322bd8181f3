// A row of an edge is stored until the hub has it (forwarded) or the log had to give it up before
// that (evicted; the hub is told of the gap). The copy in the edge's own history is outside of the
// account: see docs/decisions/0012-forwarded-rows.md.
//
// Between a record that the log gives up and the next writing of the ledger lies a moment in which
// a crash forgets that booking; the rows then stay under "stored".
#include "telemetry/ledger_forward.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/batch_codec.h"

namespace penstock::telemetry {
namespace {

constexpr const char* kLedgerCursor = "ledger";
using RowCounts = std::vector<std::pair<PointId, uint64_t>>;

// Counts by point; nothing of a record that is no batch or another node's.
class RowCounter {
 public:
  void Add(ByteView record) {
    const auto batch = DecodeBatchPoints(record);
    if (!batch || !batch->own()) return;
    for (const PointId point : batch->point) ++counts_[point.value];
    rows_ += batch->point.size();
  }
  uint64_t rows() const { return rows_; }
  RowCounts Take() {
    RowCounts rows;
    rows.reserve(counts_.size());
    for (const auto& [id, count] : counts_) rows.emplace_back(PointId{id}, count);
    std::sort(rows.begin(), rows.end());
    counts_.clear();
    rows_ = 0;
    return rows;
  }

 private:
  std::unordered_map<uint32_t, uint64_t> counts_;
  uint64_t rows_ = 0;
};

// The sequence of the first own row from this record on.
Result<std::optional<uint64_t>> SequenceAt(storage::DurableLog& log, uint64_t record) {
  std::optional<uint64_t> sequence;
  const Status read = log.Read(record, [&](uint64_t, ByteView bytes) {
    const auto batch = DecodeBatchPoints(bytes);
    if (batch && batch->own()) sequence = batch->first_sequence;
    return !sequence;
  });
  if (!read && read.error().code != Code::kDataLoss) return std::unexpected(read.error());
  return sequence;
}

Metric& RowsGivenUp(storage::LogPriority priority) {
  constexpr std::string_view kName = "penstock_log_rows_evicted_total",
                             kHelp = "Rows that the log gave up before the hub had them.";
  static Metric& low = Counter(kName, kHelp, "priority=\"low\"");
  static Metric& normal = Counter(kName, kHelp, "priority=\"normal\"");
  static Metric& high = Counter(kName, kHelp, "priority=\"high\"");
  if (priority == storage::LogPriority::kLow) return low;
  return priority == storage::LogPriority::kHigh ? high : normal;
}

}  // namespace

Result<std::unique_ptr<ForwardBook>> ForwardBook::Open(storage::DurableLog& log,
                                                       PointLedger& ledger, Pipeline& pipeline,
                                                       std::string consumer, bool may_lose) {
  // Where a crash left the ledger without a word of it, its cursor tells what is not booked.
  ASSIGN_OR_RETURN(const uint64_t kept, log.Cursor(kLedgerCursor));
  const uint64_t record = std::max(kept, log.begin());
  ASSIGN_OR_RETURN(const auto sequence, SequenceAt(log, record));
  ledger.BeginForward(record, sequence.value_or(ledger.sequence_end()), log.durable_end());
  std::unique_ptr<ForwardBook> book(new ForwardBook(log, ledger, pipeline, std::move(consumer)));
  TRY(log.SetCursor(kLedgerCursor, std::min(ledger.forward().next_record, log.durable_end())));
  if (may_lose) log.MayLose(kLedgerCursor);
  return book;
}

Status ForwardBook::Close(storage::DurableLog& log, PointLedger& ledger) {
  const LedgerForward forward = ledger.forward();
  if (forward.to == UINT64_MAX) {
    ASSIGN_OR_RETURN(const auto sequence, SequenceAt(log, forward.next_record));
    ledger.EndForward(sequence.value_or(ledger.sequence_end()));
  }
  return log.DropCursor(kLedgerCursor);
}

Result<bool> ForwardBook::Advance() {
  const std::lock_guard lock(booking_);
  ASSIGN_OR_RETURN(const uint64_t end, log_.Cursor(consumer_));
  const uint64_t from = ledger_.forward().next_record;
  if (from >= end) return false;
  uint64_t to = std::min(end, from + kRecordsAtOnce);
  RowCounter rows;
  const Status read = log_.Read(from, [&](uint64_t index, ByteView record) {
    if (rows.rows() >= kRowsAtOnce) to = std::min(to, index);
    if (index >= to) return false;
    rows.Add(record);
    return true;
  });
  // A damaged record was neither sent nor can it be counted: its rows are in the history.
  if (!read && read.error().code != Code::kDataLoss) return std::unexpected(read.error());
  pipeline_.Forwarded(rows.Take(), to);
  return to < end;
}

void ForwardBook::GaveUp(uint64_t index, storage::LogPriority priority, ByteView record) {
  const std::lock_guard lock(booking_);
  const uint64_t booked = ledger_.forward().next_record;
  if (index < booked) return;
  RowCounter rows;
  rows.Add(record);
  const RowCounts counts = rows.Take();
  const auto cursor = log_.Cursor(consumer_);
  if (cursor && index < *cursor) return pipeline_.Forwarded(counts, booked);
  uint64_t all = 0;
  for (const auto& [point, count] : counts) all += count;
  RowsGivenUp(priority).Add(all);
  pipeline_.Evicted(counts);
}

Status ForwardBook::Keep() {
  return log_.SetCursor(kLedgerCursor, std::min(ledger_.forward_persisted(), log_.durable_end()));
}

}  // namespace penstock::telemetry
