// How a column is encoded is decided by its values. A dictionary of the
// distinct ones comes first: two-decimal readings, times that many points share
// and quality codes are few, and a dictionary's indexes can be read at any row
// without those before it. Integers that do not repeat are stored as
// differences, doubles that do not as eight streams of bytes, which zstd makes
// smaller where plain doubles defy it.
//
// How each of these is laid out in a page is parquet_layout.h's choice. Pages that zstd cannot
// shrink (the packed indexes of noisy values) are stored as they are; after a few of them the rest
// of the chunk is not tried.
#include "storage/parquet_chunk.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "storage/parquet_encoding.h"
#include "storage/parquet_layout.h"
#include "storage/parquet_thrift.h"

namespace penstock::storage {
namespace {

constexpr size_t kDictionaryMax = 1 << 17;  // Distinct numbers.
constexpr size_t kEarlyLook = 32768;        // Rows after which a hopeless dictionary is given up.
constexpr size_t kUnpressedInARow = 3;
constexpr size_t kPagesAside = 4;        // In one of a column that is seldom read.
constexpr size_t kWordsPageRows = 4096;  // Such a page is expanded, in 40 us, for any row of it.

bool IsNumberWide(ParquetKind kind) { return kind != ParquetKind::kUint32; }

std::string PlainNumber(uint64_t bits, ParquetKind kind) {
  return {reinterpret_cast<const char*>(&bits), IsNumberWide(kind) ? size_t{8} : size_t{4}};
}

void AppendPlain(std::span<const uint64_t> values, ParquetKind kind, Bytes& out) {
  const size_t begin = out.size();
  if (IsNumberWide(kind)) {
    out.resize(begin + values.size() * 8);
    std::memcpy(out.data() + begin, values.data(), values.size() * 8);
    return;
  }
  out.resize(begin + values.size() * 4);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto narrow = static_cast<uint32_t>(values[i]);
    std::memcpy(out.data() + begin + i * 4, &narrow, 4);
  }
}

// Doubles in the order of numbers, as integers that can be compared.
uint64_t DoubleRank(uint64_t bits) {
  return (bits >> 63) != 0 ? ~bits : bits | (uint64_t{1} << 63);
}

}  // namespace

void ParquetChunk::AddNumbers(const void* values, size_t rows) {
  if (IsNumberWide(column_.kind)) {
    const auto* wide = static_cast<const uint64_t*>(values);
    numbers_.insert(numbers_.end(), wide, wide + rows);
  } else {
    const auto* narrow = static_cast<const uint32_t*>(values);
    numbers_.insert(numbers_.end(), narrow, narrow + rows);
  }
  rows_ += rows;
}

void ParquetChunk::AddText(const std::string_view* text, size_t rows) {
  uint32_t which = kNull;
  if (text != nullptr) {
    // Points come sorted, so an equal one is the last one. Samples of text go back and forth
    // between a few.
    which = static_cast<uint32_t>(texts_.size());
    if (column_.optional) {
      if (const auto known = places_.find(*text); known != places_.end()) which = known->second;
    } else if (which > 0 && texts_.back() == *text) {
      --which;
    }
    if (which == texts_.size()) {
      texts_.emplace_back(*text);
      if (column_.optional) places_.emplace(texts_.back(), which);
    }
  }
  if (!runs_.empty() && runs_.back().text == which) {
    runs_.back().rows += static_cast<uint32_t>(rows);
  } else {
    runs_.push_back({static_cast<uint32_t>(rows), which});
  }
  rows_ += rows;
}

// Steps of one length, point after point: as differences they vanish, while the indexes of a
// dictionary would rise through long stretches that zstd cannot shorten.
bool ParquetChunk::IsRegular() const {
  const size_t allowed = numbers_.size() / 128;
  size_t breaks = 0;
  for (size_t i = 2; i < numbers_.size() && breaks <= allowed; ++i)
    breaks += numbers_[i] - numbers_[i - 1] != numbers_[i - 1] - numbers_[i - 2] ? 1 : 0;
  return breaks <= allowed;
}

