#include "storage/disk.h"

#include <unistd.h>

#include <cerrno>

namespace penstock::storage {

int Disk::Write(int fd, ByteView bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return EIO;
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return 0;
}

int Disk::Sync(int fd) { return fdatasync(fd) == 0 ? 0 : errno; }

int Disk::Truncate(int fd, uint64_t size) {
  return ftruncate(fd, static_cast<off_t>(size)) == 0 ? 0 : errno;
}

Disk& SystemDisk() {
  static Disk disk;
  return disk;
}

std::unexpected<Error> FileError(int error_number, std::string_view what, const std::string& path) {
  auto error = FromErrno(error_number, what);
  error.error().Where(path);
  return error;
}

}  // namespace penstock::storage
