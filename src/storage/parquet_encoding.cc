// Bits are packed from the lowest of each byte up, as Parquet wants them. Both
// directions work on eight bytes at an unaligned address, which is one
// instruction on the machines that we run on; only the last values of a
// stretch, where eight bytes would reach beyond the end, are taken byte by
// byte.
#include "storage/parquet_encoding.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/wire.h"

namespace penstock::storage {
namespace {

constexpr size_t kShortestRun = 16;  // Equal values worth a run of their own.
constexpr size_t kDeltaBlock = 128, kMiniBlocks = 4, kMiniBlock = kDeltaBlock / kMiniBlocks;

bool TakeVarint(ByteView& bytes, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Packs `count` values of at most `width` bits; count * width is a multiple
// of 8.
template <typename T>
void Pack(const T* values, size_t count, int width, Bytes& out) {
  if (width == 0) return;
  const size_t begin = out.size(), bytes = count * static_cast<size_t>(width) / 8;
  out.resize(begin + bytes + 8);
  uint8_t* to = out.data() + begin;
  uint64_t pending = 0;
  int bits = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t value = values[i];
    pending |= value << bits;
    bits += width;
    if (bits < 64) continue;
    std::memcpy(to, &pending, 8);
    to += 8;
    bits -= 64;
    pending = bits > 0 ? value >> (width - bits) : 0;
  }
  std::memcpy(to, &pending, 8);
  out.resize(begin + bytes);
}

// The value at bit `at`; up to 64 bits. `end` bounds the reading.
inline uint64_t Unpack(const uint8_t* from, size_t at, int width, const uint8_t* end) {
  const uint8_t* byte = from + (at >> 3);
  const int shift = static_cast<int>(at & 7);
  uint64_t low = 0, high = 0;
  if (byte + 9 <= end) {
    std::memcpy(&low, byte, 8);
    high = byte[8];
  } else {
    const auto left = static_cast<size_t>(end - byte);
    std::memcpy(&low, byte, std::min<size_t>(left, 8));
    if (left > 8) high = byte[8];
  }
  low >>= shift;
  if (shift > 0) low |= high << (64 - shift);
  return width == 64 ? low : low & ((uint64_t{1} << width) - 1);
}

// Gives take(i, value) the values of `width` bits from value `first` on.
template <typename Take>
void UnpackEach(const uint8_t* from, size_t first, size_t count, int width, const uint8_t* end,
                const Take& take) {
  const auto bits = static_cast<size_t>(width);
  size_t i = 0, at = first * bits;
  // A value that begins anywhere in a byte lies in the next eight, and those that end before `end`
  // need no look at it.
  if (width <= 57 && end - from >= 8) {
    const uint64_t mask = (uint64_t{1} << width) - 1;
    const size_t safe_bits = (static_cast<size_t>(end - from) - 7) * 8;  // Of a value's begin.
    const size_t safe = at >= safe_bits ? 0 : bits == 0 ? count : (safe_bits - 1 - at) / bits + 1;
    for (const size_t some = std::min(count, safe); i < some; ++i, at += bits) {
      uint64_t eight = 0;
      std::memcpy(&eight, from + (at >> 3), 8);
      take(i, (eight >> (at & 7)) & mask);
    }
  }
  for (; i < count; ++i, at += bits) take(i, Unpack(from, at, width, end));
}

}  // namespace

int BitWidth(uint64_t value) { return 64 - std::countl_zero(value); }

void EncodeHybrid(std::span<const uint32_t> values, int bit_width, Bytes& out) {
  const size_t value_bytes = static_cast<size_t>(bit_width + 7) / 8;
  size_t literal_begin = 0, at = 0;
  const auto put_literals = [&](size_t end) {
    if (end == literal_begin) return;
    const size_t groups = (end - literal_begin + 7) / 8;
    wire::PutVarint(out, (groups << 1) | 1);
    const size_t whole = (end - literal_begin) / 8 * 8;
    Pack(values.data() + literal_begin, whole, bit_width, out);
    if (whole == end - literal_begin) return;
    uint32_t last[8] = {};
    std::copy(values.begin() + static_cast<ptrdiff_t>(literal_begin + whole),
              values.begin() + static_cast<ptrdiff_t>(end), last);
    Pack(last, 8, bit_width, out);
  };
  while (at < values.size()) {
    size_t same = at + 1;
    while (same < values.size() && values[same] == values[at]) ++same;
    if (same - at >= kShortestRun) {
      put_literals(at);
      wire::PutVarint(out, (same - at) << 1);
      for (size_t i = 0; i < value_bytes; ++i)
        out.push_back(static_cast<uint8_t>(values[at] >> (8 * i)));
      literal_begin = at = same;
      continue;
    }
    at = std::min(at + 8,
                  values.size());  // Literals come in eights, save the last of all.
  }
  put_literals(values.size());
}

void EncodeDelta(std::span<const int64_t> values, Bytes& out) {
  wire::PutVarint(out, kDeltaBlock);
  wire::PutVarint(out, kMiniBlocks);
  wire::PutVarint(out, values.size());
  wire::PutVarint(out, wire::ZigZag(values.empty() ? 0 : values[0]));
  uint64_t deltas[kDeltaBlock];
  for (size_t at = 1; at < values.size(); at += kDeltaBlock) {
    const size_t count = std::min(kDeltaBlock, values.size() - at);
    int64_t low = INT64_MAX;
    for (size_t i = 0; i < count; ++i) {
      // Differences wrap; so does the reader's sum.
      deltas[i] = static_cast<uint64_t>(values[at + i]) - static_cast<uint64_t>(values[at + i - 1]);
      low = std::min(low, static_cast<int64_t>(deltas[i]));
    }
    // A step back, as from one point to the next, is rounded to a power of two. Else each block
    // would count from another number, and what repeats from point to point would not look alike.
    if (low < 0 && low > INT64_MIN / 2)
      low = -static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(-low)));
    std::fill(deltas + count, deltas + kDeltaBlock, static_cast<uint64_t>(low));
    wire::PutVarint(out, wire::ZigZag(low));
    const size_t widths = out.size();
    out.resize(widths + kMiniBlocks);
    for (size_t mini = 0; mini * kMiniBlock < count; ++mini) {
      uint64_t* part = deltas + mini * kMiniBlock;
      uint64_t all = 0;
      for (size_t i = 0; i < kMiniBlock; ++i) all |= part[i] -= static_cast<uint64_t>(low);
      const int width = BitWidth(all);
      out[widths + mini] = static_cast<uint8_t>(width);
      Pack(part, kMiniBlock, width, out);
    }
  }
}