// Fills `distinct` and `index`. False when a dictionary would not pay.
bool ParquetChunk::BuildDictionary(ParquetScratch& s) const {
  if (column_.unique || (column_.kind == ParquetKind::kTime && IsRegular())) return false;
  const size_t rows = numbers_.size();
  const size_t distinct_max =
      std::min(kDictionaryMax, column_.kind == ParquetKind::kDouble ? rows / 2 : rows / 8) + 1;
  size_t slots = 1024;
  s.distinct.clear();
  s.index.resize(rows);
  s.slots.assign(slots, 0);
  const auto place = [&](uint64_t value) -> uint32_t& {
    size_t at = (value * 0x9E3779B97F4A7C15ULL) >> (64 - std::countr_zero(slots));
    while (s.slots[at] != 0 && s.distinct[s.slots[at] - 1] != value) at = (at + 1) & (slots - 1);
    return s.slots[at];
  };
  uint64_t last = ~numbers_.front();
  uint32_t last_index = 0;
  for (size_t i = 0; i < rows; ++i) {
    const uint64_t value = numbers_[i];
    if (value != last) {
      uint32_t* slot = &place(value);
      if (*slot == 0) {
        if (s.distinct.size() == distinct_max || (i == kEarlyLook && s.distinct.size() > i / 4 * 3))
          return false;
        s.distinct.push_back(value);
        *slot = static_cast<uint32_t>(s.distinct.size());
        last_index = *slot - 1;
        if (s.distinct.size() * 2 > slots) {
          slots *= 4;
          s.slots.assign(slots, 0);
          for (size_t d = 0; d < s.distinct.size(); ++d)
            place(s.distinct[d]) = static_cast<uint32_t>(d + 1);
        }
      } else {
        last_index = *slot - 1;
      }
      last = value;
    }
    s.index[i] = last_index;
  }
  return true;
}

// Neighbours in a sorted dictionary share bytes, which halves it.
void ParquetChunk::SortDictionary(ParquetScratch& s) {
  std::vector<uint32_t>& order = s.slots;  // Not needed any more.
  order.resize(s.distinct.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return DoubleRank(s.distinct[a]) < DoubleRank(s.distinct[b]);
  });
  std::vector<uint64_t> sorted(order.size());
  std::vector<uint32_t> place(order.size());
  for (uint32_t i = 0; i < order.size(); ++i) {
    sorted[i] = s.distinct[order[i]];
    place[order[i]] = i;
  }
  s.distinct = std::move(sorted);
  for (uint32_t& index : s.index) index = place[index];
}

ParquetChunkMeta ParquetChunk::Encode(size_t page_rows, bool dense, ParquetScratch& scratch,
                                      Bytes& out) {
  dense_ = dense;
  page_rows_ = page_rows * (column_.aside ? kPagesAside : 1);
  ParquetChunkMeta meta;
  meta.offset = out.size();
  meta.rows = rows_;
  unpressed_ = 0;
  if (column_.kind == ParquetKind::kText) {
    EncodeText(scratch, out, meta);
  } else if (BuildDictionary(scratch)) {
    EncodeByDictionary(scratch, out, meta);
  } else {
    EncodePlainly(scratch, out, meta);
  }
  meta.bytes = out.size() - meta.offset;
  numbers_.clear();
  texts_.clear();
  places_.clear();
  runs_.clear();
  rows_ = 0;
  return meta;
}

template <typename T>
std::span<const T> ParquetChunk::Sample(const std::vector<T>& rows) const {
  const size_t pages = (rows.size() + page_rows_ - 1) / page_rows_;
  const size_t begin = pages / 2 * page_rows_;
  if (begin >= rows.size()) return rows;
  return std::span(rows).subspan(begin, std::min(page_rows_, rows.size() - begin));
}

