#include "protocols/line_protocol/line_protocol.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace penstock::protocols {
namespace {

using things::ValueType;

// pump-7 with flow (number), count (integer), running (boolean), note (string); and the odd thing
// "a b".
class LineProtocolTest : public testing::Test {
 protected:
  LineProtocolTest() {
    Add("pump-7", {{"flow", ValueType::kNumber},
                   {"count", ValueType::kInteger},
                   {"running", ValueType::kBoolean},
                   {"note", ValueType::kString},
                   {"wave", ValueType::kWaveform}});
    Add("a b", {{"f,1", ValueType::kNumber}});
    for (things::Thing& thing : snapshot_.things)
      for (things::Property& property : thing.properties) {
        property.point.id = PointId{static_cast<uint32_t>(snapshot_.by_id.size())};
        snapshot_.by_path[property.point.path()] = property.point.id;
        snapshot_.by_id.push_back(&property);
      }
    snapshot_.revision = 1;
  }

  void Add(const std::string& name, std::vector<std::pair<std::string, ValueType>> properties) {
    things::Thing thing;
    thing.name = name;
    for (const auto& [key, type] : properties) {
      things::Property property;
      property.point.thing = name;
      property.point.property = key;
      property.point.type = type;
      thing.properties.push_back(property);
    }
    snapshot_.things.insert(
        std::upper_bound(snapshot_.things.begin(), snapshot_.things.end(), thing,
                         [](const auto& a, const auto& b) { return a.name < b.name; }),
        thing);
  }

  LineResult Parse(std::string_view body, Precision precision = Precision::kNanoseconds) {
    return parser_.Parse(body, precision, snapshot_, ingest_);
  }
  PointId Id(const std::string& path) { return snapshot_.by_path.at(path); }

  // "line:column rule message" of the only error.
  std::string Error(std::string_view body, Precision precision = Precision::kNanoseconds) {
    const LineResult result = Parse(body, precision);
    if (result.errors.size() != 1) return fmt::format("{} errors", result.errors.size());
    const LineError& e = result.errors[0];
    return fmt::format("{}:{} {} {}", e.line, e.column, e.rule, e.message);
  }

