#include "protocols/uplink/backlog.h"

#include <algorithm>

namespace penstock::protocols::uplink {

bool Backlog::StartLiveAt(uint64_t end) {
  if (durable_.count() >= kIslandsMax && end > live_next_) return false;
  live_from_ = live_next_ = std::max(end, cursor_);
  return true;
}

Backlog::Range Backlog::Backfill() const {
  for (const Range& missing : durable_.Missing({cursor_, std::max(cursor_, live_from_)}))
    if (const auto left = taken_.Missing(missing); !left.empty()) return left.front();
  return {};
}

bool Backlog::Durable(Range range) {
  taken_.Remove(range);
  durable_.Add({std::max(range.from, cursor_), range.to});
  const auto all = durable_.all();
  if (all.empty() || all.front().from > cursor_) return false;
  const bool moved = all.front().to > cursor_;
  cursor_ = std::max(cursor_, all.front().to);
  durable_.Remove({0, cursor_});
  live_from_ = std::max(live_from_, cursor_);
  live_next_ = std::max(live_next_, cursor_);
  return moved;
}

uint64_t Backlog::waiting(uint64_t end) const {
  uint64_t count = 0;
  for (const Range& range : durable_.Missing({cursor_, std::max(cursor_, end)}))
    count += range.to - range.from;
  return count;
}

}  // namespace penstock::protocols::uplink
