// One writer, segment files, one fdatasync per group commit.
//
// Append only copies into memory; Sync writes all that waits with one write and one fdatasync, so a
// group lies in one segment and a failure can be undone as a whole: the file is cut back to the
// last durable end. Records that were not committed are given up and not kept for a later attempt,
// because their senders were told "no" and will send again; kept, they would be stored twice.
//
// After a failed fdatasync the kernel may call pages clean that never reached the disk, so a second
// fdatasync would lie. The segment is then closed at its durable end and the next commit begins a
// new file; when even the cut cannot be made durable the log takes nothing more until it is opened
// again and has read what is really there.
//
// Zeros are written some way ahead of the data, so that most commits change no file size: the
// fdatasync then has no metadata to write and takes half the time. Recovery takes zeros for the
// end.
#include "storage/durable_log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"

namespace penstock::storage {
namespace {

constexpr size_t kPendingBytesMax = 64 << 20;
constexpr uint64_t kAheadBytes = 1 << 20;
constexpr size_t kAheadForCommitsBelow = 256 << 10;
constexpr uint64_t kMarkEvery = 256 << 10;  // Bytes between two known positions of a segment.

Metric& TornTails() {
  static Metric& metric =
      Counter("penstock_log_torn_tails_total", "Uncommitted tails cut when a log was opened.");
  return metric;
}
Metric& DamagedRecords() {
  static Metric& metric = Counter("penstock_log_damaged_records_total",
                                  "Log records found damaged, by reading; never served.");
  return metric;
}
Metric& SyncFailures() {
  static Metric& metric = Counter("penstock_log_sync_failures_total", "Group commits that failed.");
  return metric;
}

std::string SegmentName(uint64_t first_index) { return fmt::format("{:020}.log", first_index); }

std::optional<uint64_t> IndexOfName(std::string_view name) {
  if (name.size() != 24) return std::nullopt;
  uint64_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 20, index);
  if (error != std::errc() || end != name.data() + 20) return std::nullopt;
  return index;
}

// What a reader lost, in words for one error.
class Losses {
 public:
  void Add(uint64_t from, uint64_t to, const std::string& path) {
    if (from >= to) return;
    if (count_ == 0) first_ = fmt::format("{} to {}", from, to - 1), path_ = path;
    count_ += to - from;
  }
  Status Report() const {
    if (count_ == 0) return {};
    DamagedRecords().Add(count_);
    auto error = DataLoss("{} log records damaged, first {}; all others were read", count_, first_);
    error.error().Where(path_).Fix(
        "restore the segment from a backup, or go on without these records");
    return error;
  }

 private:
  uint64_t count_ = 0;
  std::string first_, path_;
};

}  // namespace

std::unexpected<Error> LogFileError(int error_number, std::string_view what,
                                    const std::string& path) {
  auto error = FromErrno(error_number, what);
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  error.error().code = full ? Code::kResourceExhausted : Code::kUnavailable;
  error.error().Where(path);
  if (full) error.error().Fix("free space on this file system; the log goes on by itself");
  return error;
}

