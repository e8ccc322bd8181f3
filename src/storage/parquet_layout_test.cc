#include "storage/parquet_layout.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <cmath>

#include "base/random.h"
#include "storage/parquet_encoding.h"
#include "storage/parquet_reader.h"
#include "storage/parquet_writer.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

constexpr ParquetColumn kLayoutColumns[] = {{"point", ParquetKind::kText},
                                            {"time", ParquetKind::kTime},
                                            {"value", ParquetKind::kDouble},
                                            {"sequence", ParquetKind::kInt64, false, true, true}};

// What a page's bytes say, whichever way they were laid out.
std::vector<uint32_t> PlacesOf(bool pressed, size_t rows, const ParquetScratch& s) {
  Bytes plain = s.plain;
  if (pressed) {
    const size_t size =
        ZSTD_decompress(plain.data(), plain.size(), s.pressed.data(), s.pressed.size());
    EXPECT_EQ(size, s.plain.size());
    EXPECT_EQ(plain, s.plain);
  }
  const auto view = HybridView::Parse(ByteView(plain).subspan(1), plain[0], rows);
  EXPECT_TRUE(view) << view.error().ToString();
  std::vector<uint32_t> places(rows);
  if (view) view->Decode(0, rows, places.data());
  return places;
}

std::vector<uint32_t> WalkingPlaces(size_t rows, double step) {
  Random random(4);
  std::vector<uint32_t> places;
  double at = 5000;
  for (size_t i = 0; i < rows; ++i) {
    if (i % 50 == 0) at = random.Uniform(0, 10000);
    at = std::clamp(at + random.Normal(0, step), 0.0, 9999.0);
    places.push_back(static_cast<uint32_t>(at));
  }
  return places;
}

TEST(ParquetLayoutTest, SlowPlacesAreShorterThanPacked) {
  ParquetScratch scratch(1);
  const auto places = WalkingPlaces(16384, 30);
  const ParquetLayout layout = ChooseLayoutOfPlaces(places, ParquetPlaces::kSlow, 14, scratch);
  EXPECT_EQ(layout.kind, ParquetLayout::Kind::kWords);
  ASSERT_TRUE(PressPlaces(layout, places, 14, true, scratch));
  EXPECT_LT(scratch.pressed.size(), places.size() * 13 / 10);  // Packed: 1.75 bytes each.
  EXPECT_EQ(PlacesOf(true, places.size(), scratch), places);
}

