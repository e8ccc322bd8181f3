// A library for LD_PRELOAD that lets the k-th call on files of one folder fail, and shifts the wall
// clock.
//
// It stands in front of the C library's calls by name, so it reaches what Penstock calls and what
// SQLite, DuckDB and the C++ library call for it. PENSTOCK_FAULT_CONTROL names the page (control.h)
// that says what to do; without it everything passes. Descriptors of the folder's files are
// remembered when they are opened. A short write writes half of it: legal for any file, and seen on
// full disks and at signals.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "control.h"

namespace {

using penstock::faults::Calls;
using penstock::faults::Control;
using penstock::faults::kShortWrite;

constexpr int kDescriptorsMax = 1 << 16;
std::atomic<bool> ours[kDescriptorsMax];

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
// The next definition of this very name, looked up once.
#define REAL(name) static const auto real = Real<decltype(&::name)>(#name)

Control* MapControl() {
  const char* path = getenv("PENSTOCK_FAULT_CONTROL");
  if (path == nullptr) return nullptr;
  const auto open_real = Real<int (*)(const char*, int, ...)>("open");
  const int fd = open_real(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* page = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  Real<int (*)(int)>("close")(fd);
  return page == MAP_FAILED ? nullptr : static_cast<Control*>(page);
}

Control* control() {
  static Control* const page = MapControl();
  return page;
}

bool Below(const char* path) {
  Control* page = control();
  if (page == nullptr || page->folder[0] == 0 || path == nullptr) return false;
  return strncmp(path, page->folder, strlen(page->folder)) == 0;
}
bool Known(int fd) { return fd >= 0 && fd < kDescriptorsMax && ours[fd]; }

// Whether this call is to fail, and how: 0 lets it pass.
int Verdict(Calls kind, const char* name, const char* path, int fd) {
  Control* page = control();
  if (page == nullptr || (page->kinds & kind) == 0) return 0;
  const uint64_t number = ++page->calls, first = page->fail_at;
  if (first == 0 || number < first || number - first >= page->fail_count) return 0;
  if (page->error == kShortWrite && kind != Calls::kWrite) return 0;
  ++page->hits;
  char place[200] = "";
  if (path != nullptr) {
    snprintf(place, sizeof place, "%s", path);
  } else {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, place, sizeof place - 1);
    place[size > 0 ? size : 0] = 0;
  }
  snprintf(page->last, sizeof page->last, "%s %s", name, place);
  return page->error;
}

bool Fails(Calls kind, const char* name, const char* path, int fd = -1) {
  if (path != nullptr ? !Below(path) : !Known(fd)) return false;
  const int verdict = Verdict(kind, name, path, fd);
  if (verdict == 0) return false;
  errno = verdict;
  return true;
}

int Remember(int fd, const char* path) {
  if (fd >= 0 && fd < kDescriptorsMax) ours[fd] = Below(path);
  return fd;
}

mode_t ModeOf(int flags, va_list list) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(list, int)) : 0;
}

// How much of a write of `size` bytes is to be done; SIZE_MAX: it fails with errno.
size_t Allowed(const char* name, int fd, size_t size) {
  if (!Known(fd)) return size;
  const int verdict = Verdict(Calls::kWrite, name, nullptr, fd);
  if (verdict == 0) return size;
  if (verdict == kShortWrite) return size > 1 ? size / 2 : size;
  errno = verdict;
  return SIZE_MAX;
}

}  // namespace

