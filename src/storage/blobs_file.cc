#include "storage/blobs_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "storage/blobs_digest.h"
#include "storage/disk.h"

namespace penstock::storage {

Result<ReadingFile> ReadingFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "cannot open", path);
  struct stat about {};
  ReadingFile file(path, fd, 0);
  if (fstat(fd, &about) != 0) return FileError(errno, "cannot look at", path);
  file.bytes_ = static_cast<uint64_t>(about.st_size);
  return file;
}

ReadingFile::ReadingFile(ReadingFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_) {}

ReadingFile::~ReadingFile() {
  if (fd_ >= 0) close(fd_);
}

Result<size_t> ReadingFile::ReadSome(std::span<uint8_t> into) {
  while (true) {
    const ssize_t got = read(fd_, into.data(), into.size());
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return FileError(errno, "cannot read", path_);
  }
}

Status ReadingFile::ReadExactly(std::span<uint8_t> into) {
  while (!into.empty()) {
    ASSIGN_OR_RETURN(const size_t got, ReadSome(into));
    if (got == 0) {
      auto error = DataLoss("the file ends {} bytes too early", into.size());
      error.error().Where(path_);
      return error;
    }
    into = into.subspan(got);
  }
  return {};
}

Status ReadingFile::Seek(uint64_t offset) {
  if (lseek(fd_, static_cast<off_t>(offset), SEEK_SET) < 0)
    return FileError(errno, "cannot seek", path_);
  return {};
}

Result<WritingFile> WritingFile::Create(const std::string& path) {
  static std::atomic<uint64_t> number{0};
  const std::string temporary = fmt::format("{}.{}-{}.part", path, getpid(), ++number);
  TRY(MakeFolders(std::filesystem::path(path).parent_path().string()));
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (fd < 0) return FileError(errno, "cannot create", temporary);
  return WritingFile(path, temporary, fd);
}

WritingFile::WritingFile(WritingFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      fd_(std::exchange(other.fd_, -1)) {}

WritingFile::~WritingFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

Status WritingFile::Write(ByteView piece) {
  while (!piece.empty()) {
    const ssize_t written = write(fd_, piece.data(), piece.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, "cannot write", temporary_);
    piece = piece.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status WritingFile::Commit() {
  if (fsync(fd_) != 0) return FileError(errno, "cannot sync", temporary_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0)
    return FileError(errno, "cannot rename", temporary_);
  close(std::exchange(fd_, -1));
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "cannot open", folder);
  const bool synced = fsync(fd) == 0;
  close(fd);
  if (!synced) return FileError(errno, "cannot sync", folder);
  return {};
}

Result<Sha256> Sha256OfFile(const std::string& path, uint64_t* bytes) {
  ASSIGN_OR_RETURN(ReadingFile file, ReadingFile::Open(path));
  Digest digest;
  Bytes piece(1 << 18);
  uint64_t total = 0;
  while (true) {
    ASSIGN_OR_RETURN(const size_t got, file.ReadSome(piece));
    if (got == 0) break;
    digest.Add(ByteView(piece).first(got));
    total += got;
  }
  if (bytes != nullptr) *bytes = total;
  return digest.Finish();
}

}  // namespace penstock::storage