SegmentScanner::Source SourceOf(const LogSegmentPointer& segment) {
  return [segment, limit = segment->end_position()](uint64_t offset,
                                                    std::span<uint8_t> into) -> Result<size_t> {
    size_t done = 0;
    const size_t want = offset >= limit ? 0 : std::min<uint64_t>(into.size(), limit - offset);
    while (done < want) {
      const ssize_t got =
          pread(segment->fd, into.data() + done, want - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return LogFileError(errno, "cannot read log segment", segment->path);
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  };
}

Status FileLog::Recover() {
  TRY(MakeFolders(folder_));
  ASSIGN_OR_RETURN(lock_, FolderLock::Take(folder_, "durable log"));
  ASSIGN_OR_RETURN(cursors_, LogCursors::Open(folder_ + "/cursors", disk_));
  TRY(OpenSegments());
  while (!segments_.empty()) {
    ASSIGN_OR_RETURN(const bool kept, RecoverLast());
    if (kept) break;
  }
  if (segments_.empty()) TRY(NewSegment(durable_end_));
  active_ = segments_.back();
  next_index_ = durable_end_;
  UpdateTotals();
  return {};
}

Status FileLog::OpenSegments() {
  ASSIGN_OR_RETURN(const auto strays, ListFiles(folder_, ".thin"));
  for (const std::string& stray : strays) unlink((folder_ + "/" + stray).c_str());
  ASSIGN_OR_RETURN(const auto names, ListFiles(folder_, ".log"));
  for (const std::string& name : names) {
    const auto index = IndexOfName(name);
    if (!index) {
      LogWarn("{}/{}: not a log segment's name, left alone", folder_, name);
      continue;
    }
    auto segment = std::make_shared<LogSegment>();
    segment->path = folder_ + "/" + name;
    segment->first_index = *index;
    segment->fd = open(segment->path.c_str(), O_RDWR | O_CLOEXEC);
    if (segment->fd < 0) return LogFileError(errno, "cannot open log segment", segment->path);
    struct stat info {};
    if (fstat(segment->fd, &info) != 0)
      return LogFileError(errno, "cannot stat log segment", segment->path);
    segment->durable_bytes = static_cast<uint64_t>(info.st_size);
    segment->begun = segment->written =
        FromMicros(int64_t{info.st_mtim.tv_sec} * 1'000'000 + info.st_mtim.tv_nsec / 1000);
    segments_.push_back(std::move(segment));
  }
  return {};
}

// Finds the end of the last segment. False when the file was dropped because nothing of it had been
// committed.
Result<bool> FileLog::RecoverLast() {
  const LogSegmentPointer segment = segments_.back();
  const uint64_t size = segment->durable_bytes;
  Bytes header(kSegmentHeaderBytes);
  const auto source = SourceOf(segment);
  ASSIGN_OR_RETURN(const size_t got, source(0, header));
  const Status header_ok = CheckSegmentHeader(ByteView(header).first(got), segment->first_index);

  // A hole is damage when a later record proves that what was in it had been committed, else it is
  // the torn tail.
  struct Hole {
    uint64_t first_index, offset;
  };
  std::vector<Hole> holes;
  uint64_t expected = segment->first_index, committed = 0;
  SegmentScanner scanner(source, kSegmentHeaderBytes, expected, UINT64_MAX);
  while (true) {
    const uint64_t offset = scanner.valid_end();
    ASSIGN_OR_RETURN(const auto record, scanner.Next());
    if (!record) break;
    if (record->index != expected) holes.push_back({expected, offset});
    committed =
        std::max(committed, record->index - std::min<uint64_t>(record->index, record->unsynced));
    if (segment->marks.empty() || record->offset - segment->marks.back().second >= kMarkEvery)
      segment->marks.emplace_back(record->index, record->offset);
    expected = record->index + 1;
  }
  const bool nothing = expected == segment->first_index;
  if (nothing && !header_ok) {
    LogWarn("{}: dropped, its creation was torn ({})", segment->path, header_ok.error().message);
    TornTails().Add();
    if (unlink(segment->path.c_str()) != 0)
      return LogFileError(errno, "cannot remove", segment->path);
    durable_end_ = segment->first_index;
    segments_.pop_back();
    return false;
  }
  if (!header_ok) LogError("{}: {}", segment->path, header_ok.error().message);
  uint64_t valid_end = scanner.valid_end();
  const auto torn = std::find_if(holes.begin(), holes.end(),
                                 [&](const Hole& hole) { return hole.first_index >= committed; });
  if (torn != holes.end()) {
    expected = torn->first_index;
    valid_end = torn->offset;
    std::erase_if(segment->marks, [&](const auto& mark) { return mark.second >= valid_end; });
  }
  TRY(CutTail(*segment, size, valid_end, torn != holes.end() || scanner.garbage_behind()));
  durable_end_ = expected;
  return true;
}

Status FileLog::CutTail(LogSegment& segment, uint64_t size, uint64_t valid_end, bool garbage) {
  if (garbage) {
    LogWarn("{}: torn tail of {} bytes cut at {}; it was never acknowledged", segment.path,
            size - valid_end, valid_end);
    TornTails().Add();
    if (const int error = disk_.Truncate(segment.fd, valid_end))
      return LogFileError(error, "cannot cut the torn tail", segment.path);
    size = valid_end;
  }
  // What a crashed process had written may still be in memory alone; only now may it be called
  // durable.
  if (const int error = disk_.Sync(segment.fd))
    return LogFileError(error, "cannot sync", segment.path);
  allocated_ = std::max(size, valid_end);
  segment.durable_bytes = valid_end;
  return {};
}

Status FileLog::NewSegment(uint64_t first_index) {
  auto segment = std::make_shared<LogSegment>();
  segment->path = folder_ + "/" + SegmentName(first_index);
  segment->first_index = first_index;
  segment->fd = open(segment->path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (segment->fd < 0) return LogFileError(errno, "cannot create log segment", segment->path);
  const Bytes header = EncodeSegmentHeader(first_index);
  int error = disk_.Write(segment->fd, header, 0);
  if (error == 0) error = disk_.Sync(segment->fd);
  Status status = error == 0 ? SyncFolder(folder_)
                             : LogFileError(error, "cannot begin log segment", segment->path);
  if (!status) {
    unlink(segment->path.c_str());
    return status;
  }
  segment->durable_bytes = allocated_ = header.size();
  segment->begun = segment->written = clock_.Now();
  segment->priorities = 0;
  active_ = segment;
  {
    const std::lock_guard lock(mutex_);
    segments_.push_back(std::move(segment));
  }
  closed_off_ = false;
  UpdateTotals();
  return {};
}

Status FileLog::Roll() {
  // The zeros ahead go; should that fail they only cost space.
  if (!closed_off_ && disk_.Truncate(active_->fd, active_->durable_bytes) == 0) {
    disk_.Sync(active_->fd);
    allocated_ = active_->durable_bytes;
  }
  return NewSegment(durable_end());
}

void FileLog::UpdateTotals() {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const LogSegmentPointer& segment : segments_) sum += segment->durable_bytes;
  bytes_ = sum;
  begin_ = segments_.empty() ? 0 : segments_.front()->first_index;
}

Result<uint64_t> FileLog::Append(ByteView record, LogPriority priority) {
  if (broken_) return std::unexpected(*broken_);
  if (record.size() > kRecordBytesMax)
    return InvalidArgument("log record of {} bytes; at most {}", record.size(), kRecordBytesMax);
  const uint64_t need = pending_.size() + kRecordHeaderBytes + record.size();
  if (need > kPendingBytesMax && !pending_.empty())
    return ResourceExhausted("{} bytes wait for a Sync of the log; at most {}", pending_.size(),
                             kPendingBytesMax);
  if (bytes() + need > options_.max_bytes) {
    TRY(MakeRoom(options_.max_bytes - std::min(need, options_.max_bytes)));
    if (bytes() + need > options_.max_bytes) {
      auto error = ResourceExhausted("durable log full: {} of {} bytes wait for their consumers",
                                     bytes(), options_.max_bytes);
      error.error().Where(folder_).Fix("see which consumer stands still, or raise log_bytes_max");
      return error;
    }
  }
  given_up_.reset();
  pending_marks_.emplace_back(next_index_, pending_.size());
  EncodeRecord(next_index_, static_cast<uint32_t>(next_index_ - durable_end()), record, pending_,
               priority);
  pending_priorities_ |= BitOf(priority);
  return next_index_++;
}

Status FileLog::Sync() {
  if (broken_) return std::unexpected(*broken_);
  if (pending_.empty()) return given_up_ ? Status(std::unexpected(*given_up_)) : Status();
  const Status status = Commit();
  pending_.clear();
  pending_marks_.clear();
  pending_priorities_ = 0;
  if (status) return status;
  next_index_ = durable_end();
  given_up_ = status.error();
  SyncFailures().Add();
  LogSometimes(LogLevel::kError, "log commit " + folder_,
               "log commit failed: " + status.error().ToString());
  return status;
}

Status FileLog::Commit() {
  const uint64_t used = active_->durable_bytes;
  const bool full = used > kSegmentHeaderBytes && used + pending_.size() > options_.segment_bytes;
  if (full || closed_off_ || ActiveIsOld()) TRY(Roll());

  LogSegment& segment = *active_;
  const uint64_t start = segment.durable_bytes, end = start + pending_.size();
  if (end > allocated_ && pending_.size() < kAheadForCommitsBelow) WriteAhead(segment, end);
  if (const int error = disk_.Write(segment.fd, pending_, start))
    return CutBack(error, "cannot write the log");
  allocated_ = std::max(allocated_, end);
  if (const int error = disk_.Sync(segment.fd)) {
    closed_off_ = true;
    return CutBack(error, "cannot sync the log");
  }
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [index, offset] : pending_marks_)
      if (segment.marks.empty() || start + offset - segment.marks.back().second >= kMarkEvery)
        segment.marks.emplace_back(index, start + offset);
  }
  segment.written = clock_.Now();
  segment.priorities |= pending_priorities_;
  segment.durable_bytes.store(end, std::memory_order_release);
  bytes_ += pending_.size();
  durable_end_.store(next_index_, std::memory_order_release);
  return {};
}

