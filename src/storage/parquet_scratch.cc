// Readings that move slowly are places in a sorted dictionary that move slowly: of a place in four
// bytes the lowest is nearly noise and the others are mostly those of the row before, or of one a
// few rows back. Parquet packs places without a context, and zstd's own search does not look for
// copies of three bytes, so the copies are found here, in one pass, and zstd is told: one byte and
// one copy for each row, of which the byte costs its entropy and the copy a bit or two. The frame
// is one that any zstd reads.
//
// ZSTD_compressSequences is in libzstd since 1.5.0, where the header calls it experimental. So what
// it gives is expanded again and compared: if it fails, a page is not pressed, and no more.
#define ZSTD_STATIC_LINKING_ONLY
#include "storage/parquet_scratch.h"

#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace penstock::storage {
namespace {

constexpr size_t kWordBytes = 4;
constexpr size_t kRunWorthACopy = 2;     // Equal words.
constexpr size_t kBlockWords = 1 << 14;  // Of zstd, of at most 128 KiB.

}  // namespace

struct ParquetScratch::Copy : ZSTD_Sequence {};  // An array of these is one of those.

ParquetScratch::ParquetScratch(int zstd_level)
    : context_(ZSTD_createCCtx()), expander_(ZSTD_createDCtx()), level_(zstd_level) {
  CHECK(context_ != nullptr && expander_ != nullptr);
}
ParquetScratch::~ParquetScratch() {
  ZSTD_freeCCtx(context_);
  ZSTD_freeDCtx(expander_);
}

// Where zstd writes: in `out` itself the bytes would be cleared first.
size_t ParquetScratch::Room(size_t plain) {
  const size_t wanted = ZSTD_compressBound(plain);
  if (wanted > room_size_) {
    room_ = std::make_unique_for_overwrite<uint8_t[]>(wanted);
    room_size_ = wanted;
  }
  return room_size_;
}

bool ParquetScratch::Append(size_t size, size_t plain, Bytes& out) const {
  if (ZSTD_isError(size) != 0 || size >= plain) return false;
  out.insert(out.end(), room_.get(), room_.get() + size);
  return true;
}

bool ParquetScratch::Compress(ByteView bytes, Bytes& out, int level) {
  const size_t room = Room(bytes.size());
  const size_t size =
      ZSTD_compressCCtx(context_, room_.get(), room, bytes.data(), bytes.size(), level);
  return Append(size, bytes.size(), out);
}

void ParquetScratch::FindCopies(ByteView bytes, size_t words) {
  const size_t head = bytes.size() - words * kWordBytes;
  const auto word = [&](size_t i) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + head + i * kWordBytes, kWordBytes);
    return value;
  };
  copies_.clear();
  std::fill(last_.begin(), last_.end(), 0U);
  auto literals = static_cast<unsigned>(head);
  const auto copy = [&](size_t words_back, size_t length) {
    copies_.push_back({{static_cast<unsigned>(words_back * kWordBytes), literals,
                        static_cast<unsigned>(length), 0}});
    literals = 0;
  };
  uint32_t before = ~word(0);
  for (size_t i = 0; i < words; ++i) {
    if (i > 0 && i % kBlockWords == 0) copy(0, 0);  // A block ends.
    const uint32_t value = word(i);
    if (value == before) {
      const size_t block_end = std::min(words, (i / kBlockWords + 1) * kBlockWords);
      size_t end = i + 1;
      while (end < block_end && word(end) == value) ++end;
      if (end - i >= kRunWorthACopy) {
        copy(1, (end - i) * kWordBytes);
        i = end - 1;
        last_[value >> 8] = static_cast<uint32_t>(i + 1);
        continue;
      }
    }
    before = value;
    const uint32_t upper = value >> 8;
    if (upper >= last_.size()) last_.resize(upper + 1, 0U);
    const uint32_t seen = std::exchange(last_[upper], static_cast<uint32_t>(i + 1));
    ++literals;
    if (seen == 0) {
      literals += kWordBytes - 1;
    } else {
      copy(i + 1 - seen, kWordBytes - 1);
    }
  }
  copy(0, 0);
}

bool ParquetScratch::CompressWords(ByteView bytes, size_t words, Bytes& out) {
  if (words == 0) return Compress(bytes, out);
  FindCopies(bytes, words);
  const size_t room = Room(bytes.size());
  ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level_);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_minMatch, 3);
  // Tables that are not used need not be cleared.
  ZSTD_CCtx_setParameter(context_, ZSTD_c_hashLog, ZSTD_HASHLOG_MIN);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_chainLog, ZSTD_CHAINLOG_MIN);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_windowLog,
                         std::clamp(static_cast<int>(std::bit_width(bytes.size())), 10, 27));
  ZSTD_CCtx_setParameter(context_, ZSTD_c_blockDelimiters, ZSTD_sf_explicitBlockDelimiters);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_literalCompressionMode, ZSTD_ps_enable);
#if ZSTD_VERSION_NUMBER >= 10504  // Before, it always looked for distances that come again.
  ZSTD_CCtx_setParameter(context_, ZSTD_c_searchForExternalRepcodes, ZSTD_ps_enable);
#endif
  const size_t size = ZSTD_compressSequences(context_, room_.get(), room, copies_.data(),
                                             copies_.size(), bytes.data(), bytes.size());
  ZSTD_CCtx_reset(context_, ZSTD_reset_session_and_parameters);
  if (ZSTD_isError(size) != 0) return false;
  if (bytes.size() > expanded_size_) {
    expanded_ = std::make_unique_for_overwrite<uint8_t[]>(bytes.size());
    expanded_size_ = bytes.size();
  }
  const size_t again =
      ZSTD_decompressDCtx(expander_, expanded_.get(), bytes.size(), room_.get(), size);
  if (again != bytes.size() || !std::ranges::equal(bytes, std::span(expanded_.get(), again)))
    return false;
  return Append(size, bytes.size(), out);
}

}  // namespace penstock::storage
