// Questions asked for real: this test program is its own worker. The attacks are a table; each must
// be refused with its place, or end at a wall, and the runner must answer afterwards as before.
#include "storage/sql_runner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "storage/duck.h"
#include "storage/sql_guard.h"
#include "storage/sql_worker.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

// Started as `storage_tests sql-worker` the program answers and ends before any test begins.
const bool kIsWorker = [] {
  const auto words = ReadFile("/proc/self/cmdline");
  if (!words || words->find(std::string("\0sql-worker\0", 12)) == std::string::npos) return false;
  _exit(RunSqlWorker(0, 1, [](const std::string&) -> Result<PrivateNumber> {
    return [](std::string_view, double value) -> std::optional<double> {
      if (value < 2) return std::nullopt;
      return value * 100;
    };
  }));
}();

class Rows final : public RowSource {
 public:
  explicit Rows(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      time_.push_back(FromMicros(1'769'846'400'000'000 + static_cast<int64_t>(i) * 1'000'000));
      value_.push_back(static_cast<double>(i));
      quality_.push_back(0);
      sequence_.push_back(i);
    }
  }
  Result<std::optional<RowRun>> Next() override {
    if (run_ == 2) return std::nullopt;
    return RowRun{
        run_++ == 0 ? "pump-7/flow" : "pump-7/operator", time_, time_, value_, quality_, sequence_};
  }

 private:
  int run_ = 0;
  std::vector<Time> time_;
  std::vector<double> value_;
  std::vector<uint32_t> quality_;
  std::vector<uint64_t> sequence_;
};

struct Said {
  std::string text;
  Error error;  // Code::kOk when there was none.
};

class SqlRunnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto duck = Duck::Open({});
    ASSERT_TRUE(duck);
    Rows rows(5);
    file_ = folder_ / "0-4.parquet";
    ASSERT_TRUE((*duck)->Write(rows, file_));
    job_.tables = {{.names = {"energy-meter", "energy_meter"}, .files = {file_}},
                   {.names = {"empty"}, .files = {}}};
    job_.hidden = {"secret"};
    job_.memory_mb = 64;
  }
  Said Ask(const std::string& sql, Duration limit = std::chrono::seconds(10)) {
    job_.sql = sql;
    return Read(runner_.Ask(job_, limit));
  }
  static Said Read(Result<std::unique_ptr<SqlAnswer>> answer) {
    Said said{.error = {.code = Code::kOk}};
    while (answer) {
      auto block = (*answer)->Next();
      if (!block) {
        said.error = block.error();
        return said;
      }
      if (block->empty()) return said;
      said.text += *block;
    }
    said.error = answer.error();
    return said;
  }
  Json Asked(const std::string& sql) {
    const Said said = Ask(sql);
    EXPECT_EQ(said.error.code, Code::kOk) << sql << ": " << said.error.ToString();
    return Json::parse(said.text, nullptr, false);
  }

  TemporaryFolder folder_;
  std::string file_;
  SqlJob job_;
  SqlRunner runner_;
};

TEST_F(SqlRunnerTest, AnswersWithTypedColumns) {
  const Json answer = Asked(
      "SELECT point, max(time) AS last, avg(value) AS mean, count(*) AS n, max(quality) AS q FROM "
      "\"energy-meter\" GROUP BY point ORDER BY point; -- with a comment");
  ASSERT_EQ(answer["rows"].size(), 2U) << answer;
  EXPECT_EQ(answer["rows"][0], Json({"pump-7/flow", "2026-01-31T08:00:04.000000Z", 2.0, 5, 0}));
  EXPECT_EQ(answer["columns"][1], Json({{"name", "last"}, {"type", "timestamp"}}));
  EXPECT_EQ(answer["row_count"], 2);
  EXPECT_EQ(answer["truncated"], false);
}

TEST_F(SqlRunnerTest, KnowsTheOtherNameAndTheEmptyTable) {
  EXPECT_EQ(Asked("FROM ENERGY_METER WHERE value > 3")["rows"].size(), 2U);
  EXPECT_EQ(Asked("SELECT * FROM empty")["rows"].size(), 0U);
  EXPECT_EQ(Asked("SHOW TABLES")["rows"].size(), 3U);
  EXPECT_EQ(Asked("DESCRIBE empty")["rows"].size(), 7U);
}