// Zeros behind `end`; without them (a full disk) the commit still works.
void FileLog::WriteAhead(const LogSegment& segment, uint64_t end) {
  const uint64_t target = std::min(end + kAheadBytes, std::max(end, options_.segment_bytes));
  static std::array<uint8_t, kAheadBytes> zeros;  // Never written to, so that it takes no memory.
  if (disk_.Write(segment.fd, ByteView(zeros).first(target - end), end) == 0) {
    allocated_ = target;
  } else if (disk_.Truncate(segment.fd, allocated_) != 0) {
    allocated_ = target;
  }
}

// Undoes a failed commit. The error of the commit, also when the undoing failed (the log is then
// broken).
Status FileLog::CutBack(int error_number, std::string_view what) {
  const LogSegment& segment = *active_;
  const auto failure = LogFileError(error_number, what, segment.path);
  int error = disk_.Truncate(segment.fd, segment.durable_bytes);
  allocated_ = segment.durable_bytes;
  if (error == 0 && closed_off_) error = disk_.Sync(segment.fd);
  if (error != 0) {
    broken_ =
        LogFileError(error,
                     "the log takes no more records: cutting back after a failed commit failed too",
                     segment.path)
            .error();
    broken_->code = Code::kUnavailable;
    broken_->Fix("mend the disk and start the node again; everything acknowledged is kept");
  }
  return failure;
}

