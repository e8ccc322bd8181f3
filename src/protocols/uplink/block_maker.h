// Blocks of frames out of the edge's log: records in their order, neighbours joined, until a block
// is full.
//
// Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "protocols/uplink/backlog.h"
#include "storage/durable_log.h"
#include "telemetry/frame.h"
#include "telemetry/texts.h"

namespace penstock::protocols::uplink {

struct OutBlock {
  std::string id;  // Names these bytes and no others.
  Bytes bytes;
  Backlog::Range records;  // That the block stands for, from the first one asked for.
  uint64_t rows = 0;
  bool more = false;   // There were more records than fit.
  uint64_t holes = 0;  // Records of the range that are not in the log any more.
  uint64_t lost = 0;   // Rows that should lie between these, as far as their numbers tell.
};

struct BlockLimits {
  size_t bytes = 1 << 20;  // A block ends when it has so many, or so many rows.
  size_t rows = 1 << 18;
};

class BlockMaker {
 public:
  // `edge`: this node's name at the hub.
  BlockMaker(storage::DurableLog& log, std::string edge, const telemetry::Texts* texts = nullptr)
      : log_(log), edge_(std::move(edge)), texts_(texts) {
    encoder_.TakeTexts(texts);
  }

  // Records [range.from, range.to) or as many of them as fit. Rows of other nodes are left out: an
  // edge forwards what it measured. A damaged record is passed over; its rows will be a gap at the
  // hub.
  Result<OutBlock> Make(Backlog::Range range, const BlockLimits& limits,
                        const std::vector<std::string>& paths);

 private:
  void NoteLost(uint64_t index, const telemetry::Batch& batch, OutBlock& block);
  bool Follows(const telemetry::Batch& next) const;  // What is joined.
  void Put(OutBlock& block, const std::vector<std::string>& paths);

  storage::DurableLog& log_;
  const std::string edge_;
  const telemetry::Texts* const texts_;
  telemetry::FrameEncoder encoder_;
  telemetry::Batch joined_;
  // Behind the last record read: what should come next.
  uint64_t next_index_ = 0, next_epoch_ = 0, next_sequence_ = 0;
};

}  // namespace penstock::protocols::uplink
