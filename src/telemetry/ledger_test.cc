#include "telemetry/ledger.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/random.h"
#include "storage/temporary_folder.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

Batch RowsOfPoints(std::initializer_list<uint32_t> points, uint64_t sequence, double at = 0) {
  Batch batch;
  for (const uint32_t point : points) batch.Add(PointId{point}, At(at), At(at), 1);
  batch.first_sequence = sequence;
  return batch;
}

class PointLedgerTest : public testing::Test {
 protected:
  void Open(uint64_t epoch = 7) {
    ledger_.reset();
    auto ledger = PointLedger::Open(folder_.path(), epoch);
    ASSERT_TRUE(ledger) << ledger.error().ToString();
    ledger_ = std::move(*ledger);
  }
  void Store(std::initializer_list<uint32_t> points, double at = 0) {
    const Batch batch = RowsOfPoints(points, sequence_, at);
    ledger_->Produce(batch.point, At(at));
    ledger_->Store(batch, record_++);
    sequence_ += batch.size();
  }

  const storage::TemporaryFolder folder_;
  std::unique_ptr<PointLedger> ledger_;
  uint64_t sequence_ = 0, record_ = 0;
};

TEST_F(PointLedgerTest, EveryRowIsSomewhere) {
  Open();
  Store({0, 1, 1});
  const std::vector<PointId> two = {PointId{1}, PointId{2}};
  ledger_->Produce(two, At(0));
  EXPECT_EQ(ledger_->total().gap(), 2);
  ledger_->Duplicate(std::span(two).first(1));
  ledger_->Quarantine(std::span(two).last(1));
  EXPECT_EQ(ledger_->total().gap(), 0);
  const auto points = ledger_->Points();
  ASSERT_GE(points.size(), 3U);
  EXPECT_EQ(points[1].produced, 3U);
  EXPECT_EQ(points[1].durable, 2U);
  EXPECT_EQ(points[1].duplicates, 1U);
  EXPECT_EQ(points[2].quarantined, 1U);
  for (const LedgerCounts& point : points) EXPECT_EQ(point.gap(), 0);
}

TEST_F(PointLedgerTest, WhatWasForwardedOrEvictedIsNotStoredAnyMore) {
  Open();
  Store({0, 1, 1});
  const std::vector<std::pair<PointId, uint64_t>> one = {{PointId{1}, 1}};
  ledger_->Forward(one, 1);
  ledger_->Evict(one);
  ledger_->EvictUnnamed(1);
  EXPECT_EQ(ledger_->total().stored(), 0);
  EXPECT_EQ(ledger_->total().gap(), 0);
  EXPECT_EQ(ledger_->Points()[1].stored(), 0);
}

TEST_F(PointLedgerTest, IsTheSameAfterARestart) {
  Open();
  Store({0, 1, 1});
  Store({5}, 7200);
  ASSERT_TRUE(ledger_->Persist());
  Store({5}, 7201);
  const auto points = ledger_->Points();
  Open();
  EXPECT_EQ(ledger_->total().stored(), 4);
  EXPECT_EQ(ledger_->sequence_end(), 4U);
  // The log gives all again: only what is not in the books counts.
  ledger_->Replay(RowsOfPoints({0, 1, 1}, 0), 0);
  ledger_->Replay(RowsOfPoints({5}, 3, 7200), 1);
  ledger_->Replay(RowsOfPoints({5}, 4, 7201), 2);
  ledger_->EndReplay(5);
  EXPECT_EQ(ledger_->total().stored(), 5);
  EXPECT_EQ(ledger_->total().gap(), 0);
  EXPECT_EQ(ledger_->Points(), points);
}

TEST_F(PointLedgerTest, ACrashBeforeTheStateIsWrittenBooksNothingTwice) {
  Open();
  Store({0, 1});
  ASSERT_TRUE(ledger_->Persist());
  const auto state = ReadFile(folder_ / "now");
  Store({0}, 3600);  // Closes the first hour.
  ASSERT_TRUE(ledger_->Persist());
  ASSERT_TRUE(WriteFileAtomically(folder_ / "now", *state));  // As if it had not come so far.
  Open();
  ledger_->Replay(RowsOfPoints({0}, 2, 3600), 1);
  ledger_->EndReplay(3);
  EXPECT_EQ(ledger_->total().stored(), 3);
  const auto intervals = ledger_->Read(At(-7200), At(7200));
  ASSERT_TRUE(intervals);
  ASSERT_EQ(intervals->size(), 2U);
  EXPECT_EQ((*intervals)[0].total.durable, 2U);
  EXPECT_EQ((*intervals)[1].total.durable, 1U);
}

