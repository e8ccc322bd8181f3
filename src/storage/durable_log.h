// The durable log: an append-only sequence of records in segment files; what Sync() returned for
// survives kill -9 and power loss. Format: docs/formats/durable_log.md.
//
// Thread rule: Append and Sync from one thread; everything else from any thread.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "storage/log_record.h"

namespace penstock::storage {

class Disk;

struct LogOptions {
  uint64_t segment_bytes = 64ULL << 20;  // At most a quarter of max_bytes counts.
  uint64_t max_bytes =
      1ULL << 30;  // Oldest whole segments before every cursor go first; then kResourceExhausted.
  // Whole segments below every cursor go when nothing in them is younger; 0: by bytes alone.
  std::chrono::seconds max_age{0};
  // By LogPriority: records so much older, that only consumers want which may lose them (MayLose),
  // are evicted by Trim even where there is room; 0: only when the log is full.
  std::array<std::chrono::seconds, 3> keep_unread{};
  const Clock* clock = nullptr;  // For these ages; the system's. Outlives the log.
  // Told of each record that was evicted, with what was in it; on the writer's thread, when nobody
  // can read it any more.
  std::function<void(uint64_t index, LogPriority priority, ByteView record)> on_evict;
  Disk* disk = nullptr;  // The system's; a test gives one that fails. Outlives the log.
  std::string gauges = "penstock_log";  // Its size and age: "..._bytes" and so on.
};

class DurableLog {
 public:
  virtual ~DurableLog() = default;

  // Recovers: a torn tail is cut (counted, logged), a damaged record in the middle is never served.
  // kFailedPrecondition while another process writes this log.
  static Result<std::unique_ptr<DurableLog>> Open(const std::string& folder,
                                                  const LogOptions& options);

  // Returns the record's index (dense from 0). Not durable before Sync. Up to 16 MiB a record;
  // kResourceExhausted when max_bytes are full or 64 MiB wait for a Sync: earlier records are not
  // touched by that.
  virtual Result<uint64_t> Append(ByteView record, LogPriority priority) = 0;
  Result<uint64_t> Append(ByteView record) { return Append(record, LogPriority::kNormal); }
  // Group commit (fdatasync). After an error the un-synced records are given up as if never
  // appended: durable_end() stands, their indexes are given again, and who wants them stored
  // appends them again. Until the next Append every Sync repeats that error, so that a mere retry
  // is never mistaken for a commit. kResourceExhausted: disk full, goes on by itself when there is
  // room. kUnavailable: the disk failed; if even cutting back failed, until re-opened.
  virtual Status Sync() = 0;
  virtual uint64_t durable_end() const = 0;  // One past the last durable index.
  virtual uint64_t begin() const = 0;        // The first index still kept.

  // Calls `visit` for records [max(from, begin()), durable_end()) until it returns false. Damaged
  // records are left out; the whole ones behind them are still visited, and then the answer is
  // kDataLoss with the lost indexes.
  virtual Status Read(uint64_t from,
                      const std::function<bool(uint64_t index, ByteView record)>& visit) = 0;

  // Named durable cursors: how far a consumer has come. Retention never passes the slowest cursor.
  // A cursor can be set on a full disk. kInvalidArgument beyond durable_end().
  virtual Result<uint64_t> Cursor(const std::string& name) const = 0;  // 0 when new.
  virtual Status SetCursor(const std::string& name, uint64_t index) = 0;
  virtual Status DropCursor(const std::string& name) = 0;  // The log waits for it no more.
  // From now on (not kept over a restart) records that only this consumer still wants may be
  // evicted when max_bytes are full: those of low priority first, then normal, then high, each the
  // oldest first. Their indexes stay; a reader is not told of them.
  virtual void MayLose(const std::string& name) = 0;
  // Drops whole segments below every cursor, oldest first, until at most `max_bytes` remain and
  // none of them is older than max_age; then evicts by keep_unread.
  virtual Status Trim() = 0;
  virtual uint64_t bytes() const = 0;
};

}  // namespace penstock::storage
