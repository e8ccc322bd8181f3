#include "protocols/uplink/block_maker.h"

#include <algorithm>

#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/batch_codec.h"

namespace penstock::protocols::uplink {
namespace {

constexpr size_t kFrameRows = 1 << 16;  // Of one frame, unless a single record has more.

}  // namespace

// A record's texts have a bound; those of a frame have the same.
bool BlockMaker::Follows(const telemetry::Batch& next) const {
  if (joined_.origin.epoch != next.origin.epoch ||
      joined_.first_sequence + joined_.size() != next.first_sequence ||
      joined_.size() + next.size() > kFrameRows)
    return false;
  constexpr size_t kHalf = telemetry::kFrameTextBytesMax / 2;
  return texts_ == nullptr || (texts_->RowsWithin(joined_.value, kHalf) == joined_.size() &&
                               texts_->RowsWithin(next.value, kHalf) == next.size());
}

void BlockMaker::Put(OutBlock& block, const std::vector<std::string>& paths) {
  for (size_t begin = 0; begin < joined_.size();) {
    const size_t end = std::min(joined_.size(), begin + telemetry::kFrameRowsMax);
    begin =
        encoder_.Encode(joined_, begin, end, paths,
                        {edge_, joined_.origin.epoch, joined_.first_sequence + begin}, block.bytes);
  }
  block.rows += joined_.size();
  joined_.Clear();
}

// Rows are numbered without a gap, so a jump between neighbours tells what was evicted or damaged.
void BlockMaker::NoteLost(uint64_t index, const telemetry::Batch& batch, OutBlock& block) {
  const bool goes_on = next_epoch_ == batch.origin.epoch && next_index_ > 0;
  if (goes_on && batch.first_sequence > next_sequence_)
    block.lost += batch.first_sequence - next_sequence_;
  next_index_ = index + 1;
  next_epoch_ = batch.origin.epoch;
  next_sequence_ = batch.first_sequence + batch.size();
}

Result<OutBlock> BlockMaker::Make(Backlog::Range range, const BlockLimits& limits,
                                  const std::vector<std::string>& paths) {
  OutBlock block;
  block.records = {range.from, range.from};
  joined_.Clear();
  if (next_index_ != range.from) next_index_ = 0;
  const auto read = log_.Read(range.from, [&](uint64_t index, ByteView record) {
    if (index >= range.to) return false;
    if (block.bytes.size() >= limits.bytes || block.rows + joined_.size() >= limits.rows) {
      block.more = true;
      return false;
    }
    block.holes += index - block.records.to;
    block.records.to = index + 1;
    auto batch = telemetry::DecodeBatch(record);
    if (!batch) {
      LogError("uplink: record {} skipped: {}", index, batch.error().ToString());
      return true;
    }
    if (!batch->own()) {
      Counter("penstock_uplink_foreign_rows_total", "Rows of other nodes, not sent on")
          .Add(batch->size());
      return true;
    }
    // A block's rows have a bound at the hub; a record that would pass it waits for the next.
    if (block.rows + joined_.size() + batch->size() > limits.rows && block.rows > 0) {
      block.records.to = index;
      block.more = true;
      return false;
    }
    NoteLost(index, *batch, block);
    if (!joined_.empty() && Follows(*batch)) {
      joined_.Append(*batch);
      return true;
    }
    Put(block, paths);
    joined_ = std::move(*batch);
    return true;
  });
  Put(block, paths);
  if (!read && read.error().code != Code::kDataLoss) return std::unexpected(read.error());
  // Nothing readable up to the end of the range: the damage is passed over, too.
  if (!block.more && block.records.to < range.to) {
    block.holes += range.to - block.records.to;
    block.records.to = range.to;
  }
  block.id =
      fmt::format("{:x}-{:x}-{:08x}", block.records.from, block.bytes.size(), Crc32c(block.bytes));
  return block;
}

}  // namespace penstock::protocols::uplink
