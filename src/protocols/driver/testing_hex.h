// Bytes as specifications print them, for the tests of this room.
#pragma once

#include "base/bytes.h"

namespace penstock::protocols {

// "0102 0000 06" -> its five bytes; spaces are free.
inline Bytes Hex(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c != ' ') digits += c;
  return *FromHex(digits);
}

}  // namespace penstock::protocols