void EncodeDeltaWhole(std::span<const int64_t> values, Bytes& out) {
  const size_t count = values.empty() ? 0 : values.size() - 1;
  const size_t block = std::max<size_t>((count + kDeltaBlock - 1) / kDeltaBlock, 1) * kDeltaBlock;
  wire::PutVarint(out, block);
  wire::PutVarint(out, 1);
  wire::PutVarint(out, values.size());
  wire::PutVarint(out, wire::ZigZag(values.empty() ? 0 : values[0]));
  if (count == 0) return;
  const auto delta = [&](size_t i) {
    return static_cast<uint64_t>(values[i + 1]) - static_cast<uint64_t>(values[i]);
  };
  int64_t low = INT64_MAX;
  for (size_t i = 0; i < count; ++i) low = std::min(low, static_cast<int64_t>(delta(i)));
  uint64_t all = 0;
  for (size_t i = 0; i < count; ++i) all |= delta(i) - static_cast<uint64_t>(low);
  const size_t bytes = static_cast<size_t>(BitWidth(all) + 7) / 8;
  wire::PutVarint(out, wire::ZigZag(low));
  out.push_back(static_cast<uint8_t>(bytes * 8));
  const size_t begin = out.size();
  out.resize(begin + block * bytes + 8);
  uint8_t* to = out.data() + begin;
  for (size_t i = 0; i < count; ++i, to += bytes) {
    const uint64_t value = delta(i) - static_cast<uint64_t>(low);
    std::memcpy(to, &value, 8);
  }
  out.resize(begin + block * bytes);
}

void EncodeSplit(std::span<const uint64_t> doubles, Bytes& out) {
  const size_t begin = out.size(), count = doubles.size();
  out.resize(begin + count * 8);
  for (size_t i = 0; i < count; ++i) {
    for (size_t byte = 0; byte < 8; ++byte)
      out[begin + byte * count + i] = static_cast<uint8_t>(doubles[i] >> (8 * byte));
  }
}

