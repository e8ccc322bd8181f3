// The few calls by which bytes reach a disk, as an interface so that a test can fill the disk or
// break it. Each returns 0 or an errno value; none is called while a lock is held that a reader
// needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::storage {

class Disk {
 public:
  virtual ~Disk() = default;
  // All of `bytes` at `offset`, or an error; on an error any part of it may have been written.
  virtual int Write(int fd, ByteView bytes, uint64_t offset);
  virtual int Sync(int fd);  // fdatasync
  virtual int Truncate(int fd, uint64_t size);
};

Disk& SystemDisk();

// "WHAT: no space left on device", at `path`.
std::unexpected<Error> FileError(int error_number, std::string_view what, const std::string& path);

}  // namespace penstock::storage
