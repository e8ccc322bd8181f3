// One record per Keep, one fdatasync per record: the log gives up what a failed commit had, so a
// record is there or it is not.
//
// The log's cursor only lets old segments go; where the moving is stands in the records. Segments
// below it go a minute after their last record, or when room is needed.
#include "telemetry/quarantine_spool.h"

#include "base/file.h"
#include "base/log.h"
#include "telemetry/violation_codec.h"

namespace penstock::telemetry {
namespace {

constexpr const char* kSpoolCursor = "records";
constexpr std::chrono::seconds kMovedStays{60};
constexpr size_t kSpoolRecordHead = 20;  // That the log adds.

Result<std::string> SpoolName(const std::string& folder) {
  const std::string file = folder + "/name";
  const auto known = ReadFile(file, 64);
  if (known && !known->empty()) return *known;
  if (!known && known.error().code != Code::kNotFound) return std::unexpected(known.error());
  std::string name = ToHex(RandomBytes(8));
  TRY(WriteFileAtomically(file, name));
  return name;
}

}  // namespace

Result<std::unique_ptr<QuarantineSpool>> QuarantineSpool::Open(const std::string& folder,
                                                               uint64_t bytes_max,
                                                               storage::Disk& disk) {
  std::unique_ptr<QuarantineSpool> spool(new QuarantineSpool(bytes_max));
  TRY(MakeFolders(folder));
  ASSIGN_OR_RETURN(spool->name_, SpoolName(folder));
  storage::LogOptions options;
  // What was moved and could not go yet needs room, too.
  options.max_bytes = bytes_max + bytes_max / 2;
  options.segment_bytes = bytes_max / 32;
  options.max_age = kMovedStays;
  options.gauges = "penstock_quarantine_spool";
  options.disk = &disk;
  ASSIGN_OR_RETURN(spool->log_, storage::DurableLog::Open(folder, options));
  // From the first record on nothing goes before it was moved.
  TRY(spool->log_->SetCursor(kSpoolCursor, spool->forgotten()));
  spool->appended_ = spool->log_->bytes();
  return spool;
}

uint64_t QuarantineSpool::forgotten() const {
  return log_->Cursor(kSpoolCursor).value_or(log_->begin());
}

Status QuarantineSpool::Append(const Violations& violations) {
  const std::lock_guard lock(mutex_);
  record_.clear();
  EncodeViolations(violations.list, violations.rows, record_);
  const uint64_t bytes = record_.size() + kSpoolRecordHead;
  if (appended_ - forgotten_ + bytes > bytes_max_)
    return ResourceExhausted("{} bytes of violations wait for the records, at most {} may",
                             appended_ - forgotten_, bytes_max_);
  TRY(log_->Append(record_));
  TRY(log_->Sync());
  appended_ += bytes;
  return {};
}

QuarantineSpool::Mark QuarantineSpool::end() const {
  const std::lock_guard lock(mutex_);
  return {log_->durable_end(), appended_};
}

bool QuarantineSpool::crowded() const {
  const std::lock_guard lock(mutex_);
  return appended_ - forgotten_ > bytes_max_ / 2;
}

Status QuarantineSpool::Read(
    uint64_t from, uint64_t to,
    const std::function<Status(uint64_t index, ByteView record)>& visit) const {
  Status failure;
  const Status read = log_->Read(from, [&](uint64_t index, ByteView record) {
    if (index >= to) return false;
    failure = visit(index, record);
    return failure.has_value();
  });
  if (!failure) return failure;
  if (!read && read.error().code != Code::kDataLoss) return read;
  if (!read)
    LogSometimes(LogLevel::kError, "quarantine spool", "quarantine: " + read.error().ToString());
  return {};
}

Status QuarantineSpool::Forget(const Mark& mark) {
  const std::lock_guard lock(mutex_);
  TRY(log_->SetCursor(kSpoolCursor, mark.next));
  forgotten_ = mark.bytes;
  return log_->Trim();
}

}  // namespace penstock::telemetry
