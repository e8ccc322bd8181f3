// The page by which a test commands the fault shim of another process: a small file, mapped by
// both. Python writes it by offset (tests/faults/fault_shim.py); keep both in step.
#pragma once

#include <atomic>
#include <cstdint>

namespace penstock::faults {

// Kinds of calls, as bits.
enum Calls : uint32_t {
  kOpen = 1,
  kWrite = 2,     // write, pwrite, writev
  kSync = 4,      // fsync, fdatasync
  kTruncate = 8,  // ftruncate, fallocate
  kRename = 16,
  kUnlink = 32,
  kMakeFolder = 64,
  kRead = 128,  // read, pread
};

inline constexpr int32_t kShortWrite =
    -1;  // Instead of an errno: half of it is written, and said so.

struct Control {
  std::atomic<uint32_t> kinds{0};       // offset 0: which calls count; 0 is off
  std::atomic<int32_t> error{0};        // 4: an errno, or kShortWrite
  std::atomic<uint64_t> fail_at{0};     // 8: the first call that fails, from 1; 0: only count
  std::atomic<uint64_t> fail_count{0};  // 16: so many in a row
  std::atomic<uint64_t> calls{0};       // 24: counted so far
  std::atomic<uint64_t> hits{0};        // 32: failed so far
  std::atomic<int64_t> clock_us{0};     // 40: added to the real-time clock
  char folder[208] = {};                // 48: calls on files below it count
  char last[256] = {};                  // 256: the call that failed last: "pwrite /tmp/x/log/..."
};
static_assert(sizeof(Control) == 512);

}  // namespace penstock::faults