TEST_F(PointLedgerTest, RowsThatAreNowhereAnyMoreAreAGap) {
  Open();
  Store({0, 1, 2});
  ASSERT_TRUE(ledger_->Persist());
  Open();
  ledger_->Replay(RowsOfPoints({4}, 5), 2);  // 3 and 4 were in a record that the disk lost.
  EXPECT_EQ(ledger_->total().gap(), 2);
  EXPECT_EQ(ledger_->total().lost, 2U);
  Open();
  ledger_->EndReplay(1);  // Neither log nor history know 1 and 2.
  EXPECT_EQ(ledger_->total().gap(), 2);
}

TEST_F(PointLedgerTest, ANewEpochBeginsANewInterval) {
  Open();
  Store({0});
  ASSERT_TRUE(ledger_->Persist());
  Open(8);
  ledger_->EndReplay(0);
  sequence_ = 1;
  Store({0, 0}, 1);
  EXPECT_EQ(ledger_->total().gap(), 0);
  const auto intervals = ledger_->Read(At(-3600), At(3600));
  ASSERT_TRUE(intervals);
  ASSERT_EQ(intervals->size(), 2U);
  EXPECT_EQ((*intervals)[0].epoch, 7U);
  EXPECT_EQ((*intervals)[1].epoch, 8U);
  EXPECT_EQ((*intervals)[1].first_sequence, 1U);
  EXPECT_EQ((*intervals)[1].end_sequence, 3U);
}

TEST_F(PointLedgerTest, ARangeIsMadeOfWholeHours) {
  Open();
  for (int hour = 0; hour < 5; ++hour) Store({0, 1}, hour * 3600);
  ASSERT_TRUE(ledger_->Persist());
  for (int life = 0; life < 2; ++life, Open()) {
    const auto two = ledger_->Read(At(3600), At(2 * 3600 + 1));
    ASSERT_TRUE(two);
    ASSERT_EQ(two->size(), 2U);
    EXPECT_EQ((*two)[0].first_sequence, 2U);
    EXPECT_EQ((*two)[1].end_sequence, 6U);
    EXPECT_EQ((*two)[1].points.size(), 2U);
    EXPECT_EQ((*two)[1].end_record, 3U);
  }
}

TEST_F(PointLedgerTest, DamageIsPutAsideNeverServed) {
  Open();
  Store({0}, 0);
  Store({0}, 3600);
  ASSERT_TRUE(ledger_->Persist());
  ASSERT_TRUE(WriteFileAtomically(folder_ / "now", "nonsense"));
  Open();
  EXPECT_EQ(ledger_->total().produced, 0U);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "now.damaged"));
}

TEST_F(PointLedgerTest, AWildPointIdTakesNoMemory) {
  Open();
  const std::vector<PointId> wild = {PointId{UINT32_MAX - 1}};
  ledger_->Produce(wild, At(0));
  ledger_->Quarantine(wild);
  EXPECT_EQ(ledger_->total().gap(), 0);
  EXPECT_LT(ledger_->Points().size(), 10U);
}

TEST_F(PointLedgerTest, AReleasedRowMovesFromTheQuarantineToStored) {
  Open();
  const std::vector<PointId> one = {PointId{3}};
  ledger_->Produce(one, At(0));
  ledger_->Quarantine(one);
  Batch released = RowsOfPoints({3}, 0);
  released.released = true;
  ledger_->Release(released.point);
  ledger_->Store(released, 0);
  const LedgerCounts total = ledger_->total();
  EXPECT_EQ(total.produced, 1U);
  EXPECT_EQ(total.stored(), 1);
  EXPECT_EQ(total.kept_apart(), 0);
  EXPECT_EQ(total.gap(), 0);
  EXPECT_EQ(ledger_->Points()[3].gap(), 0);
  ASSERT_TRUE(ledger_->Persist());
  Open();
  EXPECT_EQ(ledger_->total(), total);
  // Released after the last writing of the books, and replayed.
  released.first_sequence = 1;
  ledger_->Replay(released, 1);
  EXPECT_EQ(ledger_->total().gap(), 0);
  EXPECT_EQ(ledger_->total().kept_apart(), 0);  // The books had none there: it is a new one.
  EXPECT_EQ(ledger_->total().produced, 2U);
}

