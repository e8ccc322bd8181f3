#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/descriptor.h"

namespace penstock {
namespace {

std::unexpected<Error> Failed(int error_number, std::string_view what, const std::string& path) {
  auto error = FromErrno(error_number, what);
  error.error().Where(path);
  return error;
}

Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed(errno, "cannot write", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Failed(errno, "cannot open", path);
  std::string content;
  char buffer[65536];
  while (true) {
    const ssize_t got = read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(errno, "cannot read", path);
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
    if (content.size() > max_bytes) {
      auto error = ResourceExhausted("file larger than {} bytes", max_bytes);
      error.error().Where(path);
      return error;
    }
  }
}

Status WriteFileAtomically(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  {
    const Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (file.get() < 0) return Failed(errno, "cannot create", temporary);
    TRY(WriteAll(file.get(), content, temporary));
    if (fsync(file.get()) != 0) return Failed(errno, "cannot sync", temporary);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failed(errno, "cannot rename to", path);
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Descriptor parent(
      open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() >= 0 && fsync(parent.get()) != 0)
    return Failed(errno, "cannot sync folder of", path);
  return {};
}

Status MakeFolders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Failed(error.value(), "cannot create folder", path);
  return {};
}

Result<std::vector<std::string>> ListFiles(const std::string& folder, std::string_view suffix) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    if (name.ends_with(suffix) && it->is_regular_file(ignored)) names.push_back(name);
  }
  if (error) return Failed(error.value(), "cannot list", folder);
  std::sort(names.begin(), names.end());
  return names;
}

Result<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) != 0) return Failed(errno, "cannot ask free space of", path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace penstock
