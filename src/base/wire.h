// Numbers as they lie in files and frames: little-endian words, and LEB128 varints (seven bits a
// byte, the lowest first; at most ten bytes for 64 bits).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace penstock::wire {

static_assert(std::endian::native == std::endian::little, "words are copied as they lie in memory");

template <typename T>
T Load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <typename T>
void Store(uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof value);
}
template <typename T>
void Put(Bytes& out, T value) {
  const auto* raw = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), raw, raw + sizeof value);
}

inline void PutVarint(Bytes& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<uint8_t>(value));
}

// Small numbers of either sign as small numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
inline uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// Walks over foreign bytes; every step says whether they sufficed. After a failed one the place is
// where the trouble was.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }

  // False at the end, and for a number of more than 64 bits.
  bool Varint(uint64_t* value) {
    if (at_ < bytes_.size() && bytes_[at_] < 0x80) {
      *value = bytes_[at_++];
      return true;
    }
    uint64_t sum = 0;
    for (int shift = 0; shift < 64 && at_ < bytes_.size(); shift += 7) {
      const uint8_t byte = bytes_[at_++];
      if (shift == 63 && byte > 1) return false;
      sum |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) {
        *value = sum;
        return true;
      }
    }
    return false;
  }
  bool Byte(uint8_t* value) {
    if (at_ >= bytes_.size()) return false;
    *value = bytes_[at_++];
    return true;
  }
  // Nothing when fewer are left.
  const uint8_t* Take(size_t size) {
    if (left() < size) return nullptr;
    const uint8_t* taken = bytes_.data() + at_;
    at_ += size;
    return taken;
  }

 private:
  ByteView bytes_;
  size_t at_ = 0;
};

}  // namespace penstock::wire