  things::Snapshot snapshot_;
  LineParser parser_;
  const Time ingest_ = FromMicros(1'700'000'000'000'000);
};

TEST_F(LineProtocolTest, AFieldBecomesASample) {
  const LineResult result = Parse("pump-7 flow=12.5,count=3i,running=t 1700000001000000000\n");
  EXPECT_EQ(result.lines, 1U);
  EXPECT_EQ(result.good, 1U);
  EXPECT_TRUE(result.errors.empty());
  ASSERT_EQ(result.batch.size(), 3U);
  EXPECT_EQ(result.batch.point,
            (std::vector<PointId>{Id("pump-7/flow"), Id("pump-7/count"), Id("pump-7/running")}));
  EXPECT_EQ(result.batch.value, (std::vector<double>{12.5, 3, 1}));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(result.batch.source_time[i], FromMicros(1'700'000'001'000'000));
    EXPECT_EQ(result.batch.ingest_time[i], ingest_);
    EXPECT_EQ(result.batch.quality[i], telemetry::kGood);
  }
}

TEST_F(LineProtocolTest, TheTagThingWinsOverTheMeasurement) {
  const LineResult result = Parse("pumps,area=north,thing=pump-7 flow=1\npump-7,area=north flow=2");
  EXPECT_EQ(result.batch.point, (std::vector<PointId>{Id("pump-7/flow"), Id("pump-7/flow")}));
}

TEST_F(LineProtocolTest, EscapesAreOfTheName) {
  const LineResult result = Parse("a\\ b f\\,1=7\nx,thing=a\\ b f\\,1=8\na\\ b f\\,1=9\n");
  EXPECT_EQ(result.batch.value, (std::vector<double>{7, 8, 9}));
  EXPECT_EQ(result.good, 3U);
}

TEST_F(LineProtocolTest, EveryPrecisionMeansTheSameInstant) {
  const Time expected = FromMicros(1'700'000'001'000'000);
  for (const auto& [stamp, precision] : std::vector<std::pair<std::string, Precision>>{
           {"1700000001000000000", Precision::kNanoseconds},
           {"1700000001000000", Precision::kMicroseconds},
           {"1700000001000", Precision::kMilliseconds},
           {"1700000001", Precision::kSeconds}})
    EXPECT_EQ(Parse("pump-7 flow=1 " + stamp, precision).batch.source_time.at(0), expected)
        << stamp;
  EXPECT_EQ(Parse("pump-7 flow=1").batch.source_time.at(0), ingest_);
  EXPECT_EQ(Error("pump-7 flow=1 1700000001000000000", Precision::kSeconds),
            "1:15 time timestamp 1700000001000000000 is not of 1970..2261 in this precision: set "
            "?precision= to ns, us, ms or s");
  EXPECT_EQ(Parse("pump-7 flow=1 -1").errors.at(0).rule, "time");
  EXPECT_EQ(Parse("pump-7 flow=1 99999999999999999999").errors.at(0).rule, "time");
}

TEST_F(LineProtocolTest, NumbersAreReadExactly) {
  for (const char* text :
       {"0", "-0", "1", "-1.5", "+2", ".5", "5.", "1e3", "1E-3", "0.1", "123456789.123456789",
        "9007199254740993", "1.7976931348623157e308", "4.9e-324", "0.30000000000000004",
        "123456789012345678901234567890", "0.000000000000000000000001", "1e22", "1.2345e+10"}) {
    const LineResult result = Parse(std::string("pump-7 flow=") + text);
    ASSERT_EQ(result.batch.size(), 1U) << text;
    EXPECT_EQ(result.batch.value[0], std::strtod(text, nullptr)) << text;
  }
}

TEST_F(LineProtocolTest, RandomNumbersAreReadAsStrtodReadsThem) {
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = fmt::format(
        "{:.{}f}", random.Normal() * std::pow(10, random.Uniform(-9, 12)), random.Below(15));
    const LineResult result = Parse("pump-7 flow=" + text);
    ASSERT_EQ(result.batch.size(), 1U) << text;
    ASSERT_EQ(result.batch.value[0], std::strtod(text.c_str(), nullptr)) << text;
  }
}

TEST_F(LineProtocolTest, WholeNumbersKnowTheirRange) {
  EXPECT_EQ(Parse("pump-7 flow=9223372036854775807i").batch.value.at(0), 9223372036854775807.0);
  EXPECT_EQ(Parse("pump-7 flow=-9223372036854775808i").batch.value.at(0), -9223372036854775808.0);
  EXPECT_EQ(Parse("pump-7 flow=18446744073709551615u").batch.value.at(0), 18446744073709551615.0);
  for (const char* text : {"9223372036854775808i", "-9223372036854775809i", "18446744073709551616u",
                           "-1u", "1ii", "i"})
    EXPECT_EQ(Parse(std::string("pump-7 flow=") + text).good, 0U) << text;
}

TEST_F(LineProtocolTest, TypesMustFit) {
  EXPECT_EQ(Error("pump-7 flow=t"), "1:13 type a boolean where pump-7/flow is a number");
  EXPECT_EQ(Error("pump-7 count=1.5"),
            "1:14 type a number where pump-7/count is a whole number between -2^53 and 2^53");
  EXPECT_EQ(Error("pump-7 running=2"), "1:16 type a number where pump-7/running is a boolean");
  EXPECT_EQ(Error("pump-7 flow=\"high\""), "1:13 type a text where pump-7/flow is a number");
  EXPECT_EQ(Error("pump-7 wave=1"), "1:13 type a number where pump-7/wave is a waveform");
  EXPECT_EQ(Error("pump-7 flow=1e999"), "1:13 not_finite number too large for a double");
  EXPECT_EQ(Parse("pump-7 flow=1e-999").batch.value.at(0), 0);
  EXPECT_EQ(Parse("pump-7 count=3,running=0i,flow=2i").good, 1U);
}

TEST_F(LineProtocolTest, UnknownPointsAreRefusedByNameAndTheRestIsKept) {
  EXPECT_EQ(Error("pump-9 flow=1"),
            "1:8 unknown_point no thing \"pump-9\": add its Thing Description, or name it in the "
            "tag \"thing\"");
  const LineResult result = Parse("pump-7 flow=1,speed=2,count=3i\npump-7 flow=4\n");
  EXPECT_EQ(result.batch.value, (std::vector<double>{1, 3, 4}));
  EXPECT_EQ(result.lines, 2U);
  EXPECT_EQ(result.good, 1U);
  ASSERT_EQ(result.errors.size(), 1U);
  EXPECT_EQ(result.errors[0].point, "pump-7/speed");
  EXPECT_EQ(result.errors[0].column, 15U);
  EXPECT_EQ(result.errors[0].message,
            "thing pump-7 has no property \"speed\": add it to its Thing Description");
}

TEST_F(LineProtocolTest, ATornLineIsLeftOutWhole) {
  const LineResult result = Parse("pump-7 flow=1\npump-7 flow=2,count\npump-7 flow=3\n");
  EXPECT_EQ(result.batch.value, (std::vector<double>{1, 3}));
  EXPECT_EQ(result.good, 2U);
  ASSERT_EQ(result.errors.size(), 1U);
  EXPECT_EQ(result.errors[0].line, 2U);
  EXPECT_EQ(result.errors[0].column, 15U);
  EXPECT_EQ(result.errors[0].text, "pump-7 flow=2,count");
}

TEST_F(LineProtocolTest, SaysWhatIsTorn) {
  const auto is = [&](const char* body, const char* expected) {
    EXPECT_EQ(Error(body), expected) << body;
  };
  is("pump-7", "1:7 syntax no fields: measurement,tag=value field=value timestamp");
  is(",a=b flow=1", "1:1 syntax measurement missing");
  is("pump-7,a flow=1", "1:8 syntax tag without \"=\": tag=value");
  is("pump-7,=b flow=1", "1:8 syntax tag without a name: tag=value");
  is("pump-7,a= flow=1", "1:10 syntax tag without a value: tag=value");
  is("pump-7,a=b=c flow=1", "1:11 syntax second \"=\" in a tag: write \\=");
  is("pump-7 flow", "1:8 syntax field without \"=\": field=value");
  is("pump-7 =1", "1:8 syntax field without a name: field=value");
  is("pump-7 flow=", "1:13 syntax value missing: field=value");
  is("pump-7 flow=1,", "1:15 syntax field without \"=\": field=value");
  is("pump-7 flow=high", "1:13 syntax no value: \"high\" (numbers, 12i, t, f or \"text\")");
  is("pump-7 flow=1.2.3", "1:13 syntax no number: \"1.2.3\"");
  is("pump-7 flow=-", "1:13 syntax no number");
  is("pump-7 flow=1 soon", "1:15 syntax no timestamp: \"soon\"");
  is("pump-7 flow=1 1 2", "1:15 syntax no timestamp: \"1 2\"");
  is("pump-7 note=\"a", "1:13 syntax text without its closing quote (texts of at most 64 KiB)");
  is("pump-7 flow=1i5", "1:15 syntax text behind a whole number");
  is("pump-7 running=t\t1", "1:16 syntax no value: \"t\t1\" (numbers, 12i, t, f or \"text\")");
  EXPECT_EQ(Parse("pump-7 note=\"a\"b").errors.back().message, "unexpected \"b\" behind a value");
}

// Whatever is wrong with a line, the lines around it are stored, and the error names the right one.
TEST_F(LineProtocolTest, EveryMistakeLeavesTheGoodLinesBesideIt) {
  const std::pair<std::string, std::string> kMistakes[] = {
      {"pump-7", "syntax"},
      {",a=b flow=1", "syntax"},
      {"pump-7,a flow=1", "syntax"},
      {"pump-7,=b flow=1", "syntax"},
      {"pump-7,a= flow=1", "syntax"},
      {"pump-7,a=b=c flow=1", "syntax"},
      {"pump-7 flow", "syntax"},
      {"pump-7 =1", "syntax"},
      {"pump-7 flow=", "syntax"},
      {"pump-7 flow=1,", "syntax"},
      {"pump-7 flow=high", "syntax"},
      {"pump-7 flow=1.2.3", "syntax"},
      {"pump-7 flow=0x10", "syntax"},
      {"pump-7 flow=-", "syntax"},
      {"pump-7 flow=1 soon", "syntax"},
      {"pump-7 flow=1 1 2", "syntax"},
      {"pump-7 flow=1i5", "syntax"},
      {"pump-7 flow=99999999999999999999i", "syntax"},
      {"pump-7 flow=-1u", "syntax"},
      {"pump-7 \xff\xfe\x80", "syntax"},
      {std::string("pump-7 fl\0w", 10), "syntax"},
      {"pump-7 flow=" + std::string((1 << 20) + 1, '1'), "syntax"},
      {"pump-7 flow=1e999", "not_finite"},
      {"pump-7 count=1.5", "type"},
      {"pump-7 running=2", "type"},
      {"pump-7 flow=t", "type"},
      {"pump-7 flow=\"text\"", "type"},
      {"pump-7 speed=1", "unknown_point"},
      {"pump-8 flow=1", "unknown_point"},
      {"pump-7 flow=1 -5", "time"},
      {"pump-7 flow=1 9300000000000000000", "time"},
  };
  for (const auto& [line, rule] : kMistakes) {
    const std::string shown = line.substr(0, 60);
    const LineResult result = Parse("pump-7 flow=1\n" + line + "\npump-7 flow=3\n");
    EXPECT_EQ(result.lines, 3U) << shown;
    EXPECT_EQ(result.good, 2U) << shown;
    ASSERT_EQ(result.error_count, 1U) << shown;
    EXPECT_EQ(result.errors[0].line, 2U) << shown;
    EXPECT_EQ(result.errors[0].rule, rule) << shown;
    EXPECT_FALSE(result.errors[0].message.empty()) << shown;
    EXPECT_LE(result.errors[0].text.size(), 200U) << shown;
    EXPECT_EQ(result.batch.value, (std::vector<double>{1, 3})) << shown;
  }
}

TEST_F(LineProtocolTest, CommentsBlankLinesAndCarriageReturnsAreNoLines) {
  const LineResult result =
      Parse("# a comment\r\n\r\n  \n  pump-7 flow=1 \r\npump-7 flow=2 1700000001000000000 \r\n");
  EXPECT_EQ(result.lines, 2U);
  EXPECT_EQ(result.good, 2U);
  EXPECT_EQ(result.batch.size(), 2U);
}

// What stands inside a text must never become a sample of its own.
TEST_F(LineProtocolTest, ALineEndInsideATextEndsNoLine) {
  const LineResult result =
      Parse("pump-7 note=\"one\npump-7 flow=666\n\\\" two\",flow=1\npump-7 flow=2,speed=3\n");
  EXPECT_EQ(result.batch.value, (std::vector<double>{1, 2}));
  EXPECT_EQ(result.lines, 2U);
  ASSERT_EQ(result.errors.size(), 2U);  // The text, and pump-7/speed.
  EXPECT_EQ(result.errors[1].line, 4U);
}

TEST_F(LineProtocolTest, OpenTextsDoNotCostMoreThanTheyWeigh) {
  std::string body;
  for (int i = 0; i < 200'000; ++i) body += "m f=\"\\\"\n";
  const LineResult result = Parse(body);
  EXPECT_EQ(result.lines, 100'000U);  // Each opening quote closes the text of the line before.
  EXPECT_EQ(result.errors.size(), LineResult::kMaxErrors);
  EXPECT_EQ(result.error_count, 200'000U);
}

TEST_F(LineProtocolTest, KnownSeriesInAnyOrderMeanTheSame) {
  const char* lines[] = {"pump-7 flow=1",
                         "pump-7,area=north flow=2,count=5i",
                         "pump-7,area=north count=6i,flow=3",
                         "x,thing=pump-7 flow=4",
                         "pump-7 flow=5",
                         "pump-7,area=northwest flow=6"};
  Random random(3);
  for (int round = 0; round < 200; ++round) {
    std::string body;
    std::vector<double> alone;
    for (int i = 0; i < 20; ++i) {
      const char* line = lines[random.Below(6)];
      body += std::string(line) + "\n";
      const LineResult fresh = ParseLines(line, Precision::kNanoseconds, snapshot_, ingest_);
      alone.insert(alone.end(), fresh.batch.value.begin(), fresh.batch.value.end());
    }
    ASSERT_EQ(Parse(body).batch.value, alone);
  }
}

// Series share the lists of their fields; what one adds or leaves out must not be another's.
TEST_F(LineProtocolTest, WhatASeriesHasForFieldsIsItsOwn) {
  constexpr int kThings = 12, kFields = 30;
  for (int t = 0; t < kThings; ++t) {
    std::vector<std::pair<std::string, ValueType>> properties;
    for (int f = 0; f < kFields; ++f)
      if ((t + f) % 5 != 0)
        properties.emplace_back(fmt::format("f{}", f),
                                t % 2 == 0 ? ValueType::kNumber : ValueType::kInteger);
    Add(fmt::format("unit-{:02}", t), properties);
  }
  snapshot_.by_id.clear();
  for (things::Thing& thing : snapshot_.things)
    for (things::Property& property : thing.properties) {
      property.point.id = PointId{static_cast<uint32_t>(snapshot_.by_id.size())};
      snapshot_.by_path[property.point.path()] = property.point.id;
      snapshot_.by_id.push_back(&property);
    }
  snapshot_.revision = 5;
  Random random(11);
  for (int round = 0; round < 400; ++round) {
    std::string line =
        fmt::format("m,thing=unit-{:02},n={} ", random.Below(kThings), random.Below(2));
    // Mostly the same beginning, sometimes turned round, often more than before.
    const size_t count = 1 + random.Below(round < 200 ? 8 : kFields);
    const bool turned = random.Below(4) == 0;
    for (size_t i = 0; i < count; ++i)
      line += fmt::format("{}f{}={}", i == 0 ? "" : ",", turned ? count - 1 - i : i,
                          random.Below(100) + (random.Below(50) == 0 ? 0.5 : 0));
    const LineResult fresh = ParseLines(line, Precision::kNanoseconds, snapshot_, ingest_);
    const LineResult known = Parse(line);
    ASSERT_EQ(known.batch.point, fresh.batch.point) << line;
    ASSERT_EQ(known.batch.value, fresh.batch.value) << line;
    ASSERT_EQ(known.error_count, fresh.error_count) << line;
    for (size_t i = 0; i < known.errors.size(); ++i)
      ASSERT_EQ(known.errors[i].message, fresh.errors[i].message) << line;
  }
}

TEST_F(LineProtocolTest, KnowsABodyByItsFirstSeries) {
  EXPECT_FALSE(parser_.KnowsFirstOf("pump-7,area=north flow=2"));
  Parse("pump-7,area=north flow=2");
  EXPECT_TRUE(parser_.KnowsFirstOf("pump-7,area=north flow=3\npump-8 flow=1"));
  EXPECT_FALSE(parser_.KnowsFirstOf("pump-7,area=north"));
  EXPECT_FALSE(parser_.KnowsFirstOf("pump-7 flow=2"));
  EXPECT_FALSE(parser_.KnowsFirstOf(""));
  EXPECT_EQ(parser_.series(), 1U);
}

TEST_F(LineProtocolTest, ForgetsWhenThePointsChange) {
  EXPECT_EQ(Parse("pump-9 flow=1").good, 0U);
  Add("pump-9", {{"flow", ValueType::kNumber}});
  things::Property& property = snapshot_.things.back().properties[0];
  property.point.id = PointId{77};
  snapshot_.by_id.resize(78);
  snapshot_.by_id[77] = &property;
  snapshot_.by_path["pump-9/flow"] = PointId{77};
  snapshot_.revision = 2;
  EXPECT_EQ(Parse("pump-9 flow=1").batch.point, std::vector<PointId>{PointId{77}});
}

TEST_F(LineProtocolTest, ManySeriesAreBounded) {
  std::string body;
  for (int i = 0; i < 120'000; ++i) body += fmt::format("pump-7,n={} flow={}\n", i, i);
  const LineResult result = Parse(body);
  EXPECT_EQ(result.good, 120'000U);
  EXPECT_EQ(result.batch.value[119'999], 119'999);
}

TEST(PrecisionTest, NamesAreThoseOfTheApi) {
  EXPECT_EQ(*ParsePrecision("ms"), Precision::kMilliseconds);
  EXPECT_EQ(*ParsePrecision(""), Precision::kNanoseconds);
  EXPECT_FALSE(ParsePrecision("h").has_value());
}

// Codes in the order of coming, from 1.
class TextSink final : public telemetry::SampleSink {
 public:
  void Write(telemetry::Batch, std::function<void(const Status&)>) override {}
  Result<double> Intern(PointId, std::string_view text) override {
    if (text == "too much") return ResourceExhausted("no room for this text");
    texts.emplace_back(text);
    return static_cast<double>(texts.size());
  }
  std::vector<std::string> texts;
};

TEST_F(LineProtocolTest, TextsAreSamplesOfPointsOfText) {
  TextSink sink;
  const auto result = parser_.Parse(
      "pump-7 note=\"a \\\"b\\\" c:\\\\d\\n, e=1\",flow=2 1700000000000000000\n"
      "pump-7 note=\"\",running=f\npump-7 note=\"two\nlines\"",
      Precision::kNanoseconds, snapshot_, ingest_, &sink);
  EXPECT_EQ(result.error_count, 0U) << (result.errors.empty() ? "" : result.errors[0].message);
  EXPECT_EQ(sink.texts, (std::vector<std::string>{"a \"b\" c:\\d\\n, e=1", "", "two\nlines"}));
  EXPECT_EQ(result.batch.value, (std::vector<double>{1, 2, 2, 0, 3}));
  EXPECT_EQ(result.batch.point[0], Id("pump-7/note"));
}

TEST_F(LineProtocolTest, ARefusedTextCostsItselfAlone) {
  TextSink sink;
  const auto result = parser_.Parse("pump-7 flow=1,note=\"too much\"\npump-7 note=5\n",
                                    Precision::kNanoseconds, snapshot_, ingest_, &sink);
  EXPECT_EQ(result.batch.value, std::vector<double>{1});
  ASSERT_EQ(result.errors.size(), 2U);
  EXPECT_EQ(result.errors[0].rule, "text_bound");
  EXPECT_EQ(result.errors[0].message, "no room for this text");
  EXPECT_EQ(result.errors[0].point, "pump-7/note");
  EXPECT_EQ(result.errors[1].message, "a number where pump-7/note is a text");
  EXPECT_EQ(Error("pump-7 flow=\"1\""), "1:13 type a text where pump-7/flow is a number");
}

TEST_F(LineProtocolTest, WholeNumbersAreExactOrRefused) {
  const auto good = Parse("pump-7 count=9007199254740991i\npump-7 count=-9007199254740991\n");
  EXPECT_EQ(good.batch.value, (std::vector<double>{9007199254740991, -9007199254740991}));
  for (const char* count : {"9007199254740992i", "-9007199254740992i", "9007199254740993", "1e300",
                            "18446744073709551615u", "2.5"})
    EXPECT_NE(Error(fmt::format("pump-7 count={}", count)).find("between -2^53 and 2^53"),
              std::string::npos)
        << count;
  EXPECT_EQ(Parse("pump-7 flow=9007199254740993i").batch.size(), 1U) << "a number may be rounded";
}

}  // namespace
}  // namespace penstock::protocols