TEST_F(PointLedgerTest, KnowsHowFarAHubIs) {
  Open();
  Store({0, 1, 1});
  ledger_->BeginForward(0, 0, 1);
  const std::vector<std::pair<PointId, uint64_t>> rows = {{PointId{0}, 1}, {PointId{1}, 2}};
  ledger_->Forward(rows, 1);
  EXPECT_EQ(ledger_->forward_persisted(), 0U);
  ASSERT_TRUE(ledger_->Persist());
  EXPECT_EQ(ledger_->forward_persisted(), 1U);
  Store({0}, 3600);  // Another hour.
  ASSERT_TRUE(ledger_->Persist());
  Open();
  EXPECT_EQ(ledger_->forward().next_record, 1U);
  EXPECT_TRUE(ledger_->forward().contains(3));
  EXPECT_EQ(ledger_->total().forwarded, 3U);
  EXPECT_EQ(ledger_->total().stored(), 1);
  ledger_->EndForward(3);
  EXPECT_TRUE(ledger_->forward().contains(2));
  EXPECT_FALSE(ledger_->forward().contains(3));
  ledger_->BeginForward(0, 0, 2);  // A hub again: goes on where it was.
  EXPECT_EQ(ledger_->forward().next_record, 1U);
  EXPECT_TRUE(ledger_->forward().contains(3));
  ledger_->BeginForward(0, 4, 0);  // Of an empty log: another one.
  EXPECT_EQ(ledger_->forward().next_record, 0U);
}

TEST(LedgerCodecTest, ReadsFilesOfVersion1) {
  // An hour with two rows of point 5, one stored and one refused, as version 1 wrote it.
  Bytes bytes = *FromHex("50534c4544310d0a0307000009130204");
  for (const uint8_t byte : {0x83, 2, 1, 1, 1, 5, 1, 0x83, 2, 1, 1}) bytes.push_back(byte);
  const uint32_t crc = Crc32c(bytes);
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(crc >> shift));
  const auto interval = DecodeInterval(bytes);
  ASSERT_TRUE(interval) << interval.error().ToString();
  EXPECT_EQ(interval->number, 3U);
  EXPECT_EQ(interval->end_sequence, 19U);
  EXPECT_EQ(interval->total.produced, 2U);
  EXPECT_EQ(interval->total.refused, 1U);
  ASSERT_EQ(interval->points.size(), 1U);
  EXPECT_EQ(interval->points[0].first, PointId{5});
  EXPECT_EQ(interval->forward.next_record, 0U);
}

TEST(LedgerCodecTest, GivesBackWhatWasWrittenAndNoDamage) {
  Random random(3);
  LedgerInterval interval{.number = 3,
                          .epoch = 1'234'567'890'123,
                          .from = At(0),
                          .to = At(3600),
                          .first_sequence = 9,
                          .end_sequence = 19,
                          .first_record = 2,
                          .end_record = 4,
                          .forward = {7, 2, UINT64_MAX}};
  for (uint32_t id = 0; id < 100; id += 1 + static_cast<uint32_t>(random.Below(3))) {
    LedgerCounts counts{.produced = random.Below(3), .durable = 5, .released = random.Below(2)};
    interval.points.emplace_back(PointId{id}, counts);
    interval.total += counts;
  }
  const Bytes bytes = EncodeInterval(interval);
  const auto back = DecodeInterval(bytes);
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_EQ(back->points, interval.points);
  EXPECT_EQ(back->total, interval.total);
  EXPECT_EQ(back->to, interval.to);
  EXPECT_EQ(back->end_record, 4U);
  EXPECT_EQ(back->forward.to, UINT64_MAX);
  for (size_t i = 0; i < bytes.size(); ++i) {
    Bytes flipped = bytes;
    flipped[i] ^= 0x10;
    EXPECT_FALSE(DecodeInterval(flipped)) << i;
    EXPECT_FALSE(DecodeInterval(ByteView(bytes).first(i))) << i;
  }
}

TEST(LedgerCodecTest, ASiteOfOnePaceCostsAFewBytes) {
  LedgerInterval interval;
  for (uint32_t id = 0; id < 40'000; ++id)
    interval.points.emplace_back(PointId{id}, LedgerCounts{.produced = 3600, .durable = 3600});
  EXPECT_LT(EncodeInterval(interval).size(), 100U);
}

}  // namespace
}  // namespace penstock::telemetry
