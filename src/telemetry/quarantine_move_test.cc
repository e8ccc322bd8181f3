// What waits in the spool comes into the records once, whatever happens between, and a flood of it
// costs them no more than its last entries.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "storage/temporary_folder.h"
#include "telemetry/quarantine.h"
#include "telemetry/testing_violations.h"
#include "telemetry/violation_codec.h"

namespace penstock::telemetry {
namespace {

// Records that refuse from the n-th change on.
class FailingRecords final : public storage::Records {
 public:
  FailingRecords(storage::Records& inner, int changes) : inner_(inner), left_(changes) {}
  Result<int64_t> Run(std::string_view sql, std::vector<storage::SqlValue> values) override {
    if (left_ <= 0) return Unavailable("the records are away");
    --left_;
    return inner_.Run(sql, std::move(values));
  }
  Result<std::vector<storage::SqlRow>> Query(std::string_view sql,
                                             std::vector<storage::SqlValue> values) override {
    return inner_.Query(sql, std::move(values));
  }
  Status Transaction(const std::function<Status()>& work) override {
    if (left_ <= 0) return Unavailable("the records are away");
    return inner_.Transaction(work);
  }
  void LeaveAlone() { left_ = 1 << 30; }

 private:
  Status RunScript(std::string_view) override { return Unavailable("no migrations here"); }
  std::string place() const override { return "test"; }
  storage::Records& inner_;
  std::atomic<int> left_;
};

class SpoolDisk final : public storage::Disk {
 public:
  int Write(int fd, ByteView bytes, uint64_t offset) override {
    return full ? ENOSPC : Disk::Write(fd, bytes, offset);
  }
  std::atomic<bool> full = false;
};

class QuarantineMoveTest : public testing::Test {
 protected:
  std::unique_ptr<QuarantineStore> Open(QuarantineLimits limits = {},
                                        const std::string& folder = "") {
    auto store =
        QuarantineStore::Open(*records_, folder_ / (folder.empty() ? name_ : folder), limits);
    EXPECT_TRUE(store) << store.error().ToString();
    return store ? std::move(*store) : nullptr;
  }
  // As a node that died before its thread moved anything.
  void Leave(const std::vector<Violations>& kept) {
    const auto spool = *QuarantineSpool::Open(folder_ / name_, 1 << 30, storage::SystemDisk());
    for (const Violations& violations : kept) ASSERT_TRUE(spool->Append(violations));
  }
  static std::multiset<std::string> Values(QuarantineStore& store) {
    std::multiset<std::string> values;
    const auto items = store.List(0, 10'000).value();
    for (const auto& item : items) values.insert(item.entry.value);
    return values;
  }
  static uint64_t CountedRows(QuarantineStore& store) {
    uint64_t rows = 0;
    const auto counts = store.CountsOf("pump").value();
    for (const auto& count : counts) rows += count.rows;
    return rows;
  }
  std::string OnlySegment() {
    for (const auto& file : std::filesystem::directory_iterator(folder_ / name_))
      if (file.path().extension() == ".log") return file.path().string();
    return "";
  }

  storage::TemporaryFolder folder_;
  std::string name_ = "quarantine";
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(":memory:");
};

std::vector<Violations> FourOfThree() {
  std::vector<Violations> kept(3);
  AddBroken(kept[0], "flow", "pump@1.2.0", 90, 0);
  AddBroken(kept[0], "level", "pump@1.2.0", 91, 0, 3);
  AddBroken(kept[1], "flow", "pump@1.2.0", 92, 1);
  AddBroken(kept[2], "flow", "pump@2.0.0", 93, 2);
  return kept;
}

TEST_F(QuarantineMoveTest, WhatACrashLeftIsThereAtTheNextStart) {
  Leave(FourOfThree());
  {
    auto store = Open();
    EXPECT_EQ(store->total(), 6U);
    EXPECT_EQ(Values(*store), (std::multiset<std::string>{"90", "91", "92", "93"}));
    EXPECT_EQ(CountedRows(*store), 6U);
    const auto items = *store->List(0, 10);
    EXPECT_EQ(items[0].contract, "pump@2.0.0");
    EXPECT_EQ(items[2].entry.point, "pump-7/level");
    EXPECT_EQ(items[2].entry.source, "pump-7");
    EXPECT_EQ(items[2].entry.message, "91 is too high");
    EXPECT_EQ(items[2].rows, 3U);
    EXPECT_EQ(store->RowsOf(items[2].id)->value, (std::vector<double>{91, 91, 91}));
  }
  auto again = Open();
  EXPECT_EQ(again->total(), 6U);
  EXPECT_EQ(again->List(0, 10)->size(), 4U);
}

TEST_F(QuarantineMoveTest, EachComesOnceWhereverTheMovingWasCutShort) {
  for (int changes = 0; changes < 20; ++changes) {
    name_ = fmt::format("quarantine-{}", changes);
    records_ = *storage::Records::Open(":memory:");
    Open();  // Makes the tables.
    Leave(FourOfThree());
    FailingRecords failing(*records_, changes);
    const auto cut_short = QuarantineStore::Open(failing, folder_ / name_);
    const bool whole = cut_short.has_value();
    if (whole) (*cut_short)->Flush().value();
    if (whole) failing.LeaveAlone();
    auto store = cut_short ? nullptr : Open();
    QuarantineStore& found = cut_short ? **cut_short : *store;
    EXPECT_EQ(Values(found), (std::multiset<std::string>{"90", "91", "92", "93"})) << changes;
    EXPECT_EQ(CountedRows(found), 6U) << changes;
    EXPECT_EQ(found.PerRule().at("maximum"), 6U) << changes;
    EXPECT_EQ(found.evicted(), 0U);
    if (whole) return;
  }
  FAIL() << "more changes than thought";
}

TEST_F(QuarantineMoveTest, WhileTheRecordsAreAwayWhatIsKeptWaits) {
  Open();
  FailingRecords away(*records_, 1000);
  auto store = *QuarantineStore::Open(away, folder_ / name_);
  ASSERT_TRUE(store->Flush());
  FailingRecords gone(*records_, 1);  // Its own position, no more.
  store.reset();
  store = *QuarantineStore::Open(gone, folder_ / name_);
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 99, 0)));
  EXPECT_EQ(store->total(), 1U);
  EXPECT_EQ(store->List(0, 10).error().code, Code::kUnavailable);
  gone.LeaveAlone();
  EXPECT_EQ(store->List(0, 10)->size(), 1U);
  EXPECT_EQ(store->PerRule().at("maximum"), 1U);
  EXPECT_EQ(CountedRows(*store), 1U);
}

