// The latest row of each point: what the file of points says, and what the
// tails have since.
#include <algorithm>

#include "storage/history_reader.h"

namespace penstock::storage {

Result<std::vector<LastRow>> HistoryReader::Last(std::span<const std::string> paths) {
  const View view = Look();
  const std::lock_guard lock(mutex_);
  std::vector<uint32_t> asked;
  for (const std::string& path : paths)
    if (const uint32_t entry = points_.Find(path); entry != HistoryPoints::kNone)
      asked.push_back(entry);
  if (paths.empty())
    for (uint32_t entry = 0; entry < points_.size(); ++entry) asked.push_back(entry);

  std::sort(asked.begin(), asked.end());
  asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
  std::vector<LastRow> lasts(asked.size());
  std::vector<bool> known(asked.size());
  std::vector<uint32_t> by_id;  // PointId.value -> place in `lasts`, plus one.
  for (size_t i = 0; i < asked.size(); ++i) {
    const HistoryPoints::Entry& entry = points_[asked[i]];
    known[i] = entry.has_last;
    lasts[i] = {entry.path,  entry.time,    entry.ingest_time,
                entry.value, entry.quality, entry.sequence};
    if (entry.id == HistoryPoints::kNone) continue;
    if (entry.id >= by_id.size()) by_id.resize(size_t{entry.id} + 1);
    by_id[entry.id] = static_cast<uint32_t>(i + 1);
  }
  for (const TailSnapshot& tail : view.tails) {
    tail.ForEach([&](const TailBlock& block, size_t row) {
      const uint32_t id = block.point[row];
      if (id >= by_id.size() || by_id[id] == 0) return;
      const size_t at = by_id[id] - 1;
      LastRow& last = lasts[at];
      const Time time = FromMicros(block.time[row]);
      if (known[at] && std::pair(time, block.sequence(row)) < std::pair(last.time, last.sequence))
        return;
      known[at] = true;
      last.time = time;
      last.ingest_time = FromMicros(block.ingest_time(row));
      last.value = block.value[row];
      last.quality = block.quality[row];
      last.sequence = block.sequence(row);
    });
  }
  std::vector<LastRow> found;
  for (size_t i = 0; i < lasts.size(); ++i)
    if (known[i]) found.push_back(std::move(lasts[i]));
  std::sort(found.begin(), found.end(),
            [](const LastRow& a, const LastRow& b) { return a.path < b.path; });
  return found;
}

}  // namespace penstock::storage
