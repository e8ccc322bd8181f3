// What goes from the log. Whole segments below every cursor go by bytes and by age. When that does
// not make enough room, or records are older than their class is worth to a consumer that may lose
// some, closed segments are written anew without them, class by class.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/durable_log_file.h"

namespace penstock::storage {
namespace {

constexpr size_t kRewriteBytes = 4 << 20;  // Written at a time when a segment is thinned.

Metric& RecordsGivenUp() {
  static Metric& metric = Counter("penstock_log_records_evicted_total",
                                  "Log records given up for consumers that are too late.");
  return metric;
}

}  // namespace

Status FileLog::Trim() {
  TRY(TrimTo(options_.max_bytes));
  return GiveUpOld();
}

Status FileLog::DropCursor(const std::string& name) {
  const std::lock_guard lock(cursors_mutex_);
  may_lose_.erase(name);
  return cursors_->Drop(name);
}

// The index that some consumer still needs; with `strict_only` of those that may not lose anything.
uint64_t FileLog::SlowestCursor(bool strict_only) const {
  uint64_t slowest = std::numeric_limits<uint64_t>::max();
  const std::lock_guard lock(cursors_mutex_);
  for (const auto& [name, index] : cursors_->all())
    if (!strict_only || !may_lose_.contains(name)) slowest = std::min(slowest, index);
  return slowest;
}

Status FileLog::TrimTo(uint64_t bytes_max) {
  bool removed = false;
  const uint64_t slowest = SlowestCursor(false);
  const Time oldest = options_.max_age.count() > 0 ? clock_.Now() - options_.max_age : Time::min();
  {
    const std::lock_guard lock(mutex_);
    while (segments_.size() > 1 && segments_[1]->first_index <= slowest &&
           (bytes_ > bytes_max || segments_.front()->written < oldest)) {
      if (unlink(segments_.front()->path.c_str()) != 0 && errno != ENOENT)
        return LogFileError(errno, "cannot remove log segment", segments_.front()->path);
      bytes_ -= segments_.front()->durable_bytes;
      segments_.pop_front();
      removed = true;
    }
    begin_ = segments_.front()->first_index;
    held_bytes_.Set(static_cast<int64_t>(bytes_));
    oldest_written_.Set(ToMicros(segments_.front()->written) / 1'000'000);
  }
  return removed ? SyncFolder(folder_) : Status();
}

Status FileLog::MakeRoom(uint64_t bytes_max) {
  TRY(TrimTo(bytes_max));
  return bytes() > bytes_max ? EvictTo(bytes_max) : Status();
}

// The i-th one and where its records end; null when they do not end before `limit`.
std::pair<LogSegmentPointer, uint64_t> FileLog::ClosedSegment(size_t i, uint64_t limit) const {
  const std::lock_guard lock(mutex_);
  if (i + 1 >= segments_.size() || segments_[i + 1]->first_index > limit) return {};
  return {segments_[i], segments_[i + 1]->first_index};
}

// Takes records out of closed segments that all strict consumers have passed.
Status FileLog::EvictTo(uint64_t bytes_max) {
  const uint64_t strict = SlowestCursor(true);
  for (const LogPriority priority : {LogPriority::kLow, LogPriority::kNormal, LogPriority::kHigh}) {
    for (size_t i = 0;; ++i) {
      const auto [segment, end_index] = ClosedSegment(i, strict);
      if (segment == nullptr) break;
      if ((segment->priorities & BitOf(priority)) == 0) continue;
      TRY(Thin(segment, priority, end_index));
      if (bytes() <= bytes_max) return {};
    }
  }
  return {};
}

// Records that only consumers want which may lose them, and that are older than they are worth.
Status FileLog::GiveUpOld() {
  const uint64_t strict = SlowestCursor(true), slowest = SlowestCursor(false);
  for (const LogPriority priority : {LogPriority::kLow, LogPriority::kNormal, LogPriority::kHigh}) {
    const auto keep = options_.keep_unread[static_cast<size_t>(priority)];
    if (keep.count() <= 0) continue;
    const Time oldest = clock_.Now() - keep;
    for (size_t i = 0;; ++i) {
      const auto [segment, end_index] = ClosedSegment(i, strict);
      if (segment == nullptr) break;
      if (segment->written >= oldest) break;
      if (end_index <= slowest || (segment->priorities & BitOf(priority)) == 0) continue;
      TRY(Thin(segment, priority, end_index));
    }
  }
  return {};
}

// Retention takes whole closed segments: where ages count, a slow log closes them by age, too.
bool FileLog::ActiveIsOld() const {
  constexpr int kSegmentsPerAge = 8;
  std::chrono::seconds shortest = options_.max_age;
  for (const auto keep : options_.keep_unread)
    if (keep.count() > 0 && (shortest.count() == 0 || keep < shortest)) shortest = keep;
  return shortest.count() > 0 && active_->durable_bytes > kSegmentHeaderBytes &&
         clock_.Now() - active_->begun > shortest / kSegmentsPerAge;
}

// Writes the segment anew without the records of this priority: a file beside it that takes its
// place when it is whole and durable. Readers in the old file go on in it.
Status FileLog::Thin(const LogSegmentPointer& segment, LogPriority priority, uint64_t end_index) {
  auto thin = std::make_shared<LogSegment>();
  thin->path = segment->path;
  thin->first_index = segment->first_index;
  thin->begun = segment->begun;
  thin->written = segment->written;
  thin->priorities = segment->priorities & ~BitOf(priority);
  const std::string temporary = segment->path + ".thin";
  thin->fd = open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (thin->fd < 0) return LogFileError(errno, "cannot create", temporary);
  Bytes out = EncodeSegmentHeader(segment->first_index);
  uint64_t written = 0, evicted = 0;
  const auto flush = [&]() -> Status {
    if (const int error = disk_.Write(thin->fd, out, written))
      return LogFileError(error, "cannot write", temporary);
    written += out.size();
    out.clear();
    return {};
  };
  SegmentScanner scanner(SourceOf(segment), kSegmentHeaderBytes, segment->first_index, end_index);
  while (true) {
    ASSIGN_OR_RETURN(const auto record, scanner.Next());
    if (!record) break;
    if (record->evicted || record->priority == priority) {
      EncodeEvicted(record->index, record->unsynced, out);
      evicted += record->evicted ? 0 : 1;
    } else {
      EncodeRecord(record->index, record->unsynced, record->payload, out, record->priority);
    }
    if (out.size() >= kRewriteBytes) TRY(flush());
  }
  TRY(flush());
  if (const int error = disk_.Sync(thin->fd)) return LogFileError(error, "cannot sync", temporary);
  if (rename(temporary.c_str(), segment->path.c_str()) != 0)
    return LogFileError(errno, "cannot rename", temporary);
  TRY(SyncFolder(folder_));
  thin->durable_bytes = written;
  RecordsGivenUp().Add(evicted);
  LogWarn("{}: {} records given up, who wants them is too late", segment->path, evicted);
  {
    const std::lock_guard lock(mutex_);
    std::ranges::replace(segments_, segment, thin);
  }
  UpdateTotals();
  TellEvicted(segment, priority, end_index);
  return {};
}

// What went, out of the old file: nobody can read it any more, so who counts it counts it once.
void FileLog::TellEvicted(const LogSegmentPointer& old, LogPriority priority, uint64_t end_index) {
  if (!options_.on_evict) return;
  SegmentScanner scanner(SourceOf(old), kSegmentHeaderBytes, old->first_index, end_index);
  while (true) {
    const auto record = scanner.Next();
    if (!record) return LogError("{}: {}", old->path, record.error().ToString());
    if (!*record) return;
    if (!(*record)->evicted && (*record)->priority == priority)
      options_.on_evict((*record)->index, priority, (*record)->payload);
  }
}

}  // namespace penstock::storage