// The places of all rows with a text, page by page.
void ParquetChunk::EncodeText(ParquetScratch& s, Bytes& out, ParquetChunkMeta& meta) {
  meta.encoding = parquet::kRleDictionary;
  s.plain.clear();
  for (const std::string& text : texts_) {
    const auto size = static_cast<uint32_t>(text.size());
    const auto* bytes = reinterpret_cast<const uint8_t*>(&size);
    s.plain.insert(s.plain.end(), bytes, bytes + 4);
    s.plain.insert(s.plain.end(), text.begin(), text.end());
  }
  PutDictionary(s.plain, texts_.size(), s, out, meta);
  const int width = BitWidth(texts_.empty() ? 0 : texts_.size() - 1);
  if (texts_.empty()) page_rows_ = rows_;
  size_t run = 0, used = 0;
  Bytes levels;
  std::vector<uint32_t> present;  // 1 where there is a text, as definition levels.
  std::optional<ParquetLayout> layout;
  for (size_t begin = 0; begin < rows_; begin += page_rows_) {
    const size_t rows = std::min(page_rows_, rows_ - begin);
    s.index.clear();
    present.clear();
    for (size_t left = rows; left > 0;) {
      const size_t some = std::min<size_t>(left, runs_[run].rows - used);
      const bool is_null = runs_[run].text == kNull;
      if (!is_null) s.index.insert(s.index.end(), some, runs_[run].text);
      if (column_.optional) present.insert(present.end(), some, is_null ? 0U : 1U);
      used += some;
      left -= some;
      if (used == runs_[run].rows) ++run, used = 0;
    }
    levels.clear();
    if (column_.optional) EncodeHybrid(present, 1, levels);
    meta.nulls += rows - s.index.size();
    if (!layout) layout = ChooseLayoutOfPlaces(s.index, ParquetPlaces::kTexts, width, s);
    const bool pressed = PressPlaces(*layout, s.index, width, true, s);
    PutPage(levels, rows, rows - s.index.size(), pressed, s, out, meta);
  }
  if (texts_.empty()) return;
  const auto [low, high] = std::minmax_element(texts_.begin(), texts_.end());
  meta.low = *low;
  meta.high = *high;
}

void ParquetChunk::EncodeByDictionary(ParquetScratch& s, Bytes& out, ParquetChunkMeta& meta) {
  meta.encoding = parquet::kRleDictionary;
  SetBounds(s.distinct, meta);
  const bool sorted = column_.kind == ParquetKind::kDouble;
  if (sorted) SortDictionary(s);
  s.plain.clear();
  AppendPlain(s.distinct, column_.kind, s.plain);
  PutDictionary(s.plain, s.distinct.size(), s, out, meta);
  const int width = BitWidth(s.distinct.size() - 1);
  if (width == 0) page_rows_ = rows_;
  const ParquetLayout layout = ChooseLayoutOfPlaces(
      Sample(s.index), sorted && dense_ ? ParquetPlaces::kSlow : ParquetPlaces::kOthers, width, s);
  if (layout.kind == ParquetLayout::Kind::kWords) page_rows_ = std::min(page_rows_, kWordsPageRows);
  for (size_t begin = 0; begin < rows_; begin += page_rows_) {
    const size_t rows = std::min(page_rows_, rows_ - begin);
    const bool pressed = PressPlaces(layout, std::span(s.index).subspan(begin, rows), width,
                                     unpressed_ < kUnpressedInARow, s);
    unpressed_ = pressed ? 0 : unpressed_ + 1;
    PutPage({}, rows, 0, pressed, s, out, meta);
  }
}

void ParquetChunk::EncodePlainly(ParquetScratch& s, Bytes& out, ParquetChunkMeta& meta) {
  SetBounds(numbers_, meta);
  meta.data_offset = out.size() - meta.offset;
  ParquetLayout layout;
  switch (column_.kind) {
    case ParquetKind::kDouble:
      meta.encoding = SplitPays(Sample(numbers_), s) ? parquet::kByteStreamSplit : parquet::kPlain;
      break;
    case ParquetKind::kUint32:
      meta.encoding = parquet::kPlain;
      break;
    default:
      meta.encoding = parquet::kDeltaBinaryPacked;
      layout = ChooseLayoutOfDeltas(Sample(numbers_), s);
  }
  for (size_t begin = 0; begin < rows_; begin += page_rows_) {
    const auto part =
        std::span<const uint64_t>(numbers_).subspan(begin, std::min(page_rows_, rows_ - begin));
    bool pressed = false;
    if (column_.kind == ParquetKind::kDouble) {
      pressed = PressDoubles(meta.encoding == parquet::kByteStreamSplit, part, s);
    } else if (column_.kind == ParquetKind::kUint32) {
      s.plain.clear();
      AppendPlain(part, column_.kind, s.plain);
      pressed = PressPlain(s);
    } else {
      pressed = PressDeltas(layout, part, s);
    }
    PutPage({}, part.size(), 0, pressed, s, out, meta);
  }
}

