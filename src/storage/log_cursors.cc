// The slot that was written last stays untouched while the other one is overwritten: a crash in the
// middle tears at most the new one, and its checksum says so. The file has its full size from the
// beginning, so a write needs no block that a full disk could not give.
#include "storage/log_cursors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/log.h"
#include "base/metrics.h"
#include "base/wire.h"

namespace penstock::storage {
namespace {

constexpr char kCursorsMagic[8] = {'P', 'S', 'C', 'U', 'R', '1', '\r', '\n'};
constexpr size_t kHead = 8 + 8 + 4;  // Magic, generation, count.

}  // namespace

Result<Bytes> EncodeCursorSlot(uint64_t generation, const CursorMap& cursors) {
  Bytes slot;
  slot.reserve(kCursorSlotBytes);
  slot.insert(slot.end(), std::begin(kCursorsMagic), std::end(kCursorsMagic));
  wire::Put(slot, generation);
  wire::Put(slot, static_cast<uint32_t>(cursors.size()));
  for (const auto& [name, index] : cursors) {
    slot.push_back(static_cast<uint8_t>(name.size()));
    slot.insert(slot.end(), name.begin(), name.end());
    wire::Put(slot, index);
  }
  if (slot.size() + sizeof(uint32_t) > kCursorSlotBytes)
    return ResourceExhausted("too many log cursors: {} need {} bytes of {}", cursors.size(),
                             slot.size(), kCursorSlotBytes - sizeof(uint32_t));
  slot.resize(kCursorSlotBytes - sizeof(uint32_t));
  wire::Put(slot, Crc32c(slot));
  return slot;
}

Result<CursorSlot> DecodeCursorSlot(ByteView bytes) {
  if (bytes.size() != kCursorSlotBytes)
    return DataLoss("cursor slot has {} bytes, not {}", bytes.size(), kCursorSlotBytes);
  const ByteView body = bytes.first(kCursorSlotBytes - sizeof(uint32_t));
  if (std::memcmp(body.data(), kCursorsMagic, sizeof kCursorsMagic) != 0)
    return DataLoss("cursor slot without its magic");
  if (Crc32c(body) != wire::Load<uint32_t>(body.data() + body.size()))
    return DataLoss("cursor slot damaged: checksum differs");
  CursorSlot slot{.generation = wire::Load<uint64_t>(body.data() + 8), .cursors = {}};
  const auto count = wire::Load<uint32_t>(body.data() + 16);
  size_t at = kHead;
  for (uint32_t i = 0; i < count; ++i) {
    if (at >= body.size()) return DataLoss("cursor slot ends inside entry {} of {}", i, count);
    const size_t length = body[at++];
    if (at + length + sizeof(uint64_t) > body.size())
      return DataLoss("cursor slot ends inside entry {} of {}", i, count);
    const std::string name(AsText(body.subspan(at, length)));
    at += length;
    slot.cursors[name] = wire::Load<uint64_t>(body.data() + at);
    at += sizeof(uint64_t);
  }
  return slot;
}

Result<std::unique_ptr<LogCursors>> LogCursors::Open(const std::string& path, Disk& disk) {
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return FileError(errno, "cannot open log cursors", path);
  std::unique_ptr<LogCursors> cursors(new LogCursors(fd, disk));

  Bytes content(2 * kCursorSlotBytes);
  const ssize_t got = pread(fd, content.data(), content.size(), 0);
  if (got < 0) return FileError(errno, "cannot read log cursors", path);
  const bool blank = std::all_of(content.begin(), content.end(), [](uint8_t b) { return b == 0; });
  bool found = false;
  for (size_t i = 0; i < 2 && static_cast<size_t>(got) == content.size(); ++i) {
    auto slot = DecodeCursorSlot(ByteView(content).subspan(i * kCursorSlotBytes, kCursorSlotBytes));
    if (!slot || (found && slot->generation < cursors->generation_)) continue;
    cursors->generation_ = slot->generation;
    cursors->cursors_ = std::move(slot->cursors);
    found = true;
  }
  if (found) return cursors;

  if (got > 0 && !blank) {
    LogError("log cursors damaged, put aside as {}.damaged; consumers begin anew", path);
    Counter("penstock_log_cursors_damaged_total", "Cursor files in which no slot was whole.").Add();
    if (rename(path.c_str(), (path + ".damaged").c_str()) != 0)
      return FileError(errno, "cannot put damaged log cursors aside", path);
    close(fd);
    cursors->fd_ = fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return FileError(errno, "cannot create log cursors", path);
  }
  const Bytes zeros(2 * kCursorSlotBytes);
  if (const int error = disk.Write(fd, zeros, 0))
    return FileError(error, "cannot write log cursors", path);
  if (const int error = disk.Sync(fd)) return FileError(error, "cannot sync log cursors", path);
  return cursors;
}

LogCursors::~LogCursors() {
  if (fd_ >= 0) close(fd_);
}

Status LogCursors::Set(const std::string& name, uint64_t index) {
  if (name.empty() || name.size() > kCursorNameBytesMax)
    return InvalidArgument("a cursor name has 1 to {} bytes, not {}", kCursorNameBytesMax,
                           name.size());
  CursorMap changed = cursors_;
  changed[name] = index;
  return Write(std::move(changed), name);
}

Status LogCursors::Drop(const std::string& name) {
  CursorMap changed = cursors_;
  return changed.erase(name) == 0 ? Status() : Write(std::move(changed), name);
}

Status LogCursors::Write(CursorMap changed, const std::string& name) {
  const uint64_t generation = generation_ + 1;
  ASSIGN_OR_RETURN(const Bytes slot, EncodeCursorSlot(generation, changed));
  const uint64_t offset = (generation % 2) * kCursorSlotBytes;
  if (const int error = disk_.Write(fd_, slot, offset))
    return FromErrno(error, "cannot write log cursor " + name);
  if (const int error = disk_.Sync(fd_)) return FromErrno(error, "cannot sync log cursor " + name);
  generation_ = generation;
  cursors_ = std::move(changed);
  return {};
}

}  // namespace penstock::storage
