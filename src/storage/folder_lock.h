// One writer for a folder: held by the process that has it open, gone with it, even by kill -9.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace penstock::storage {

class FolderLock {
 public:
  // kFailedPrecondition while another holds it. `what` for the message: "durable log".
  static Result<std::unique_ptr<FolderLock>> Take(const std::string& folder, std::string_view what);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

// Makes names in `folder` durable: files created, renamed or removed.
Status SyncFolder(const std::string& folder);

}  // namespace penstock::storage
