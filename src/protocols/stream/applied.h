// Which rows of an edge's partition are durable, and at which hub: the value of a fact that hubs
// change one after the other, each only what it has read (Stream::SetFact). So every row below
// `rows` belongs to one hub, and what a hub made durable beyond its share belongs to the next one.
// Format: docs/formats/stream.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::protocols::stream {

inline constexpr size_t kAppliedSharesMax = 64;

struct Applied {
  struct Share {
    std::string hub;
    uint64_t from = 0;  // Its first row; to the next share's first one.
  };
  uint64_t rows = 0;          // All below are durable at the hub whose share they are in.
  std::vector<Share> shares;  // By row, the last one open. Empty: nobody's yet.

  bool Holds(std::string_view hub) const { return !shares.empty() && shares.back().hub == hub; }
  // From now on rows from `rows` on are this hub's. The oldest share goes when there are too many.
  void TakeOver(const std::string& hub);
  // How many of the rows [from, to), from the first one on, are the hub's own and confirmed.
  uint64_t OwnRows(std::string_view hub, uint64_t from, uint64_t to) const;
  // How many of the rows [from, to), which the hub made durable, can never be its own: another hub
  // has them, or will.
  uint64_t LostRows(std::string_view hub, uint64_t from, uint64_t to) const;
};

std::string FormatApplied(const Applied& applied);
// kInvalidArgument with the place. "812000" alone, of older hubs, has no shares.
Result<Applied> ParseApplied(std::string_view text);

}  // namespace penstock::protocols::stream
