#include "start_anew.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <vector>

#include "base/file.h"
#include "base/log.h"

namespace penstock {
namespace {

namespace fs = std::filesystem;

// They are this process's still, but the next life would not know of them.
void EndChildren() {
  std::error_code error;
  for (const auto& thread : fs::directory_iterator("/proc/self/task", error)) {
    std::ifstream children(thread.path() / "children");
    for (pid_t child = 0; children >> child;) {
      kill(child, SIGKILL);
      while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }
}

// By its name, so that it keeps it; a program that was replaced meanwhile runs on as it was.
std::string OwnProgram() {
  constexpr const char* kOwn = "/proc/self/exe";
  std::error_code error;
  const std::string path = fs::read_symlink(kOwn, error);
  return !error && fs::exists(path, error) ? path : kOwn;
}

}  // namespace

void StartAnew(const std::string& why) {
  static std::mutex mutex;  // One at a time; the others end with this life.
  const std::lock_guard lock(mutex);
  LogWarn("starts anew: {}", why);
  const auto read = ReadFile("/proc/self/cmdline");
  if (!read) return LogError("cannot start anew: {}", read.error().ToString());
  std::string words = *read;
  if (!words.ends_with('\0')) words += '\0';
  std::vector<char*> arguments;
  for (size_t at = 0; at < words.size(); at = words.find('\0', at) + 1)
    arguments.push_back(words.data() + at);
  arguments.push_back(nullptr);
  EndChildren();
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  execv(OwnProgram().c_str(), arguments.data());
  LogError("cannot start anew: {}", FromErrno(errno, "exec").error().ToString());
}

}  // namespace penstock
