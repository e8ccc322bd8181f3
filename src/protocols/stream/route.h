// What an edge and the hubs agree on: which partition a point's rows take, and how the rows of one
// partition are numbered. Format: docs/formats/stream.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::protocols::stream {

// By the thing's name, the part of "pump-7/flow" before "/": a path never changes its thing, so the
// same rows take the same way again after a restart. FNV-1a, so that any language can compute it.
uint32_t PartitionOf(std::string_view path, uint32_t partitions);

// The rows of each partition have a dense numbering of their own, under an epoch of their own: bits
// 0 to 52 the edge's epoch, 53 to 59 the partition, 60 to 63 how often the number of partitions
// has changed.
uint64_t StreamEpoch(uint64_t epoch, uint32_t partition, uint32_t generation);
uint32_t PartitionIn(uint64_t stream_epoch);

// "line-1/20a3f81/812000-2048.0": edge, stream epoch (hex), first row, rows, attempt. The stream
// leaves out an id that it had a moment ago; rows that are sent again on purpose have another one.
struct MessageId {
  std::string edge;
  uint64_t epoch = 0, first = 0, rows = 0, attempt = 0;
};
std::string FormatMessageId(const MessageId& id);
Result<MessageId> ParseMessageId(std::string_view text);

// Where the hubs write down how far an edge's partition is durable: a fact's key.
std::string AppliedKey(const std::string& edge, uint64_t stream_epoch);

}  // namespace penstock::protocols::stream
