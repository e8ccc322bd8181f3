// CHECK(condition): our own bug, always on. Prints file, line, condition and aborts.
#pragma once

namespace penstock {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace penstock

#define CHECK(condition) \
  ((condition) ? (void)0 : ::penstock::CheckFailed(__FILE__, __LINE__, #condition))
