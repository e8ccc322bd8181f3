// The named cursors of a durable log: one small file, two checksummed slots written in turn and in
// place, so that a cursor still moves on a disk that is full. Format: docs/formats/durable_log.md.
//
// Thread rule: any thread; the caller (the log) holds its lock.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/disk.h"

namespace penstock::storage {

using CursorMap = std::map<std::string, uint64_t, std::less<>>;

inline constexpr size_t kCursorSlotBytes = 4096;
inline constexpr size_t kCursorNameBytesMax = 64;

// One slot; kResourceExhausted when the cursors do not fit into it.
Result<Bytes> EncodeCursorSlot(uint64_t generation, const CursorMap& cursors);
struct CursorSlot {
  uint64_t generation = 0;
  CursorMap cursors;
};
Result<CursorSlot> DecodeCursorSlot(ByteView slot);  // kDataLoss when damaged or torn.

class LogCursors {
 public:
  // A file in which both slots are damaged is put aside as "<path>.damaged": consumers then begin
  // anew, and applying a record twice is theirs to bear.
  static Result<std::unique_ptr<LogCursors>> Open(const std::string& path, Disk& disk);
  ~LogCursors();
  LogCursors(const LogCursors&) = delete;
  LogCursors& operator=(const LogCursors&) = delete;

  const CursorMap& all() const { return cursors_; }
  // Both are durable when they return.
  Status Set(const std::string& name, uint64_t index);
  Status Drop(const std::string& name);  // One that is not there is fine.

 private:
  Status Write(CursorMap changed, const std::string& name);
  LogCursors(int fd, Disk& disk) : fd_(fd), disk_(disk) {}

  int fd_;
  Disk& disk_;
  uint64_t generation_ = 0;
  CursorMap cursors_;
};

}  // namespace penstock::storage
