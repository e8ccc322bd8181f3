// Local files as blobs need them: read in pieces, written aside and put in place at the end.
#pragma once

#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::storage {

class ReadingFile {
 public:
  static Result<ReadingFile> Open(const std::string& path);
  ReadingFile(ReadingFile&& other) noexcept;
  ReadingFile& operator=(ReadingFile&&) = delete;
  ~ReadingFile();

  // kDataLoss when the file ends earlier.
  Status ReadExactly(std::span<uint8_t> into);
  Result<size_t> ReadSome(std::span<uint8_t> into);  // 0 at the end.
  Status Seek(uint64_t offset);
  uint64_t bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  ReadingFile(std::string path, int fd, uint64_t bytes)
      : path_(std::move(path)), fd_(fd), bytes_(bytes) {}
  std::string path_;
  int fd_;
  uint64_t bytes_;  // When it was opened.
};

// Without Commit nothing of it is left.
class WritingFile {
 public:
  static Result<WritingFile> Create(const std::string& path);
  WritingFile(WritingFile&& other) noexcept;
  WritingFile& operator=(WritingFile&&) = delete;
  ~WritingFile();

  Status Write(ByteView piece);
  Status Commit();  // fsync, rename, fsync of the folder.

 private:
  WritingFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  std::string path_, temporary_;
  int fd_;
};

}  // namespace penstock::storage