TEST_F(SqlRunnerTest, WritesTypesThatJsonHasNotAsText) {
  const Json answer = Asked(
      "SELECT 1.50::DECIMAL(10,2) AS a, [1,2] AS b, {'x': 1} AS c, INTERVAL 90 SECOND AS d, "
      "170141183460469231731687303715884105727::HUGEINT AS e, 'nan'::DOUBLE AS f, NULL AS g, "
      "DATE '2026-01-31' AS h, 'inf'::DOUBLE AS i, 'it''s \"é\"' AS j, true AS k");
  EXPECT_EQ(answer["rows"][0], Json({1.5, "[1, 2]", "{'x': 1}", "00:01:30", 1.7014118346046923e38,
                                     nullptr, nullptr, "2026-01-31", nullptr, "it's \"é\"", true}));
}

TEST_F(SqlRunnerTest, WritesCsvAndLines) {
  job_.format = SqlFormat::kCsv;
  EXPECT_EQ(Ask("SELECT 'a,b' AS \"x y\", NULL AS n, '' AS e, 1.5 AS v, '\"' AS q").text,
            "x y,n,e,v,q\n\"a,b\",,\"\",1.5,\"\"\"\"\n");
  job_.format = SqlFormat::kNdjson;
  EXPECT_EQ(Ask("SELECT 1 AS a, 'x' AS a, NULL AS b FROM range(2)").text,
            "{\"a\":1,\"a_2\":\"x\",\"b\":null}\n{\"a\":1,\"a_2\":\"x\",\"b\":null}\n");
}

TEST_F(SqlRunnerTest, WritesParquetThatDuckDbReads) {
  job_.format = SqlFormat::kParquet;
  job_.output = folder_ / "answer.parquet";
  job_.bytes_max = 1 << 20;
  const Said said = Ask("SELECT * FROM \"energy-meter\" WHERE value >= 2 /* ) */ ;");
  ASSERT_EQ(said.error.code, Code::kOk) << said.error.ToString();
  const auto duck = Duck::Open({});
  int64_t rows = 0;
  ASSERT_TRUE(
      (*duck)->Query(fmt::format("SELECT count(*) FROM read_parquet({})", SqlText(job_.output)),
                     [&](const Duck::Chunk& chunk) {
                       rows = chunk.Column<int64_t>(0)[0];
                       return true;
                     }));
  EXPECT_EQ(rows, 6);
}