TEST_F(QuarantineMoveTest, OfAFloodOnlyWhatSurvivesTheBoundsIsWritten) {
  QuarantineLimits limits;
  limits.held = 40;
  limits.held_of_point = 10;
  static constexpr const char* kProperties[] = {"flow", "level", "power", "speed", "state", "heat"};
  std::vector<Violations> kept(100);
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 12; ++k)
      AddBroken(kept[static_cast<size_t>(i)], kProperties[k % 6], "pump@1.2.0", i * 12 + k, i, 2);
  }
  Leave(kept);
  auto store = Open(limits);
  EXPECT_EQ(store->total(), 2400U);
  EXPECT_EQ(CountedRows(*store), 2400U);
  const auto values = Values(*store);
  EXPECT_EQ(values.size(), 40U);
  for (int i = 1160; i < 1200; ++i) EXPECT_EQ(values.count(std::to_string(i)), 1U) << i;
  EXPECT_EQ(store->evicted(), 2 * (1200U - 40));
  const auto one = records_->Query("SELECT max(id) FROM telemetry_quarantine");
  EXPECT_LE(one->front().Integer(0), 40) << "the others were never written";

  // One broken sensor, then: its own latest, and those of others stay.
  Violations sensor;
  for (int i = 0; i < 35; ++i) AddBroken(sensor, "flow", "pump@1.2.0", 5000 + i, 200);
  ASSERT_TRUE(store->Keep(sensor));
  EXPECT_LE(store->List(0, 100, {.point = "pump-7/flow"})->size(), 10U);
  EXPECT_EQ(store->List(0, 1)->front().entry.value, "5034");
  EXPECT_GE(store->List(0, 100, {.point = "pump-7/level"})->size(), 5U);
  EXPECT_EQ(CountedRows(*store), 2435U);
}

TEST_F(QuarantineMoveTest, ATornTailIsNotThereAndTheRestIs) {
  Leave(FourOfThree());
  const std::string file = OnlySegment();
  std::string content;
  {
    std::ifstream in(file, std::ios::binary);
    content.assign(std::istreambuf_iterator<char>(in), {});
  }
  const size_t end = content.find_last_not_of('\0') + 1;
  std::ofstream(file, std::ios::binary) << content.substr(0, end - 3);
  auto store = Open();
  EXPECT_EQ(Values(*store), (std::multiset<std::string>{"90", "91", "92"}));
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 94, 9)));
  EXPECT_EQ(store->List(0, 10)->size(), 4U);
}

