#include "telemetry/batch_codec.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

void ExpectEqual(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.first_sequence, b.first_sequence);
  EXPECT_EQ(a.point, b.point);
  EXPECT_EQ(a.source_time, b.source_time);
  EXPECT_EQ(a.ingest_time, b.ingest_time);
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.quality, b.quality);
  EXPECT_EQ(a.origin.edge, b.origin.edge);
  EXPECT_EQ(a.origin.epoch, b.origin.epoch);
  EXPECT_EQ(a.origin.first, b.origin.first);
}

Batch Back(const Batch& batch) {
  Bytes record;
  EncodeBatch(batch, record);
  auto back = DecodeBatch(record);
  EXPECT_TRUE(back) << back.error().ToString();
  return back ? *back : Batch{};
}

TEST(BatchCodecTest, GivesBackWhatWasWritten) {
  Random random(1);
  for (const size_t rows : {0U, 1U, 7U, 1000U}) {
    Batch batch;
    batch.first_sequence = random.Next() >> 1;
    for (size_t i = 0; i < rows; ++i) {
      batch.Add(PointId{static_cast<uint32_t>(random.Below(5))}, At(random.Uniform(-100, 100)),
                At(static_cast<double>(i)), random.Normal(),
                random.Chance(0.2) ? kBadSensorFailure : kGood);
    }
    ExpectEqual(batch, Back(batch));
  }
}

TEST(BatchCodecTest, CarriesWhereTheRowsWereMeasured) {
  Batch batch;
  batch.Add(PointId{1}, At(0), At(1), 5);
  batch.origin.epoch = 1'700'000'000'123;
  ExpectEqual(batch, Back(batch));
  batch.origin.edge = "gateway-3";
  batch.origin.first = UINT64_MAX;
  ExpectEqual(batch, Back(batch));
  batch.origin.edge = std::string(kEdgeNameBytesMax, 'e');
  ExpectEqual(batch, Back(batch));
}

TEST(BatchCodecTest, ReadsRecordsOfTheFirstVersion) {
  // Two rows of point 3, one second apart, good, 1.5 and 2.5.
  Bytes record = {'B', 1, 2, 7, 2, 3, 2, 0x80, 0x89, 0x7A, 2, 0, 2, 0};
  for (const double value : {1.5, 2.5}) {
    const auto* raw = reinterpret_cast<const uint8_t*>(&value);
    record.insert(record.end(), raw, raw + sizeof value);
  }
  const auto batch = DecodeBatch(record);
  ASSERT_TRUE(batch) << batch.error().ToString();
  EXPECT_EQ(batch->point, (std::vector<PointId>{PointId{3}, PointId{3}}));
  EXPECT_EQ(batch->source_time[1] - batch->source_time[0], std::chrono::seconds(1));
  EXPECT_EQ(batch->value[1], 2.5);
  EXPECT_EQ(batch->first_sequence, 7U);
  EXPECT_TRUE(batch->own());
}

TEST(BatchCodecTest, PointsInTheirOwnOrderCostNothingInAnyOrderFourBytes) {
  Batch ordered, shuffled;
  Random random(2);
  for (uint32_t i = 0; i < 10'000; ++i) {
    ordered.Add(PointId{i}, At(0), At(0), i);
    shuffled.Add(PointId{static_cast<uint32_t>(random.Below(40'000))}, At(0), At(0), i);
  }
  Bytes a, b;
  EncodeBatch(ordered, a);
  EncodeBatch(shuffled, b);
  EXPECT_LT(a.size(), 10'000 * 8 + 64U);
  EXPECT_LT(b.size(), 10'000 * 12 + 64U);
  ExpectEqual(shuffled, Back(shuffled));
}

TEST(BatchCodecTest, WildTimesWrapInsteadOfBreaking) {
  Batch batch;
  for (const int64_t t : {INT64_MAX, INT64_MIN, int64_t{0}, INT64_MIN}) {
    batch.Add(PointId{0}, FromMicros(t), FromMicros(-t / 2),
              std::numeric_limits<double>::infinity());
  }
  ExpectEqual(batch, Back(batch));
}

TEST(BatchCodecTest, ABurstCostsItsValuesAndLittleMore) {
  Batch batch;
  for (int i = 0; i < 2048; ++i) batch.Add(PointId{3}, FromMicros(1'000'000 + i * 488), At(0), i);
  Bytes record;
  EncodeBatch(batch, record);
  EXPECT_LT(record.size(), 2048 * 8 + 64U);
}

TEST(BatchCodecTest, SaysThatRowsWereReleased) {
  Batch batch;
  for (int i = 0; i < 20; ++i) batch.Add(PointId{static_cast<uint32_t>(i / 5)}, At(i), At(i), i);
  EXPECT_FALSE(Back(batch).released);
  batch.released = true;
  EXPECT_TRUE(Back(batch).released);
  ExpectEqual(batch, Back(batch));
}

TEST(BatchCodecTest, ThePointsCanBeReadAlone) {
  Batch batch;
  for (int i = 0; i < 20; ++i) batch.Add(PointId{static_cast<uint32_t>(i / 5)}, At(i), At(i), i);
  batch.first_sequence = 7;
  Bytes record;
  EncodeBatch(batch, record);
  const auto points = DecodeBatchPoints(record);
  ASSERT_TRUE(points);
  EXPECT_EQ(points->point, batch.point);
  EXPECT_EQ(points->first_sequence, 7U);
  EXPECT_TRUE(points->own());
  EXPECT_FALSE(DecodeBatchPoints(ByteView(record).first(4)));
}

TEST(BatchCodecTest, DamageIsAnErrorNeverACrash) {
  Batch batch;
  for (int i = 0; i < 20; ++i) batch.Add(PointId{static_cast<uint32_t>(i / 5)}, At(i), At(i), i);
  Bytes record;
  EncodeBatch(batch, record);
  for (size_t cut = 0; cut < record.size(); ++cut)
    EXPECT_FALSE(DecodeBatch(ByteView(record).first(cut))) << cut;
  Bytes longer = record;
  longer.push_back(0);
  EXPECT_EQ(DecodeBatch(longer).error().code, Code::kDataLoss);
  Bytes newer = record;
  newer[1] = 4;
  ASSERT_FALSE(DecodeBatch(newer));
  EXPECT_NE(DecodeBatch(newer).error().message.find("version 4"), std::string::npos);
  for (size_t i = 0; i < record.size(); ++i) {
    Bytes flipped = record;
    flipped[i] ^= 0xFF;
    (void)DecodeBatch(flipped);
  }
}

TEST(BatchCodecTest, ARowCountBeyondTheBytesAllocatesNothing) {
  const Bytes record = {'B', 1, 0xFF, 0xFF, 0xFF, 0x07, 0, 0xFF, 0xFF};
  EXPECT_FALSE(DecodeBatch(record));
}

}  // namespace
}  // namespace penstock::telemetry