TEST(ParquetLayoutTest, EveryLayoutSaysTheSamePlaces) {
  Random random(8);
  std::vector<std::vector<uint32_t>> pages = {
      {0}, {7}, {1, 2, 3}, std::vector<uint32_t>(5000, 9), WalkingPlaces(1001, 3)};
  auto& held = pages.emplace_back();
  while (held.size() < 3000) held.insert(held.end(), 1 + random.Below(40), random.Below(90'000));
  auto& last_is_new = pages.emplace_back(WalkingPlaces(2000, 3));  // Of upper bytes seen nowhere.
  for (uint32_t i = 1; i < 6; ++i) last_is_new.push_back(i << 14);
  // Longer than a block of zstd, with a run across its end.
  auto& blocks = pages.emplace_back(WalkingPlaces(16'000, 20));
  blocks.insert(blocks.end(), 3000, 77);
  const auto more = WalkingPlaces(40'000, 20);
  blocks.insert(blocks.end(), more.begin(), more.end());
  auto& noise = pages.emplace_back();
  while (noise.size() < 2999) noise.push_back(static_cast<uint32_t>(random.Below(1 << 17)));
  for (const auto& places : pages) {
    for (const auto kind :
         {ParquetLayout::Kind::kPacked, ParquetLayout::Kind::kBytes, ParquetLayout::Kind::kWords}) {
      ParquetScratch scratch(1);
      const ParquetLayout layout{.kind = kind, .width = 32};
      const bool pressed = PressPlaces(layout, places, 17, true, scratch);
      const bool should =
          kind == ParquetLayout::Kind::kWords && (&places == &pages[6] || &places == &pages[7]);
      EXPECT_TRUE(pressed || !should);
      EXPECT_EQ(PlacesOf(pressed, places.size(), scratch), places);
    }
  }
}

TEST(ParquetLayoutTest, NoiseStaysPacked) {
  Random random(9);
  ParquetScratch scratch(1);
  std::vector<uint32_t> places;
  while (places.size() < 8192) places.push_back(static_cast<uint32_t>(random.Below(1 << 14)));
  const ParquetLayout layout = ChooseLayoutOfPlaces(places, ParquetPlaces::kSlow, 14, scratch);
  EXPECT_EQ(layout.kind, ParquetLayout::Kind::kPacked);
  EXPECT_FALSE(PressPlaces(layout, places, 14, true, scratch));
  // A page of another nature than the one tried is not longer than packed either.
  EXPECT_FALSE(PressPlaces({.kind = ParquetLayout::Kind::kWords}, places, 14, true, scratch));
  EXPECT_EQ(PlacesOf(false, places.size(), scratch), places);
  EXPECT_LT(scratch.plain.size(), places.size() * 14 / 8 + 16);
}

TEST(ParquetLayoutTest, DeltasOfAnyShapeAreRead) {
  Random random(3);
  for (const size_t count : {0UL, 1UL, 2UL, 128UL, 129UL, 130UL, 5000UL}) {
    for (const int bits : {0, 7, 8, 24, 33, 63, 64}) {
      std::vector<int64_t> values;
      for (size_t i = 0; i < count; ++i)
        values.push_back(bits == 0 ? 5 : static_cast<int64_t>(random.Next() >> (64 - bits)));
      for (const bool whole : {false, true}) {
        Bytes bytes;
        whole ? EncodeDeltaWhole(values, bytes) : EncodeDelta(values, bytes);
        std::vector<int64_t> read(count), more(count + 1);
        const Status decoded = DecodeDelta(bytes, read);
        ASSERT_TRUE(decoded) << count << " of " << bits << ": " << decoded.error().ToString();
        EXPECT_EQ(read, values) << count << " of " << bits;
        if (count < 2 || bits == 0) continue;
        EXPECT_FALSE(DecodeDelta(bytes, more));
        EXPECT_FALSE(DecodeDelta(ByteView(bytes).first(bytes.size() / 2), read));
      }
    }
  }
}

TEST(ParquetLayoutTest, DeltasOfImpossibleShapesAreRefused) {
  std::vector<int64_t> read(3);
  const auto refused = [&](const Bytes& bytes) { return !DecodeDelta(bytes, read); };
  EXPECT_TRUE(refused({0x80, 0x01, 0x00, 0x03, 0x00, 0x00, 0x00}));        // No miniblocks.
  EXPECT_TRUE(refused({0x80, 0x01, 0x08, 0x03, 0x00, 0x00, 0x00}));        // Of 16 values.
  EXPECT_TRUE(refused({0x00, 0x01, 0x03, 0x00, 0x00, 0x00}));              // No block.
  EXPECT_TRUE(refused({0x80, 0x80, 0x80, 0x80, 0x7F, 0x01, 0x03, 0x00}));  // 34 thousand million.
}

// Points that are polled together arrive in the same pattern each time.
TEST(ParquetLayoutTest, APatternOfArrivalCostsNextToNothing) {
  const TemporaryFolder folder;
  const std::string path = folder / "rows.parquet";
  auto writer = ParquetWriter::Create(path, kLayoutColumns).value();
  constexpr size_t kPoints = 1000, kRows = 50;
  std::vector<int64_t> time(kRows), sequence(kRows);
  std::vector<double> value(kRows);
  for (size_t p = 0; p < kPoints; ++p) {
    for (size_t i = 0; i < kRows; ++i) {
      time[i] = static_cast<int64_t>(i) * 10'000'000;
      sequence[i] = static_cast<int64_t>(i * (kPoints + i % 4 * 1000) + p);
      value[i] = std::round(static_cast<double>(p) + 100 * std::sin(static_cast<double>(i))) / 100;
    }
    const void* const data[] = {time.data(), value.data(), sequence.data()};
    ASSERT_TRUE(writer->Add(fmt::format("host-{:04}/usage", p), data, kRows));
  }
  ASSERT_TRUE(writer->Finish());
  const auto file = ParquetFile::Open(path, kLayoutColumns).value();
  const auto per_row = [&](size_t column) {
    return static_cast<double>(file->groups()[0].chunks[column].bytes) / (kPoints * kRows);
  };
  EXPECT_LT(per_row(0), 0.05);
  EXPECT_LT(per_row(1), 0.02);
  EXPECT_LT(per_row(3), 0.02);
  auto reader = ParquetColumnReader::Load(*file, 0, 3).value();
  ASSERT_TRUE(reader.Read(999 * kRows, 1000 * kRows, sequence.data()));
  EXPECT_EQ(sequence[7], static_cast<int64_t>(7 * (kPoints + 3000) + 999));
}

}  // namespace
}  // namespace penstock::storage