TEST_F(QuarantineMoveTest, OnAFullDiskNothingIsKeptAndLaterItIs) {
  SpoolDisk disk;
  auto store = *QuarantineStore::Open(*records_, folder_ / name_, {}, disk);
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 90, 0)));
  disk.full = true;
  EXPECT_EQ(store->Keep(Broken("flow", "pump@1.2.0", 91, 1)).error().code,
            Code::kResourceExhausted);
  EXPECT_EQ(store->total(), 1U);
  disk.full = false;
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 92, 2)));
  EXPECT_EQ(Values(*store), (std::multiset<std::string>{"90", "92"}));
}

TEST_F(QuarantineMoveTest, AFullSpoolTakesNoMoreUntilItIsMoved) {
  Open();
  QuarantineLimits limits;
  limits.waiting_bytes = 100'000;
  FailingRecords away(*records_, 1);
  auto store = *QuarantineStore::Open(away, folder_ / name_, limits);
  uint64_t kept = 0;
  while (store->Keep(Broken("flow", "pump@1.2.0", 90, 0, 100)) && kept < 1000) ++kept;
  EXPECT_GT(kept, 10U);
  EXPECT_LT(kept, 200U);
  away.LeaveAlone();
  ASSERT_TRUE(store->Flush());
  EXPECT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 90, 0)));
  EXPECT_EQ(store->List(0, 1000)->size(), kept + 1);
}

// A backup copies the spool before the records.
TEST_F(QuarantineMoveTest, ASpoolOlderThanTheRecordsNeitherLosesNorDoubles) {
  auto store = Open();
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 90, 0)));
  std::filesystem::copy(folder_ / name_, folder_ / "copy");
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 91, 1)));
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 92, 2)));
  ASSERT_TRUE(store->Flush());
  store.reset();
  store = Open({}, "copy");
  EXPECT_EQ(store->total(), 3U);
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 93, 3)));
  EXPECT_EQ(Values(*store), (std::multiset<std::string>{"90", "91", "92", "93"}));
  EXPECT_EQ(CountedRows(*store), 4U);
}

TEST_F(QuarantineMoveTest, AnotherFoldersSpoolIsNotTakenForThisOne) {
  auto store = Open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", i, i)));
  ASSERT_TRUE(store->Flush());
  store.reset();
  store = Open({}, "another");
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 9, 9)));
  EXPECT_EQ(Values(*store), (std::multiset<std::string>{"0", "1", "2", "9"}));
}

TEST(ViolationCodecTest, WhatWasWrittenIsReadAndNothingElse) {
  Violations kept;
  AddBroken(kept, "flow", "pump@1.2.0", 90, 0, 2);
  AddBroken(kept, "level", "pump@1.2.0", 91, 1);
  Violation text = kept.list[1];
  text.of_text = true;
  text.text = "brokn";
  text.why = "\"brokn\" is none of the 2 valid texts (listed)";
  kept.list.push_back(text);
  kept.rows.Add(PointId{4}, FromMicros(7), FromMicros(8), 1);
  Bytes record;
  EncodeViolations(kept.list, kept.rows, record);
  EXPECT_EQ(ViolationsIn(record), 3U);
  ViolationRecord read;
  ASSERT_TRUE(DecodeViolations(record, read));
  ASSERT_EQ(read.list.size(), 3U);
  EXPECT_EQ(read.list[0].contract, "pump@1.2.0");
  EXPECT_EQ(read.list[0].rows, 2U);
  EXPECT_EQ(read.list[1].property, "level");
  EXPECT_EQ(MessageShown(read.list[1], read.rows.value[2]), "91 is too high");
  EXPECT_EQ(ValueShown(read.list[2], 1), "brokn");
  EXPECT_EQ(MessageShown(read.list[2], 1), text.why);
  EXPECT_EQ(read.rows.value, kept.rows.value);
  for (size_t size = 0; size < record.size(); ++size)
    EXPECT_FALSE(DecodeViolations(ByteView(record).first(size), read)) << size;
  record[1] = 2;
  EXPECT_EQ(DecodeViolations(record, read).error().code, Code::kDataLoss);
}

}  // namespace
}  // namespace penstock::telemetry
