#include "storage/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "storage/disk.h"

namespace penstock::storage {

Result<std::unique_ptr<FolderLock>> FolderLock::Take(const std::string& folder,
                                                     std::string_view what) {
  const std::string path = folder + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return FileError(errno, "cannot open lock", path);
  std::unique_ptr<FolderLock> lock(new FolderLock(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return FileError(errno, "cannot lock", path);
  auto error = FailedPrecondition("the {} is being written by another process", what);
  error.error().Where(path).Fix("stop the other node, or give this one another data folder");
  return error;
}

FolderLock::~FolderLock() { close(fd_); }

Status SyncFolder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "cannot open folder", folder);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (error != 0) return FileError(error, "cannot sync folder", folder);
  return {};
}

}  // namespace penstock::storage