extern "C" {

#define OPEN_LIKE(name)                              \
  int name(const char* path, int flags, ...) {       \
    REAL(name);                                      \
    va_list list;                                    \
    va_start(list, flags);                           \
    const mode_t mode = ModeOf(flags, list);         \
    va_end(list);                                    \
    if (Fails(Calls::kOpen, #name, path)) return -1; \
    return Remember(real(path, flags, mode), path);  \
  }
OPEN_LIKE(open)
OPEN_LIKE(open64)

int openat(int folder, const char* path, int flags, ...) {
  REAL(openat);
  va_list list;
  va_start(list, flags);
  const mode_t mode = ModeOf(flags, list);
  va_end(list);
  if (Fails(Calls::kOpen, "openat", path)) return -1;
  return Remember(real(folder, path, flags, mode), path);
}

int close(int fd) {
  REAL(close);
  if (fd >= 0 && fd < kDescriptorsMax) ours[fd] = false;
  return real(fd);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  REAL(write);
  const size_t allowed = Allowed("write", fd, size);
  return allowed == SIZE_MAX ? -1 : real(fd, bytes, allowed);
}

#define PWRITE_LIKE(name, offset_type)                                       \
  ssize_t name(int fd, const void* bytes, size_t size, offset_type offset) { \
    REAL(name);                                                              \
    const size_t allowed = Allowed(#name, fd, size);                         \
    return allowed == SIZE_MAX ? -1 : real(fd, bytes, allowed, offset);      \
  }
PWRITE_LIKE(pwrite, off_t)
PWRITE_LIKE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec* parts, int count) {
  REAL(writev);
  if (Known(fd) && count > 0) {
    const size_t allowed = Allowed("writev", fd, parts[0].iov_len);
    if (allowed == SIZE_MAX) return -1;
    if (allowed < parts[0].iov_len) return write(fd, parts[0].iov_base, allowed);
  }
  return real(fd, parts, count);
}

ssize_t read(int fd, void* bytes, size_t size) {
  REAL(read);
  if (Fails(Calls::kRead, "read", nullptr, fd)) return -1;
  return real(fd, bytes, size);
}

#define PREAD_LIKE(name, offset_type)                                  \
  ssize_t name(int fd, void* bytes, size_t size, offset_type offset) { \
    REAL(name);                                                        \
    if (Fails(Calls::kRead, #name, nullptr, fd)) return -1;            \
    return real(fd, bytes, size, offset);                              \
  }
PREAD_LIKE(pread, off_t)
PREAD_LIKE(pread64, off64_t)

int fsync(int fd) {
  REAL(fsync);
  return Fails(Calls::kSync, "fsync", nullptr, fd) ? -1 : real(fd);
}
int fdatasync(int fd) {
  REAL(fdatasync);
  return Fails(Calls::kSync, "fdatasync", nullptr, fd) ? -1 : real(fd);
}

#define TRUNCATE_LIKE(name, offset_type)                                      \
  int name(int fd, offset_type size) noexcept {                               \
    REAL(name);                                                               \
    return Fails(Calls::kTruncate, #name, nullptr, fd) ? -1 : real(fd, size); \
  }
TRUNCATE_LIKE(ftruncate, off_t)
TRUNCATE_LIKE(ftruncate64, off64_t)

int fallocate(int fd, int mode, off_t offset, off_t size) {
  REAL(fallocate);
  return Fails(Calls::kTruncate, "fallocate", nullptr, fd) ? -1 : real(fd, mode, offset, size);
}

int rename(const char* from, const char* to) noexcept {
  REAL(rename);
  return Fails(Calls::kRename, "rename", to) ? -1 : real(from, to);
}
int unlink(const char* path) noexcept {
  REAL(unlink);
  return Fails(Calls::kUnlink, "unlink", path) ? -1 : real(path);
}
int remove(const char* path) noexcept {
  REAL(remove);
  return Fails(Calls::kUnlink, "remove", path) ? -1 : real(path);
}
int mkdir(const char* path, mode_t mode) noexcept {
  REAL(mkdir);
  return Fails(Calls::kMakeFolder, "mkdir", path) ? -1 : real(path, mode);
}

// The wall clock alone; durations are measured with the steady one.
int clock_gettime(clockid_t clock, struct timespec* at) noexcept {
  REAL(clock_gettime);
  const int done = real(clock, at);
  if (done != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return done;
  Control* page = control();
  const int64_t shift = page != nullptr ? page->clock_us.load() : 0;
  if (shift == 0) return 0;
  const int64_t nanos = at->tv_nsec + shift % 1'000'000 * 1000;
  at->tv_sec += shift / 1'000'000 + (nanos >= 1'000'000'000 ? 1 : nanos < 0 ? -1 : 0);
  at->tv_nsec = (nanos + 1'000'000'000) % 1'000'000'000;
  return 0;
}
int gettimeofday(struct timeval* at, void* zone) noexcept {
  REAL(gettimeofday);
  timespec now{};
  if (zone != nullptr || clock_gettime(CLOCK_REALTIME, &now) != 0) return real(at, zone);
  *at = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}
time_t time(time_t* at) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != nullptr) *at = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