Result<HybridView> HybridView::Parse(ByteView bytes, int bit_width, size_t rows) {
  HybridView view;
  view.bit_width_ = bit_width;
  view.end_ = bytes.data() + bytes.size();
  const size_t value_bytes = static_cast<size_t>(bit_width + 7) / 8;
  for (size_t at = 0; at < rows;) {
    uint64_t head = 0;
    if (bit_width > 32 || !TakeVarint(bytes, head)) return DataLoss("indexes cut short");
    HybridRun run{.begin = static_cast<uint32_t>(at)};
    if ((head & 1) != 0) {
      const uint64_t groups = head >> 1;
      if (groups == 0 || groups > rows / 8 + 1 ||
          groups * static_cast<uint64_t>(bit_width) > bytes.size())
        return DataLoss("packed indexes cut short");
      run.packed = bytes.data();
      run.rows = static_cast<uint32_t>(std::min<uint64_t>(groups * 8, rows - at));
      bytes = bytes.subspan(groups * static_cast<uint64_t>(bit_width));
    } else {
      if (head >> 1 == 0 || head >> 1 > rows - at || value_bytes > bytes.size())
        return DataLoss("a run of indexes longer than its page");
      run.rows = static_cast<uint32_t>(head >> 1);
      for (size_t i = 0; i < value_bytes; ++i) run.value |= uint32_t{bytes[i]} << (8 * i);
      bytes = bytes.subspan(value_bytes);
    }
    at += run.rows;
    view.runs_.push_back(run);
  }
  return view;
}

void HybridView::Decode(size_t from, size_t to, uint32_t* out) const {
  if (from >= to) return;
  auto run = std::upper_bound(runs_.begin(), runs_.end(), from,
                              [](size_t row, const HybridRun& r) { return row < r.begin; });
  for (--run; from < to; ++run) {
    const size_t end = std::min<size_t>(to, run->begin + run->rows);
    if (run->packed == nullptr) {
      out = std::fill_n(out, end - from, run->value);
    } else {
      UnpackEach(run->packed, from - run->begin, end - from, bit_width_, end_,
                 [&](size_t i, uint64_t value) { out[i] = static_cast<uint32_t>(value); });
      out += end - from;
    }
    from = end;
  }
}

Status DecodeDelta(ByteView bytes, std::span<int64_t> out) {
  const size_t rows = out.size();
  constexpr uint64_t kBlockMax = 1 << 24, kMinisMax = 1 << 12;
  uint64_t block = 0, minis = 0, count = 0, first = 0;
  if (!TakeVarint(bytes, block) || !TakeVarint(bytes, minis) || !TakeVarint(bytes, count) ||
      !TakeVarint(bytes, first) || count != rows)
    return DataLoss("deltas cut short");
  if (block == 0 || block > kBlockMax || minis == 0 || minis > kMinisMax ||
      block % (minis * kMiniBlock) != 0)
    return DataLoss("deltas in {} blocks of {}", minis, block);
  const size_t mini_rows = block / minis;
  if (rows == 0) return {};
  const auto unzigzag = [](uint64_t raw) { return (raw >> 1) ^ (~(raw & 1) + 1); };
  uint64_t value = unzigzag(first);
  out[0] = static_cast<int64_t>(value);
  for (size_t at = 1; at < rows;) {
    uint64_t low = 0;
    if (!TakeVarint(bytes, low) || bytes.size() < minis) return DataLoss("deltas cut short");
    low = unzigzag(low);
    const ByteView widths = bytes.first(minis);
    bytes = bytes.subspan(minis);
    for (size_t mini = 0; mini < minis && at < rows; ++mini) {
      const int width = widths[mini];
      const size_t size = mini_rows / 8 * static_cast<size_t>(width);
      if (width > 64 || size > bytes.size()) return DataLoss("deltas cut short");
      const size_t some = std::min(mini_rows, rows - at);
      const uint8_t* const end = bytes.data() + bytes.size();
      if (width == 0) {
        for (size_t i = 0; i < some; ++i) out[at + i] = static_cast<int64_t>(value += low);
      } else {
        UnpackEach(bytes.data(), 0, some, width, end, [&](size_t i, uint64_t delta) {
          out[at + i] = static_cast<int64_t>(value += low + delta);
        });
      }
      at += some;
      bytes = bytes.subspan(size);
    }
  }
  return {};
}

}  // namespace penstock::storage
