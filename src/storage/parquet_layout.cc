// The sizes that are compared are those on disk. A page that is stored as it is gets a tenth off:
// the reader takes single rows out of it without expanding it.
#include "storage/parquet_layout.h"

#include <algorithm>
#include <cstring>

#include "base/wire.h"
#include "storage/parquet_encoding.h"

namespace penstock::storage {
namespace {

using LayoutKind = ParquetLayout::Kind;

// A level that searches well. It is slow where nothing repeats, so it must earn a fifth.
constexpr int kThoroughLevel = 6;
// Runs of rising places: what repeats in them is four bytes long, which levels below do not look
// for.
constexpr int kRunsLevel = 5;
constexpr int kWordBits = 32, kPlacesInAGroup = 8;

std::span<const int64_t> Signed(std::span<const uint64_t> numbers) {
  return {reinterpret_cast<const int64_t*>(numbers.data()), numbers.size()};
}

int WholeBytes(int width) { return width <= 8 ? 8 : width <= 16 ? 16 : 32; }

bool IsWorth(size_t pressed, size_t plain) { return pressed <= plain - plain / 10; }

// Of the page that was just pressed, for comparison.
size_t CostOf(bool pressed, const ParquetScratch& s) {
  return pressed ? s.pressed.size() : s.plain.size() - s.plain.size() / 10;
}

void PutPlaces(std::span<const uint32_t> places, int width, ParquetScratch& s) {
  s.plain.assign(1, static_cast<uint8_t>(width));
  EncodeHybrid(places, width, s.plain);
}

// One stretch of packed places, whose number Parquet wants to be a multiple of eight. Returns it.
size_t PutWords(std::span<const uint32_t> places, ParquetScratch& s) {
  const size_t groups = (places.size() + kPlacesInAGroup - 1) / kPlacesInAGroup;
  s.plain.assign(1, static_cast<uint8_t>(kWordBits));
  wire::PutVarint(s.plain, (groups << 1) | 1);
  const size_t begin = s.plain.size(), words = groups * kPlacesInAGroup;
  s.plain.resize(begin + words * sizeof(uint32_t));
  std::memcpy(s.plain.data() + begin, places.data(), places.size_bytes());
  for (size_t i = places.size(); i < words; ++i)  // As the last one, so that they cost nothing.
    std::memcpy(s.plain.data() + begin + i * sizeof(uint32_t), &places.back(), sizeof(uint32_t));
  return words;
}

}  // namespace

bool PressPlain(ParquetScratch& s, int level) {
  s.pressed.clear();
  return s.Compress(s.plain, s.pressed, level) && IsWorth(s.pressed.size(), s.plain.size());
}

bool PressPlaces(const ParquetLayout& layout, std::span<const uint32_t> places, int width,
                 bool press, ParquetScratch& s) {
  const size_t packed = places.size() * static_cast<size_t>(width) / 8 + 1;
  if (layout.kind == LayoutKind::kWords && !places.empty()) {
    const size_t words = PutWords(places, s);
    s.pressed.clear();
    if (s.CompressWords(s.plain, words, s.pressed) && IsWorth(s.pressed.size(), packed))
      return true;
  } else if (layout.kind == LayoutKind::kBytes) {
    PutPlaces(places, layout.width, s);
    if (PressPlain(s, layout.level) && IsWorth(s.pressed.size(), packed)) return true;
  }
  PutPlaces(places, width, s);
  return press && PressPlain(s, 1);
}

ParquetLayout ChooseLayoutOfPlaces(std::span<const uint32_t> sample, ParquetPlaces of, int width,
                                   ParquetScratch& s) {
  ParquetLayout best{.width = width};
  size_t least = CostOf(PressPlaces(best, sample, width, true, s), s);
  const auto attempt = [&](const ParquetLayout& other) {
    const size_t cost = CostOf(PressPlaces(other, sample, width, true, s), s);
    if (cost < least) best = other, least = cost;
  };
  if (of == ParquetPlaces::kTexts) {
    attempt({.kind = LayoutKind::kBytes, .width = kWordBits, .level = kRunsLevel});
    return best;
  }
  if (width > 0) attempt({.kind = LayoutKind::kBytes, .width = WholeBytes(width)});
  if (of == ParquetPlaces::kSlow && width > 8)
    attempt({.kind = LayoutKind::kWords, .width = kWordBits});
  return best;
}

bool PressDeltas(const ParquetLayout& layout, std::span<const uint64_t> numbers,
                 ParquetScratch& s) {
  s.plain.clear();
  if (layout.kind == LayoutKind::kBytes) {
    EncodeDeltaWhole(Signed(numbers), s.plain);
    if (PressPlain(s, layout.level)) return true;
    s.plain.clear();
  }
  EncodeDelta(Signed(numbers), s.plain);
  return PressPlain(s, 1);
}

ParquetLayout ChooseLayoutOfDeltas(std::span<const uint64_t> sample, ParquetScratch& s) {
  ParquetLayout best;
  size_t least = CostOf(PressDeltas(best, sample, s), s);
  const ParquetLayout whole{.kind = LayoutKind::kBytes},
      thorough{.kind = LayoutKind::kBytes, .level = kThoroughLevel};
  if (const size_t cost = CostOf(PressDeltas(whole, sample, s), s); cost < least)
    best = whole, least = cost;
  if (CostOf(PressDeltas(thorough, sample, s), s) < least - least / 5) best = thorough;
  return best;
}

bool PressDoubles(bool split, std::span<const uint64_t> numbers, ParquetScratch& s) {
  s.plain.clear();
  if (split) {
    EncodeSplit(numbers, s.plain);
  } else {
    const auto* bytes = reinterpret_cast<const uint8_t*>(numbers.data());
    s.plain.assign(bytes, bytes + numbers.size_bytes());
  }
  return PressPlain(s, 1);
}

bool SplitPays(std::span<const uint64_t> sample, ParquetScratch& s) {
  const size_t plain = CostOf(PressDoubles(false, sample, s), s);
  return CostOf(PressDoubles(true, sample, s), s) < plain;
}

}  // namespace penstock::storage
