// Lets every call of a short life of a fabric fail in turn: open, write, flush, merge, records,
// stop.
#pragma once

#include <cstdint>
#include <string>

namespace penstock::faults {

struct CallFaults {
  std::string folder;
  std::string error;   // "ENOSPC", "EIO", "short"
  uint64_t count = 1;  // So many calls in a row fail.
  uint64_t from = 1,
           stride = 1;  // k = from, from + stride, ... until a life ends without meeting it.
  uint64_t seed = 1;
};

// Prints one line of JSON: lives tried, calls of a life, complaints. Exit code.
int TryCalls(const CallFaults& faults);

}  // namespace penstock::faults
