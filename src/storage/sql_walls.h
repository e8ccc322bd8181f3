// Walls around a process that runs what others wrote: no network, no other program, no change of
// files by name, and bounds of memory, processor time and file size.
//
// Thread rule: once, from main, before there are other threads that matter.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace penstock::storage {

struct Walls {
  uint64_t memory_bytes = 0;  // More than the process has now. Not under a sanitizer.
  int cpu_seconds = 60;
  uint64_t file_bytes = 0;  // Of a file it writes.
};

// The system calls are refused with EPERM by seccomp (Linux, x86-64 and arm64).
Status ShutIn(const Walls& walls);

}  // namespace penstock::storage