TEST_F(SqlRunnerTest, StopsAtTheRowsAndBytesItMayGive) {
  job_.rows_max = 3;
  Json answer = Asked("SELECT * FROM range(10)");
  EXPECT_EQ(answer["rows"].size(), 3U);
  EXPECT_EQ(answer["truncated"], true);
  EXPECT_EQ(Asked("SELECT * FROM range(3)")["truncated"], false);
  job_.rows_max = UINT64_MAX;
  job_.bytes_max = 100'000;
  answer = Asked("SELECT md5(range::VARCHAR) AS h FROM range(100000000)");
  EXPECT_EQ(answer["truncated"], true);
  EXPECT_LT(answer["rows"].size(), 20'000U);
}

TEST_F(SqlRunnerTest, HidesAndChangesPersonalValues) {
  job_.tables = {{.names = {"pump"}, .files = {file_}, .without = {"pump-7/operator"}}};
  EXPECT_EQ(Asked("SELECT DISTINCT point FROM pump")["rows"], Json({{"pump-7/flow"}}));
  job_.tables = {{.names = {"pump"}, .files = {file_}, .private_ones = {"pump-7/operator"}}};
  job_.privacy = "any";
  EXPECT_EQ(Asked("SELECT value FROM pump WHERE point = 'pump-7/operator' ORDER BY time")["rows"],
            Json({{nullptr}, {nullptr}, {200.0}, {300.0}, {400.0}}));
  EXPECT_EQ(Asked("SELECT sum(value) FROM pump WHERE point = 'pump-7/flow'")["rows"],
            Json({{10.0}}));
}

struct Case {
  const char* sql;
  Code code;
  const char* says;  // Part of the message.
};

TEST_F(SqlRunnerTest, SaysWhereAMistakeIs) {
  const Case cases[] = {
      {"", Code::kInvalidArgument, "the query is empty"},
      {" -- nothing\n", Code::kInvalidArgument, "the query is empty"},
      {"SELEC 1", Code::kInvalidArgument, "line 1, column 1: syntax error at or near \"SELEC\""},
      {"SELECT 1\nFROM empty\nWHER x", Code::kInvalidArgument, "line 3, column 6: syntax error"},
      {"SELECT 'é', foo FROM empty", Code::kInvalidArgument, "line 1, column 13: "},
      {"SELECT 'open", Code::kInvalidArgument, "line 1, column 8: unterminated quoted string"},
      {"SELECT \"open", Code::kInvalidArgument, "line 1, column 8: unterminated quoted"},
      {"SELECT /* open", Code::kInvalidArgument, "unterminated /* comment"},
      {"SELECT (1", Code::kInvalidArgument, "syntax error at end of input"},
      {"SELECT 1 FROM", Code::kInvalidArgument, "syntax error at end of input"},
      {"SELECT nosuch(1)", Code::kInvalidArgument, "line 1, column 8: "},
      {"SELECT CAST('x' AS INTEGER)", Code::kInvalidArgument, "Could not convert string"},
      {"SELECT * FROM emty", Code::kNotFound, "line 1, column 15: no such table: emty"},
      {"SELECT * FROM secret", Code::kPermissionDenied, "line 1, column 15: the data product"},
      {"SELECT $1", Code::kInvalidArgument, "a parameter"},
      {"SELECT ?", Code::kInvalidArgument, "a parameter"},
      {"SELECT 1; SELECT 2", Code::kInvalidArgument, "2 statements"},
      {"SELECT \x01", Code::kInvalidArgument, "line 1, column 8: the character U+0001"},
      {"SELECT '\xff'", Code::kInvalidArgument, "line 1, column 9: the text is not UTF-8"},
      {"SELECT '\xed\xa0\x80'", Code::kInvalidArgument, "not UTF-8"},
  };
  for (const Case& c : cases) {
    const Said said = Ask(c.sql);
    EXPECT_EQ(said.error.code, c.code) << c.sql << ": " << said.error.ToString() << said.text;
    EXPECT_NE(said.error.message.find(c.says), std::string::npos)
        << c.sql << ": " << said.error.message;
    EXPECT_EQ(said.error.pointer, "/sql") << c.sql;
  }
  const Said zero = Ask(std::string("SELECT 1\0, 2", 12));
  EXPECT_NE(zero.error.message.find("U+0000"), std::string::npos) << zero.error.ToString();
  EXPECT_NE(Ask(std::string(kSqlBytesMax + 1, ' ')).error.message.find("bytes"), std::string::npos);
}

TEST_F(SqlRunnerTest, RefusesWhatReachesOutside) {
  const std::string foreign = folder_ / "foreign.csv";
  ASSERT_TRUE(WriteFileAtomically(foreign, "a,b\n1,2\n"));
  const std::string attacks[] = {
      "SELECT * FROM read_csv('/etc/passwd')",
      "SELECT * FROM \"READ_CSV\"('/etc/passwd')",
      "SELECT * FROM read_/**/csv('/etc/passwd')",
      "SELECT * FROM '/etc/passwd'",
      "SELECT * FROM '" + foreign + "'",
      "SELECT * FROM \"" + foreign + "\"",
      "WITH \"" + foreign + "\" AS (SELECT 1) SELECT * FROM \"" + foreign + "\"",
      "SELECT * FROM read_parquet('" + file_ + "')",
      "SELECT * FROM read_text('/etc/passwd')",
      "SELECT * FROM read_blob('/etc/passwd')",
      "SELECT * FROM glob('/etc/*')",
      "SELECT * FROM parquet_metadata('" + file_ + "')",
      "SELECT * FROM query('SELECT 1')",
      "SELECT * FROM query_table('empty')",
      "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
      "SELECT json_serialize_sql('SELECT 1')",
      "SELECT * FROM arrow_scan(1::POINTER, 1::POINTER, 1::POINTER)",
      "SELECT * FROM seq_scan()",
      "SELECT * FROM duckdb_settings()",
      "SELECT * FROM duckdb_views",
      "SELECT * FROM information_schema.tables",
      "SELECT * FROM pg_catalog.pg_class",
      "SELECT * FROM sqlite_master",
      "SELECT * FROM system.main.duckdb_views",
      "SELECT * FROM pragma_version()",
      "SELECT getenv('HOME')",
      "SELECT current_setting('allowed_paths')",
      "SELECT getvariable('x')",
      "SELECT write_log('x')",
      "SELECT penstock_private('a', 1)",
      "SELECT nextval('x')",
      "SELECT * FROM which_secret('s3://x', 's3')",
      "SELECT [getenv(x) FOR x IN ['HOME']]",
      "SELECT list_transform(['HOME'], lambda x: getenv(x))",
      "SELECT sum(1) FILTER (WHERE getenv('HOME') = 'x')",
      "SELECT 1 ORDER BY getenv('HOME')",
      "SELECT (SELECT (SELECT max(a) FROM read_csv('/etc/passwd') AS t(a)))",
      "SELECT * FROM empty WHERE EXISTS (FROM read_csv('/etc/passwd'))",
      "SELECT 1 UNION ALL SELECT content FROM read_text('/etc/passwd')",
      "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x",
      "SELECT 'x'.getenv()",
      "COPY empty TO '/tmp/x.csv'",
      "COPY (SELECT 1) TO '/tmp/x.csv'",
      "ATTACH '/tmp/x.db'",
      "INSTALL httpfs",
      "LOAD httpfs",
      "PRAGMA database_list",
      "SET memory_limit = '1TB'",
      "RESET memory_limit",
      "CREATE TABLE t (a INTEGER)",
      "CREATE MACRO m() AS 1",
      "DROP VIEW empty",
      "INSERT INTO empty VALUES (1)",
      "UPDATE empty SET value = 1",
      "DELETE FROM empty",
      "CALL pragma_version()",
      "EXPORT DATABASE '/tmp/x'",
      "CHECKPOINT",
      "BEGIN",
      "EXPLAIN ANALYZE SELECT 1",
      "PREPARE p AS SELECT 1",
      "EXECUTE p",
      "USE memory",
      "SHOW DATABASES",
      "SHOW ALL TABLES",
      "VACUUM",
      "SELECT 1; DROP VIEW empty",
      "SELECT 1 /* ; */ ; COPY empty TO '/tmp/x.csv'",
  };
  for (const std::string& sql : attacks) {
    const Said said = Ask(sql);
    EXPECT_NE(said.error.code, Code::kOk) << sql << " answered " << said.text.substr(0, 300);
    EXPECT_TRUE(said.error.code == Code::kInvalidArgument || said.error.code == Code::kNotFound ||
                said.error.code == Code::kPermissionDenied)
        << sql << ": " << said.error.ToString();
    EXPECT_TRUE(said.text.empty()) << sql;
  }
  EXPECT_FALSE(std::filesystem::exists("/tmp/x.csv"));
}

TEST_F(SqlRunnerTest, DuckDbsOwnDoorsAreShutToo) {
  // The guard looks away, as if it had a hole: what is behind it must hold by itself.
  job_.trusted = true;
  const std::string foreign = folder_ / "foreign.parquet";
  std::filesystem::copy_file(file_, foreign);
  for (const std::string& sql :
       {std::string("SELECT * FROM read_csv('/etc/passwd')"),
        "SELECT * FROM read_parquet('" + foreign + "')", std::string("SELECT * FROM '/etc/passwd'"),
        std::string("SELECT * FROM glob('/etc/*')"),
        std::string("SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')")}) {
    const Said said = Ask(sql);
    EXPECT_NE(said.error.code, Code::kOk) << sql << said.text.substr(0, 200);
  }
  EXPECT_NE(Ask("COPY (SELECT 1) TO '/tmp/penstock-x.csv'").error.code, Code::kOk);
  EXPECT_EQ(Asked("SELECT count(*) FROM read_parquet('" + file_ + "')")["rows"], Json({{10}}));
}

TEST_F(SqlRunnerTest, EndsAtItsWalls) {
  const Case bombs[] = {
      {"SELECT count(*) FROM range(100000000000) a, range(100000) b", Code::kDeadlineExceeded, ""},
      {"WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t) SELECT count(*) FROM t",
       Code::kDeadlineExceeded, ""},
      {"WITH RECURSIVE t AS (SELECT 'x' AS a UNION ALL SELECT a || a FROM t) SELECT "
       "max(length(a)) FROM t",
       Code::kResourceExhausted, "memory"},
      {"SELECT list(range) FROM range(100000000)", Code::kResourceExhausted, "memory"},
      {"SELECT a.range FROM range(200000) a, range(200000) b ORDER BY hash(a.range + b.range)",
       Code::kResourceExhausted, "memory"},
      {"SELECT length(repeat('x', 1500000000))", Code::kPermissionDenied, "column 15"},
      {"SELECT printf('%1000000000d', 1)", Code::kPermissionDenied, "printf"},
      {"SELECT len(range(1000000000))", Code::kPermissionDenied, "range"},
      {"SELECT sleep_ms(100000)", Code::kPermissionDenied, "sleep_ms"},
  };
  for (const Case& bomb : bombs) {
    const Said said = Ask(bomb.sql, std::chrono::milliseconds(1000));
    EXPECT_EQ(said.error.code, bomb.code) << bomb.sql << ": " << said.error.ToString();
    EXPECT_NE(said.error.message.find(bomb.says), std::string::npos) << said.error.ToString();
  }
  // Doubling a text 34 times by nesting: each step is harmless to the guard.
  std::string inner = "SELECT 'xxxxxxxxxxxxxxxx' || getpoint AS a FROM (SELECT 'x' AS getpoint)";
  for (int i = 0; i < 34; ++i) inner = "SELECT a || a AS a FROM (" + inner + ")";
  const Said doubled = Ask("SELECT length(a) FROM (" + inner + ")", std::chrono::seconds(5));
  EXPECT_TRUE(doubled.error.code == Code::kResourceExhausted ||
              doubled.error.code == Code::kDeadlineExceeded ||
              doubled.error.code == Code::kInvalidArgument)
      << doubled.error.ToString() << doubled.text;
  for (const std::string& deep :
       {"SELECT " + std::string(20000, '(') + "1" + std::string(20000, ')'),
        "SELECT " + std::string(30000, '~') + "1"})
    EXPECT_EQ(Ask(deep).error.code, Code::kInvalidArgument);
  EXPECT_EQ(Asked("SELECT 42")["rows"], Json({{42}}));
}

TEST_F(SqlRunnerTest, LetsNoMoreInThanItHasPlaces) {
  SqlRunner runner({.at_a_time = 1, .patience = std::chrono::milliseconds(20)});
  job_.sql = "SELECT count(*) FROM range(100000000000)";
  auto first = runner.Ask(job_, std::chrono::seconds(60));
  ASSERT_TRUE(first);
  EXPECT_EQ(runner.Ask(job_, std::chrono::seconds(60)).error().code, Code::kResourceExhausted);
  first->reset();  // Nobody waits for it any more: it is killed, its place is free.
  job_.sql = "SELECT 1";
  EXPECT_EQ(Read(runner.Ask(job_, std::chrono::seconds(10))).error.code, Code::kOk);
}

TEST_F(SqlRunnerTest, SaysThatTheProgramIsNotThere) {
  SqlRunner runner({.worker = {folder_ / "nothing", "sql-worker"}});
  EXPECT_EQ(runner.Ask(job_, std::chrono::seconds(1)).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace penstock::storage
