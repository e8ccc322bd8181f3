#include "protocols/stream/settle.h"

#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/metrics.h"
#include "protocols/stream/route.h"
#include "telemetry/batch_codec.h"

namespace penstock::protocols::stream {
namespace {

constexpr int kSettleAttempts = 10;
constexpr auto kSettlePause = std::chrono::milliseconds(50);

// Below: durable here, or accounted for.
uint64_t DenseEnd(const std::vector<telemetry::SequenceRange>& ranges) {
  return ranges.empty() || ranges.front().from > 0 ? 0 : ranges.front().to;
}

}  // namespace

Result<Settlement::Ranges> Settlement::Replayed(storage::DurableLog& log) {
  Ranges ranges;
  ASSIGN_OR_RETURN(const uint64_t from, log.Cursor("history"));
  const auto read = log.Read(from, [&](uint64_t, ByteView record) {
    const auto batch = telemetry::DecodeBatch(record);
    if (batch && !batch->own())
      ranges[{batch->origin.edge, batch->origin.epoch}].Add(
          {batch->origin.first, batch->origin.first + batch->size()});
    return true;
  });
  // Damaged records are the pipeline's to tell of.
  if (!read && read.error().code != Code::kDataLoss) return std::unexpected(read.error());
  return ranges;
}

Result<Settlement> Settlement::Make(const std::string& hub, storage::Stream& stream,
                                    const Ranges& replayed, telemetry::Origins& origins) {
  Settlement settlement(hub);
  for (const auto& [source, ranges] : replayed) {
    telemetry::SequenceSet all = ranges;
    for (const auto& range : origins.StateOf(source.first, source.second).ranges) all.Add(range);
    TRY(settlement.Settle(stream, source, DenseEnd(all.all())));
  }
  return settlement;
}

Status Settlement::Settle(storage::Stream& stream, const Source& source, uint64_t durable) {
  const std::string key = AppliedKey(source.first, source.second);
  for (int i = 0;; ++i) {
    const auto fact = stream.Fact(key);
    if (!fact && fact.error().code == Code::kNotFound) return {};
    if (!fact) return std::unexpected(fact.error());
    ASSIGN_OR_RETURN(Applied applied, ParseApplied(fact->value));
    if (applied.shares.empty()) return {};  // Of a version whose hubs did not write their names.
    if (applied.Holds(hub_) && applied.rows < durable) {
      applied.rows = durable;
      const auto set = stream.SetFact(key, FormatApplied(applied), fact->number);
      if (!set && (set.error().code != Code::kAborted || i == kSettleAttempts))
        return std::unexpected(set.error());
      if (!set) {
        std::this_thread::sleep_for(kSettlePause);
        continue;
      }
    }
    facts_[source] = std::move(applied);
    return {};
  }
}

size_t Settlement::RowsToKeep(const telemetry::Batch& batch, telemetry::Origins& origins) const {
  const auto& [edge, epoch, first] = batch.origin;
  const auto found = facts_.find({edge, epoch});
  if (found == facts_.end()) return batch.size();
  const uint64_t end = first + batch.size();
  const uint64_t keep = found->second.OwnRows(hub_, first, end);
  if (keep == batch.size()) return keep;
  origins.Forget(edge, epoch, {first + keep, end});
  Counter("penstock_stream_rows_forgotten_total",
          "Rows that were not confirmed before a crash and that another hub, or the edge, has.")
      .Add(batch.size() - keep);
  LogSometimes(LogLevel::kInfo, "stream-settle",
               fmt::format("stream: rows {} to {} of {} were not confirmed before the crash and "
                           "are left out: another hub has them, or they come again",
                           first + keep, end - 1, edge));
  return keep;
}

uint64_t Settlement::RowsToForget(const Ranges& replayed) const {
  uint64_t rows = 0;
  for (const auto& [source, fact] : facts_)
    if (const auto found = replayed.find(source); found != replayed.end())
      for (const auto& [from, to] : found->second.all())
        rows += to - from - fact.OwnRows(hub_, from, to);
  return rows;
}

}  // namespace penstock::protocols::stream
