#include "storage/records.h"

#include <gtest/gtest.h>

#include <thread>

#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

constexpr Migration kFirst{
    1,
    "CREATE TABLE alarms(id TEXT PRIMARY KEY, weight REAL, proof BLOB, n INTEGER) STRICT;"
    "CREATE TABLE verdicts(alarm TEXT NOT NULL REFERENCES alarms(id)) STRICT;"};

std::unique_ptr<Records> InMemory() {
  auto records = Records::Open(":memory:").value();
  EXPECT_TRUE(records->Migrate("decisions", {kFirst}));
  return records;
}

int64_t Count(Records& records) {
  return records.Query("SELECT count(*) FROM alarms").value()[0].Integer(0);
}

TEST(RecordsTest, GiveBackWhatWasStored) {
  const auto records = InMemory();
  const std::string id = "A-1042 it's \"quoted\" \xC3\xBC";
  EXPECT_EQ(
      records->Run("INSERT INTO alarms VALUES(?,?,?,?)", {id, 0.25, Bytes{0, 1, 255}, int64_t{-7}})
          .value(),
      1);
  EXPECT_EQ(records->Run("INSERT INTO alarms VALUES(?,?,?,?)", {"empty", nullptr, Bytes{}, nullptr})
                .value(),
            1);
  const auto rows = records->Query("SELECT id, weight, proof, n FROM alarms ORDER BY id").value();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].Text(0), id);
  EXPECT_EQ(rows[0].Real(1), 0.25);
  EXPECT_EQ(rows[0].Blob(2), (Bytes{0, 1, 255}));
  EXPECT_EQ(rows[0].Integer(3), -7);
  EXPECT_TRUE(rows[1].IsNull(1));
  EXPECT_FALSE(rows[1].IsNull(2));
  EXPECT_EQ(rows[1].Text(3), "");
}

TEST(RecordsTest, RunTellsHowManyRowsItChanged) {
  const auto records = InMemory();
  for (const char* id : {"a", "b", "c"})
    ASSERT_TRUE(records->Run("INSERT INTO alarms(id) VALUES(?)", {id}));
  EXPECT_EQ(records->Run("UPDATE alarms SET n=1 WHERE id<>'a'").value(), 2);
  EXPECT_EQ(records->Run("UPDATE alarms SET n=1 WHERE id='z'").value(), 0);
}

TEST(RecordsTest, SurviveAReopen) {
  const TemporaryFolder folder;
  const std::string file = folder / "records.db";
  {
    const auto records = Records::Open(file).value();
    ASSERT_TRUE(records->Migrate("decisions", {kFirst}));
    ASSERT_TRUE(records->Run("INSERT INTO alarms(id) VALUES('a')"));
  }
  const auto records = Records::Open(file).value();
  ASSERT_TRUE(
      records->Migrate("decisions", {kFirst, {2, "ALTER TABLE alarms ADD COLUMN note TEXT"}}));
  EXPECT_TRUE(records->Query("SELECT note FROM alarms"));
  EXPECT_EQ(Count(*records), 1);

  const auto reader = Records::OpenReadOnly(file).value();
  EXPECT_EQ(Count(*reader), 1);
  EXPECT_EQ(reader->Run("DELETE FROM alarms").error().code, Code::kPermissionDenied);
}

TEST(RecordsTest, ReadOnlyNeedsAFile) {
  const TemporaryFolder folder;
  const auto records = Records::OpenReadOnly(folder / "absent.db");
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, Code::kUnavailable);
  EXPECT_EQ(records.error().where, folder / "absent.db");
}

TEST(RecordsTest, RefuseANewerSchema) {
  const auto records = InMemory();
  ASSERT_TRUE(
      records->Migrate("value", {{1, "CREATE TABLE a(x TEXT)"}, {2, "CREATE TABLE b(x TEXT)"}}));
  const Status older = records->Migrate("value", {{1, "CREATE TABLE a(x TEXT)"}});
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Code::kFailedPrecondition);
}

TEST(RecordsTest, AMigrationIsAllOrNothing) {
  const auto records = InMemory();
  EXPECT_FALSE(records->Migrate("value", {{1, "CREATE TABLE half(x); CREATE TABL broken(x)"}}));
  EXPECT_FALSE(records->Query("SELECT * FROM half"));
  EXPECT_TRUE(
      records->Migrate("value", {{1, "CREATE TABLE half(x TEXT); CREATE TABLE whole(x TEXT)"}}));
}

TEST(RecordsTest, ATransactionIsAllOrNothing) {
  const auto records = InMemory();
  const auto insert = [&](const char* id) {
    return records->Run("INSERT INTO alarms(id) VALUES(?)", {id});
  };
  const Status failed = records->Transaction([&]() -> Status {
    TRY(insert("a"));
    TRY(insert("a"));
    return {};
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kAlreadyExists);
  EXPECT_EQ(Count(*records), 0);

  ASSERT_TRUE(records->Transaction([&]() -> Status {
    TRY(insert("a"));
    const Status inner = records->Transaction([&]() -> Status {
      TRY(insert("b"));
      return Aborted("changed my mind");
    });
    EXPECT_EQ(inner.error().code, Code::kAborted);
    TRY(insert("c"));
    return {};
  }));
  EXPECT_EQ(Count(*records), 2);
}

TEST(RecordsTest, ErrorsCarryTheDatabasesWords) {
  const auto records = InMemory();
  const auto unknown = records->Query("SELECT colour FROM alarms");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("colour"), std::string::npos) << unknown.error().message;
  EXPECT_EQ(records->Query("SELECT ?", {}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(records->Run("SELECT 1; SELECT 2").error().code, Code::kInvalidArgument);
  EXPECT_EQ(records->Run("INSERT INTO verdicts VALUES('nobody')").error().code,
            Code::kFailedPrecondition)
      << "foreign keys are on";
}

TEST(RecordsTest, AFullDatabaseSaysSo) {
  const TemporaryFolder folder;
  const auto records = Records::Open(folder / "records.db").value();
  ASSERT_TRUE(records->Migrate("decisions", {kFirst}));
  ASSERT_TRUE(records->Query("PRAGMA max_page_count=20"));
  Status status;
  int stored = 0;
  for (; status && stored < 1000; ++stored) {
    const auto id = std::to_string(stored);
    const auto done = records->Run("INSERT INTO alarms VALUES(?,0,?,0)", {id, Bytes(1000)});
    if (!done) status = std::unexpected(done.error());
  }
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kResourceExhausted);
  ASSERT_TRUE(records->Query("PRAGMA max_page_count=1000"));
  EXPECT_TRUE(records->Run("INSERT INTO alarms(id) VALUES('again')"))
      << "works again when there is room";
  EXPECT_EQ(Count(*records), stored);
}

TEST(RecordsTest, KeepManyStatementsApart) {
  const auto records = InMemory();
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 400; ++i)
      ASSERT_EQ(records->Query(fmt::format("SELECT {}", i)).value()[0].Integer(0), i);
}

TEST(RecordsTest, ServeManyThreads) {
  const auto records = InMemory();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i)
          EXPECT_TRUE(records->Transaction([&]() -> Status {
            TRY(records->Run("INSERT INTO alarms(id) VALUES(?)", {fmt::format("{}-{}", t, i)}));
            TRY(records->Query("SELECT count(*) FROM alarms"));
            return {};
          }));
      });
  }
  EXPECT_EQ(Count(*records), 200);
}

}  // namespace
}  // namespace penstock::storage