void ParquetChunk::PutDictionary(ByteView plain, size_t values, ParquetScratch& s, Bytes& out,
                                 ParquetChunkMeta& meta) {
  meta.has_dictionary = true;
  Bytes pressed;
  // A dictionary page is always compressed: its header cannot say that it is
  // not.
  pressed.resize(ZSTD_compressBound(plain.size()));
  pressed.clear();
  if (!s.Compress(plain, pressed)) {
    pressed.resize(ZSTD_compressBound(plain.size()));
    const size_t size =
        ZSTD_compress(pressed.data(), pressed.size(), plain.data(), plain.size(), 1);
    CHECK(ZSTD_isError(size) == 0);
    pressed.resize(size);
  }
  const size_t begin = out.size();
  ThriftWriter thrift(out);
  thrift.BeginRoot();
  thrift.Integer(1, parquet::kDictionaryPage);
  thrift.Integer(2, static_cast<int64_t>(plain.size()));
  thrift.Integer(3, static_cast<int64_t>(pressed.size()));
  thrift.Integer(
      4, static_cast<int32_t>(crc32_z(0, pressed.data(), static_cast<z_size_t>(pressed.size()))));
  thrift.BeginStruct(7);
  thrift.Integer(1, static_cast<int64_t>(values));
  thrift.Integer(2, parquet::kPlain);
  thrift.EndStruct();
  thrift.EndStruct();
  meta.plain_bytes += out.size() - begin + plain.size();
  out.insert(out.end(), pressed.begin(), pressed.end());
  meta.data_offset = out.size() - meta.offset;
}

void ParquetChunk::PutPage(ByteView levels, size_t rows, size_t nulls, bool pressed,
                           ParquetScratch& s, Bytes& out, ParquetChunkMeta& meta) {
  const Bytes& body = pressed ? s.pressed : s.plain;
  const auto crc = crc32_z(crc32_z(0, levels.data(), static_cast<z_size_t>(levels.size())),
                           body.data(), static_cast<z_size_t>(body.size()));
  const size_t begin = out.size();
  ThriftWriter thrift(out);
  thrift.BeginRoot();
  thrift.Integer(1, parquet::kDataPageV2);
  thrift.Integer(2, static_cast<int64_t>(levels.size() + s.plain.size()));
  thrift.Integer(3, static_cast<int64_t>(levels.size() + body.size()));
  thrift.Integer(4, static_cast<int32_t>(crc));
  thrift.BeginStruct(8);
  thrift.Integer(1, static_cast<int64_t>(rows));
  thrift.Integer(2, static_cast<int64_t>(nulls));
  thrift.Integer(3, static_cast<int64_t>(rows));
  thrift.Integer(4, meta.encoding);
  thrift.Integer(5, static_cast<int64_t>(levels.size()));
  thrift.Integer(6, 0);
  thrift.Bool(7, pressed);
  thrift.EndStruct();
  thrift.EndStruct();
  meta.plain_bytes += out.size() - begin + levels.size() + s.plain.size();
  out.insert(out.end(), levels.begin(), levels.end());
  out.insert(out.end(), body.begin(), body.end());
}

void ParquetChunk::SetBounds(std::span<const uint64_t> values, ParquetChunkMeta& meta) const {
  if (values.empty()) return;
  uint64_t low = values[0], high = values[0];
  if (column_.kind == ParquetKind::kDouble) {
    for (const uint64_t value : values) {
      // Readers do not agree where NaN lies, so a chunk with one has no bounds.
      if (std::isnan(std::bit_cast<double>(value))) return;
      if (DoubleRank(value) < DoubleRank(low)) low = value;
      if (DoubleRank(value) > DoubleRank(high)) high = value;
    }
  } else {
    for (const uint64_t value : values) {
      if (static_cast<int64_t>(value) < static_cast<int64_t>(low)) low = value;
      if (static_cast<int64_t>(value) > static_cast<int64_t>(high)) high = value;
    }
  }
  // Zero has two signs: bounds must hold both.
  if (column_.kind == ParquetKind::kDouble && std::bit_cast<double>(low) == 0)
    low = std::bit_cast<uint64_t>(-0.0);
  if (column_.kind == ParquetKind::kDouble && std::bit_cast<double>(high) == 0) high = 0;
  meta.low = PlainNumber(low, column_.kind);
  meta.high = PlainNumber(high, column_.kind);
}

}  // namespace penstock::storage
