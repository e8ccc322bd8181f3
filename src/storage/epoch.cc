#include "storage/epoch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "storage/folder_lock.h"

namespace penstock::storage {
namespace {

constexpr uint64_t kRandomBits = 20;
constexpr uint64_t kEpochMax = (1ULL << 53) - 1;

// Seconds and random bits: rises with time, and two folders of one second differ.
uint64_t NewEpoch(Time now, uint64_t after) {
  const Bytes random = RandomBytes(3);
  const uint64_t bits = (uint64_t{random[0]} << 16 | uint64_t{random[1]} << 8 | random[2]) &
                        ((1U << kRandomBits) - 1);
  const auto seconds = static_cast<uint64_t>(std::max<int64_t>(0, ToMicros(now) / 1'000'000));
  return std::min(std::max(seconds << kRandomBits | bits, after + 1), kEpochMax);
}

// The file names its own inode, so it is written in place and only then given its name.
Status Store(const std::string& path, uint64_t epoch) {
  const std::string temporary = path + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return FromErrno(errno, "cannot create " + temporary);
  struct stat info {};
  int error = fstat(fd, &info) != 0 ? errno : 0;
  const std::string text =
      fmt::format("epoch {}\ninode {}\n", epoch, static_cast<uint64_t>(info.st_ino));
  if (error == 0 && write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    error = errno != 0 ? errno : ENOSPC;
  if (error == 0 && fsync(fd) != 0) error = errno;
  close(fd);
  if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) return FromErrno(error, "cannot write " + path);
  return SyncFolder(path.substr(0, path.rfind('/')));
}

}  // namespace

Result<Epoch> OpenEpoch(const std::string& folder, Time now) {
  const std::string path = folder + "/epoch";
  const auto text = ReadFile(path, 4096);
  if (!text && text.error().code != Code::kNotFound) return std::unexpected(text.error());
  unsigned long long epoch = 0, inode = 0;
  const bool whole = text && sscanf(text->c_str(), "epoch %llu\ninode %llu\n", &epoch, &inode) == 2;
  struct stat info {};
  if (whole && stat(path.c_str(), &info) == 0 && info.st_ino == inode) return Epoch{epoch, false};
  const Epoch fresh{NewEpoch(now, epoch), true};
  if (whole)
    LogInfo("{}: this folder is a copy of another; its samples get epoch {}", folder, fresh.value);
  else if (text)
    LogWarn("{} is damaged; samples get epoch {}", path, fresh.value);
  TRY(Store(path, fresh.value));
  return fresh;
}

}  // namespace penstock::storage