Status FileLog::Read(uint64_t from, const std::function<bool(uint64_t, ByteView)>& visit) {
  const uint64_t end = durable_end();
  std::vector<LogSegmentPointer> segments;
  std::pair<uint64_t, uint64_t> position{0, kSegmentHeaderBytes};
  {
    const std::lock_guard lock(mutex_);
    from = std::max(from, segments_.front()->first_index);
    for (const LogSegmentPointer& segment : segments_) {
      if (segment->first_index <= from) segments.clear();
      if (segment->first_index < end) segments.push_back(segment);
    }
    if (from >= end || segments.empty()) return {};
    position.first = segments.front()->first_index;
    for (const auto& mark : segments.front()->marks)
      if (mark.first <= from) position = mark;
  }
  Losses losses;
  for (size_t i = 0; i < segments.size(); ++i) {
    const LogSegment& segment = *segments[i];
    if (i > 0) position = {segment.first_index, kSegmentHeaderBytes};
    const uint64_t segment_end = i + 1 < segments.size() ? segments[i + 1]->first_index : end;
    uint64_t expected = position.first;
    SegmentScanner scanner(SourceOf(segments[i]), position.second, expected, segment_end);
    while (expected < segment_end) {
      ASSIGN_OR_RETURN(const auto record, scanner.Next());
      losses.Add(std::max(expected, from), record ? record->index : segment_end, segment.path);
      expected = record ? record->index + 1 : segment_end;
      if (record && record->index >= from && !record->evicted &&
          !visit(record->index, record->payload))
        return losses.Report();
    }
  }
  return losses.Report();
}

Result<uint64_t> FileLog::Cursor(const std::string& name) const {
  const std::lock_guard lock(cursors_mutex_);
  const auto found = cursors_->all().find(name);
  if (found == cursors_->all().end()) return 0;
  return std::min(found->second, durable_end());
}

Status FileLog::SetCursor(const std::string& name, uint64_t index) {
  if (index > durable_end())
    return InvalidArgument("cursor {} at {} is beyond the log's end {}", name, index,
                           durable_end());
  const std::lock_guard lock(cursors_mutex_);
  return cursors_->Set(name, index);
}

void FileLog::MayLose(const std::string& name) {
  const std::lock_guard lock(cursors_mutex_);
  may_lose_.insert(name);
}

Result<std::unique_ptr<DurableLog>> DurableLog::Open(const std::string& folder,
                                                     const LogOptions& options) {
  auto log = std::make_unique<FileLog>(folder, options);
  TRY(log->Recover());
  return log;
}

}  // namespace penstock::storage
