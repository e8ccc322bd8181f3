#include "tests/stories/log_tape.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

#include "base/check.h"

namespace penstock::stories {

LogTape::LogTape() : tape_(memfd_create("log", MFD_CLOEXEC)), stderr_(dup(STDERR_FILENO)) {
  CHECK(tape_ >= 0 && stderr_ >= 0);
  std::fflush(stderr);
  CHECK(dup2(tape_, STDERR_FILENO) == STDERR_FILENO);
}

LogTape::~LogTape() {
  std::fflush(stderr);
  dup2(stderr_, STDERR_FILENO);
  close(stderr_);
  close(tape_);
}

std::string LogTape::Text() const {
  std::fflush(stderr);
  std::string text(static_cast<size_t>(lseek(tape_, 0, SEEK_END)), '\0');
  const ssize_t got = pread(tape_, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return text;
}

}  // namespace penstock::stories
