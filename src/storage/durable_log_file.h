// The durable log over segment files, inside: durable_log.cc (recovery, the commit, reading) and
// durable_log_retain.cc (what goes). The public face is storage/durable_log.h.
#pragma once

#include <unistd.h>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "storage/disk.h"
#include "storage/durable_log.h"
#include "storage/folder_lock.h"
#include "storage/log_cursors.h"
#include "storage/log_record.h"

namespace penstock::storage {

inline constexpr unsigned kAllLogPriorities = 7;
inline unsigned BitOf(LogPriority priority) { return 1U << static_cast<unsigned>(priority); }

struct LogSegment {
  ~LogSegment() {
    if (fd >= 0) close(fd);
  }
  uint64_t end_position() const { return durable_bytes.load(std::memory_order_acquire); }

  std::string path;
  int fd = -1;
  uint64_t first_index = 0;
  std::atomic<uint64_t> durable_bytes{0};
  // The writer's own: when it was begun and last written to, and which priorities may be in it.
  Time begun{}, written{};
  unsigned priorities = kAllLogPriorities;  // By bit: BitOf.
  // Some positions by index, so that a reader at the end need not walk the whole file. Guarded by
  // the log's mutex.
  std::vector<std::pair<uint64_t, uint64_t>> marks;
};
using LogSegmentPointer =
    std::shared_ptr<LogSegment>;  // Shared by the log and readers: Trim may unlink meanwhile.

// kResourceExhausted for a full disk, else kUnavailable; with path and fix.
std::unexpected<Error> LogFileError(int error_number, std::string_view what,
                                    const std::string& path);
SegmentScanner::Source SourceOf(const LogSegmentPointer& segment);  // Its durable bytes.

class FileLog final : public DurableLog {
 public:
  FileLog(std::string folder, const LogOptions& options)
      : folder_(std::move(folder)),
        options_(options),
        disk_(options.disk != nullptr ? *options.disk : SystemDisk()),
        clock_(options.clock != nullptr ? *options.clock : system_clock_) {
    options_.segment_bytes = std::clamp<uint64_t>(options_.segment_bytes, 4096,
                                                  std::max<uint64_t>(4096, options_.max_bytes / 4));
  }

  Status Recover();

  Result<uint64_t> Append(ByteView record, LogPriority priority) override;
  Status Sync() override;
  uint64_t durable_end() const override { return durable_end_.load(std::memory_order_acquire); }
  uint64_t begin() const override { return begin_.load(std::memory_order_acquire); }
  Status Read(uint64_t from, const std::function<bool(uint64_t, ByteView)>& visit) override;
  Result<uint64_t> Cursor(const std::string& name) const override;
  Status SetCursor(const std::string& name, uint64_t index) override;
  Status DropCursor(const std::string& name) override;
  void MayLose(const std::string& name) override;
  Status Trim() override;
  uint64_t bytes() const override { return bytes_.load(std::memory_order_acquire); }

 private:
  Status OpenSegments();
  Result<bool> RecoverLast();
  Status CutTail(LogSegment& segment, uint64_t size, uint64_t valid_end, bool garbage);
  Status NewSegment(uint64_t first_index);
  Status Roll();
  Status Commit();
  Status CutBack(int error_number, std::string_view what);
  void WriteAhead(const LogSegment& segment, uint64_t end);
  Status TrimTo(uint64_t bytes_max);
  Status MakeRoom(uint64_t bytes_max);
  std::pair<LogSegmentPointer, uint64_t> ClosedSegment(size_t i, uint64_t limit) const;
  Status EvictTo(uint64_t bytes_max);
  Status GiveUpOld();
  void TellEvicted(const LogSegmentPointer& old, LogPriority priority, uint64_t end_index);
  bool ActiveIsOld() const;
  Status Thin(const LogSegmentPointer& segment, LogPriority priority, uint64_t end_index);
  uint64_t SlowestCursor(bool strict_only) const;
  void UpdateTotals();

  const std::string folder_;
  LogOptions options_;
  Disk& disk_;
  const SystemClock system_clock_;
  const Clock& clock_;
  Metric& held_bytes_ = Gauge(options_.gauges + "_bytes", "Bytes in the durable log.");
  Metric& oldest_written_ = Gauge(options_.gauges + "_oldest_timestamp_seconds",
                                  "When the log's oldest segment was last written to.");
  std::unique_ptr<FolderLock> lock_;

  mutable std::mutex mutex_;  // Guards segments_: the list and the marks.
  std::deque<LogSegmentPointer> segments_;
  mutable std::mutex
      cursors_mutex_;  // Guards cursors_; apart, because setting one waits for the disk.
  std::unique_ptr<LogCursors> cursors_;
  std::set<std::string, std::less<>> may_lose_;  // Guarded by cursors_mutex_ as well.
  std::atomic<uint64_t> durable_end_{0}, begin_{0}, bytes_{0};

  // The writer's own.
  LogSegmentPointer active_;  // The last of segments_.
  Bytes pending_;
  std::vector<std::pair<uint64_t, uint64_t>> pending_marks_;
  unsigned pending_priorities_ = 0;
  uint64_t next_index_ = 0;
  uint64_t allocated_ = 0;   // Size of the last segment's file; zeros from its durable end on.
  bool closed_off_ = false;  // The last segment takes no more; the next commit begins a new one.
  std::optional<Error> given_up_;  // Why the last commit failed; until the next Append.
  std::optional<Error> broken_;    // Why nothing is taken until the log is opened again.
};

}  // namespace penstock::storage
