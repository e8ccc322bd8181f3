// How the numbers of a page become its bytes. Parquet leaves a choice: places in a dictionary may
// be packed as narrowly as they allow or be wider, differences may come in small blocks or in a
// large one. What is longest before zstd is often shortest behind it, so a chunk tries each way on
// one of its pages and takes the best for all.
//
// Thread rule: none; the scratch is the caller's.
#pragma once

#include <cstdint>
#include <span>

#include "storage/parquet_scratch.h"

namespace penstock::storage {

struct ParquetLayout {
  enum class Kind {
    kPacked,  // As narrow as the values allow.
    kBytes,   // Of whole bytes, so that zstd sees what repeats.
    kWords,   // Places of four bytes, for ParquetScratch::CompressWords.
  };
  Kind kind = Kind::kPacked;
  int width = 0;  // Bits of a place.
  int level = 1;  // Of zstd.
};

// What the places stand for.
enum class ParquetPlaces {
  kTexts,  // Rising, in long runs.
  kSlow,   // Doubles, sorted, that may move slowly: those are worth more of the reader's time.
  kOthers,
};

// Of a page like `sample`; `width` is the least that holds every place.
ParquetLayout ChooseLayoutOfPlaces(std::span<const uint32_t> sample, ParquetPlaces of, int width,
                                   ParquetScratch& scratch);
ParquetLayout ChooseLayoutOfDeltas(std::span<const uint64_t> sample, ParquetScratch& scratch);
// Whether doubles are shorter as streams of bytes than as they are.
bool SplitPays(std::span<const uint64_t> sample, ParquetScratch& scratch);

// Fills scratch.plain with the page's body; true when scratch.pressed has it pressed and that saves
// a tenth: less is not worth the reader's time. A page that the layout does not suit is packed.
bool PressPlaces(const ParquetLayout& layout, std::span<const uint32_t> places, int width,
                 bool press, ParquetScratch& scratch);
bool PressDeltas(const ParquetLayout& layout, std::span<const uint64_t> numbers,
                 ParquetScratch& scratch);
bool PressDoubles(bool split, std::span<const uint64_t> numbers, ParquetScratch& scratch);
// scratch.plain as it is.
bool PressPlain(ParquetScratch& scratch, int level = 1);

}  // namespace penstock::storage
