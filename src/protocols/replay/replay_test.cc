#include "protocols/replay/replay.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <sstream>

#include "protocols/replay/csv_thing.h"
#include "things/reader.h"

namespace penstock::protocols {
namespace {

class Kept final : public telemetry::QuarantineSink {
 public:
  void Put(telemetry::QuarantineEntry entry) override { entries.push_back(std::move(entry)); }
  std::vector<telemetry::QuarantineEntry> entries;
};

things::Thing Pump(const std::vector<std::string>& properties) {
  things::Thing thing;
  thing.name = "pump-7";
  for (const std::string& name : properties) {
    things::Property property;
    property.point.id = PointId{static_cast<uint32_t>(thing.properties.size())};
    property.point.thing = "pump-7";
    property.point.property = name;
    thing.properties.push_back(property);
  }
  return thing;
}

Result<std::unique_ptr<CsvReplay>> Replay(const std::string& text, const things::Thing& thing,
                                          const ReplayOptions& options = {},
                                          telemetry::QuarantineSink* sink = nullptr) {
  return CsvReplay::FromStream(std::make_unique<std::istringstream>(text), "plant.csv", thing,
                               options, sink);
}

Time TimeOf(const std::string& text) { return ParseTime(text).value(); }

TEST(ReplayTest, RowsBecomeBatches) {
  auto replay =
      Replay("datetime;flow;pressure\n2020-02-08 13:30:47;1.5;2\n2020-02-08 13:30:48;1.6;\n",
             Pump({"flow", "pressure"}));
  ASSERT_TRUE(replay.has_value()) << replay.error().ToString();
  const ReplayBlock block = (*replay)->Next();
  EXPECT_EQ(block.batch.value, (std::vector<double>{1.5, 2, 1.6}));
  EXPECT_EQ(block.batch.point, (std::vector<PointId>{{0}, {1}, {0}}));
  EXPECT_EQ(block.batch.source_time[0], TimeOf("2020-02-08T13:30:47Z"));
  EXPECT_TRUE((*replay)->Next().empty());
  EXPECT_EQ((*replay)->report().rows, 2U);
  EXPECT_EQ((*replay)->report().missing, 1U);
  EXPECT_EQ((*replay)->report().last, TimeOf("2020-02-08T13:30:48Z"));
}

TEST(ReplayTest, LabelsComeBesideTheSamples) {
  auto replay = Replay("time,flow,anomaly\n1700000000,1,0\n1700000001,2,1.0\n1700000002,3,?\n",
                       Pump({"flow"}), {.exclude = {"anomaly"}});
  ASSERT_TRUE(replay.has_value()) << replay.error().ToString();
  const ReplayBlock block = (*replay)->Next();
  EXPECT_EQ(block.batch.size(), 3U);
  ASSERT_EQ(block.labels.size(), 1U);
  EXPECT_EQ(block.labels[0][1], 1);
  EXPECT_TRUE(std::isnan(block.labels[0][2]));
  EXPECT_EQ(block.rows[2], TimeOf("2023-11-14T22:13:22Z"));
}

TEST(ReplayTest, MissingColumnsAreNamedWithTheNearest) {
  const auto replay = Replay("time,presure,flow\n", Pump({"pressure", "flow", "speed"}));
  ASSERT_FALSE(replay.has_value());
  EXPECT_EQ(replay.error().message,
            "columns missing: \"pressure\" (pump-7/pressure; nearest: \"presure\"), \"speed\" "
            "(pump-7/speed)");
  EXPECT_EQ(replay.error().where, "plant.csv");
  EXPECT_EQ(replay.error().fix, "rename the column, or set ps:column in the Thing Description");
  EXPECT_EQ(Replay("time,flow\n", Pump({"flow"}), {.exclude = {"label"}}).error().message,
            "column missing: \"label\" (to be excluded)");
}

TEST(ReplayTest, TheTimeColumnIsFoundOrNamed) {
  EXPECT_EQ((*Replay("flow,Timestamp\n", Pump({"flow"})))->time_column(), "Timestamp");
  EXPECT_EQ((*Replay("flow,when\n", Pump({"flow"}), {.time_column = "when"}))->time_column(),
            "when");
  EXPECT_EQ(Replay("flow,when\n", Pump({"flow"})).error().message,
            "no time column: none of datetime, time, timestamp, date, ts");
  EXPECT_EQ(Replay("flow,when\n", Pump({"flow"}), {.time_column = "wen"}).error().fix,
            "the nearest column is \"when\"");
}

TEST(ReplayTest, TornRowsAreCountedByTheirLines) {
  Kept kept;
  auto replay =
      Replay("time,flow\n1,1\n2\n3,3,3\nsoon,4\n\n5,\"5\n6,6\n", Pump({"flow"}), {}, &kept);
  const ReplayBlock block = (*replay)->Next();
  EXPECT_EQ(block.batch.value, (std::vector<double>{1, 6}));
  EXPECT_EQ((*replay)->report().torn_rows, 4U);
  EXPECT_EQ((*replay)->report().torn_lines, (std::vector<size_t>{3, 4, 5, 7}));
  ASSERT_EQ(kept.entries.size(), 4U);
  EXPECT_EQ(kept.entries[0].rule, "torn_row");
  EXPECT_EQ(kept.entries[0].message, "line 3: 1 cells, the header has 2");
}

TEST(ReplayTest, CellsThatAreNoNumbersGoToQuarantine) {
  Kept kept;
  things::Thing pump = Pump({"flow", "running", "count"});
  pump.properties[1].point.type = things::ValueType::kBoolean;
  pump.properties[2].point.type = things::ValueType::kInteger;
  auto replay =
      Replay("time,flow,running,count\n1,high,true,1\n2,NaN,2,1.5\n3,inf,0,3\n", pump, {}, &kept);
  const ReplayBlock block = (*replay)->Next();
  EXPECT_EQ(block.batch.value, (std::vector<double>{1, 1, 0, 3}));
  EXPECT_EQ((*replay)->report().refused, 4U);
  ASSERT_EQ(kept.entries.size(), 4U);
  EXPECT_EQ(kept.entries[0].point, "pump-7/flow");
  EXPECT_EQ(kept.entries[0].message, "line 2: no number: \"high\"");
  EXPECT_EQ(kept.entries[2].message,
            "line 3: 1.5 where pump-7/count is a whole number between -2^53 and 2^53");
}

TEST(ReplayTest, RowsComeOutInTheOrderOfTime) {
  std::string text = "ts,flow\n";
  for (const int second : {1, 3, 2, 5, 4, 6, 1, 8, 7})
    text += fmt::format("{},{}\n", second, second);
  auto replay = Replay(text, Pump({"flow"}), {.block_rows = 2});
  std::vector<double> values;
  for (ReplayBlock block = (*replay)->Next(); !block.empty(); block = (*replay)->Next())
    values.insert(values.end(), block.batch.value.begin(), block.batch.value.end());
  EXPECT_EQ(values, (std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ((*replay)->report().late_rows, 1U);
}

TEST(ReplayTest, DecimalCommasOnlyWhereCommasDoNotSeparate) {
  auto replay = Replay("time;flow\n1;2,5\n", Pump({"flow"}));
  EXPECT_EQ((*replay)->Next().batch.value, std::vector<double>{2.5});
}

TEST(ReplayTest, QuotesAndByteOrderMarksAreUnderstood) {
  auto replay = Replay("\xEF\xBB\xBF\"time\",\"flow, \"\"net\"\"\"\r\n\"1\",\"2.5\"\r\n", [] {
    things::Thing pump = Pump({"flow"});
    pump.properties[0].column = "flow, \"net\"";
    return pump;
  }());
  ASSERT_TRUE(replay.has_value()) << replay.error().ToString();
  EXPECT_EQ((*replay)->Next().batch.value, std::vector<double>{2.5});
}

TEST(ReplayTest, EmptyAndHeaderlessFilesAreErrors) {
  EXPECT_EQ(Replay("", Pump({"flow"})).error().message, "no header in the first line");
  EXPECT_EQ(Replay("time,flow,flow\n", Pump({"flow"})).error().message,
            "column given twice: \"flow\"");
  EXPECT_EQ(CsvReplay::Open("/nowhere/x.csv", Pump({"flow"})).error().code, Code::kNotFound);
}

TEST(ReplayTest, ALineWithoutEndIsTornNotKept) {
  std::string text = "time,flow\n1,";
  text.append(3 << 20, '1');
  text += "\n2,2\n";
  auto replay = Replay(text, Pump({"flow"}));
  EXPECT_EQ((*replay)->Next().batch.value, std::vector<double>{2});
  EXPECT_EQ((*replay)->report().torn_lines, std::vector<size_t>{2});
}

TEST(CellTimeTest, KnowsTheFormatsOfFiles) {
  const Time expected = TimeOf("2020-02-08T13:30:47.5Z");
  for (const char* text : {"2020-02-08 13:30:47.5", "2020-02-08T13:30:47.500Z",
                           "2020-02-08T14:30:47.5+01:00", "1581168647.5", "1581168647500",
                           "1581168647500000", "1581168647500000000", " 2020-02-08 13:30:47.5 "})
    EXPECT_EQ(ParseCellTime(text).value_or(Time()), expected) << text;
  EXPECT_EQ(ParseCellTime("2020-02-08").value(), TimeOf("2020-02-08T00:00:00Z"));
  EXPECT_EQ(ParseCellTime("2020-02-08 13:30").value(), TimeOf("2020-02-08T13:30:00Z"));
  for (const char* text :
       {"", "soon", "-5", "2020-13-01 00:00:00", "1e10", "99999999999999999999", "08.02.2020"})
    EXPECT_FALSE(ParseCellTime(text).has_value()) << text;
}

TEST(CsvThingTest, ADescriptionIsMadeFromTheHeader) {
  EXPECT_EQ(PropertyNameOf("Volume Flow RateRMS"), "volume_flow_rate_rms");
  EXPECT_EQ(PropertyNameOf("Accelerometer1RMS"), "accelerometer1_rms");
  EXPECT_EQ(PropertyNameOf("PT08.S1(CO)"), "pt08_s1_co");
  const auto td = ThingDescriptionForCsv({"datetime", "Volume Flow RateRMS", "anomaly"},
                                         {.name = "skab", .exclude = {"anomaly"}});
  ASSERT_TRUE(td.has_value()) << td.error().ToString();
  const auto read = things::ReadThingDescription(*td, "skab.td.json");
  for (const auto& finding : read.findings)
    ADD_FAILURE() << things::FormatFinding(finding) << td->dump(1);
  ASSERT_TRUE(read.thing.has_value());
  EXPECT_EQ(read.thing->properties.at(0).column, "Volume Flow RateRMS");
  EXPECT_FALSE(ThingDescriptionForCsv({"datetime"}, {}).has_value());
  EXPECT_FALSE(ThingDescriptionForCsv({"ts", "a b", "a.b"}, {}).has_value());
}

// A public recording of a pump rig, where a copy of it lies beside the source tree.
TEST(CsvThingTest, ReplaysTheSkabRecordings) {
  const std::string path =
      std::string(PENSTOCK_SOURCE_DIR) + "/../shared/data/skab/data/valve1/0.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const auto header = CsvHeader(path);
  ASSERT_TRUE(header.has_value());
  const auto td =
      ThingDescriptionForCsv(*header, {.name = "skab", .exclude = {"anomaly", "changepoint"}});
  things::ReadThing read = things::ReadThingDescription(*td, "");
  ASSERT_TRUE(read.thing.has_value());
  uint32_t next = 0;
  for (things::Property& property : read.thing->properties) property.point.id = PointId{next++};
  auto replay = CsvReplay::Open(path, *read.thing, {.exclude = {"anomaly", "changepoint"}});
  ASSERT_TRUE(replay.has_value()) << replay.error().ToString();
  double anomalies = 0;
  for (ReplayBlock block = (*replay)->Next(); !block.empty(); block = (*replay)->Next())
    for (const double label : block.labels[0]) anomalies += label;
  const ReplayReport& report = (*replay)->report();
  EXPECT_EQ(report.rows, 1147U);
  EXPECT_EQ(report.samples, 8 * report.rows);
  EXPECT_EQ(report.torn_rows + report.refused + report.late_rows, 0U);
  EXPECT_GT(anomalies, 100);
}

TEST(ReplayTest, TextsAreReadAsTheyStand) {
  class TextKeeper final : public telemetry::SampleSink {
   public:
    void Write(telemetry::Batch, std::function<void(const Status&)>) override {}
    Result<double> Intern(PointId, std::string_view text) override {
      if (text.size() > 10) return InvalidArgument("a long text");
      texts.emplace_back(text);
      return static_cast<double>(texts.size());
    }
    std::vector<std::string> texts;
  } keeper;
  Kept kept;
  auto thing = Pump({"state", "flow"});
  thing.properties[0].point.type = things::ValueType::kString;
  auto replay = Replay(
      "time;state;flow\n1700000000;\"Pause; \"\"x\"\"\";1\n1700000001;;2\n"
      "1700000002;far too long;3\n",
      thing, {.texts = &keeper}, &kept);
  ASSERT_TRUE(replay.has_value()) << replay.error().ToString();
  EXPECT_EQ((*replay)->Next().batch.value, (std::vector<double>{1, 1, 2, 3}));
  EXPECT_EQ(keeper.texts, std::vector<std::string>{"Pause; \"x\""});
  EXPECT_EQ((*replay)->report().missing, 1U);
  ASSERT_EQ(kept.entries.size(), 1U);
  EXPECT_EQ(kept.entries[0].rule, "text");
}

}  // namespace
}  // namespace penstock::protocols
