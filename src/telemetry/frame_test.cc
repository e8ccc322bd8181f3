#include "telemetry/frame.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "storage/temporary_folder.h"
#include "telemetry/texts.h"

namespace penstock::telemetry {
namespace {

const std::vector<std::string> kPaths = {"pump-7/flow", "pump-7/pressure", "", "mixer/speed"};

// Steps of one second, some points in turn.
Batch Regular(size_t rows, double (*value)(size_t)) {
  Batch batch;
  for (size_t i = 0; i < rows; ++i)
    batch.Add(PointId{static_cast<uint32_t>(i % 4)},
              FromMicros(1'700'000'000'000'000 + static_cast<int64_t>(i / 4) * 1'000'000),
              FromMicros(1'700'000'000'100'000), value(i),
              i % 50 == 0 ? kUncertainSubNormal : kGood);
  return batch;
}

void ExpectSame(const Batch& sent, size_t begin, size_t end, const Frame& got) {
  ASSERT_EQ(got.batch.size(), end - begin);
  for (size_t i = begin; i < end; ++i) {
    const size_t k = i - begin;
    const uint32_t id = sent.point[i].value;
    EXPECT_EQ(got.paths[got.batch.point[k].value],
              id == 2 ? "unknown/point-2" : std::string_view(kPaths[id]));
    EXPECT_EQ(got.batch.source_time[k], sent.source_time[i]);
    EXPECT_EQ(got.batch.ingest_time[k], sent.ingest_time[i]);
    EXPECT_EQ(got.batch.quality[k], sent.quality[i]);
    EXPECT_EQ(std::bit_cast<uint64_t>(got.batch.value[k]), std::bit_cast<uint64_t>(sent.value[i]))
        << i << ": " << got.batch.value[k] << " of " << sent.value[i];
  }
}

Bytes Encoded(const Batch& batch) {
  Bytes bytes;
  FrameEncoder().Encode(batch, 0, batch.size(), kPaths, {"edge-7", 42, 1000}, bytes);
  return bytes;
}

TEST(FrameTest, BringsBackWhatWasSent) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  Frame frame;
  double (*const kinds[])(size_t) = {
      [](size_t i) { return std::round(2000 * std::sin(0.01 * static_cast<double>(i))) / 100; },
      [](size_t i) { return std::sin(0.1 * static_cast<double>(i)); },
      [](size_t i) { return static_cast<double>(i % 2); },
      [](size_t i) { return i % 100 == 7 ? std::nan("") : 0.1 * static_cast<double>(i % 9); },
      [](size_t i) { return i % 100 == 7 ? -0.0 : 1e300 * static_cast<double>(i); },
      [](size_t i) {
        return i % 2 == 0 ? std::numeric_limits<double>::infinity() : 9007199254740993.0;
      }};
  for (const auto kind : kinds)
    for (const size_t rows : {size_t{0}, size_t{1}, size_t{3}, size_t{1000}, size_t{70'000}}) {
      const Batch batch = Regular(rows, kind);
      Bytes bytes = {1, 2, 3};
      encoder.Encode(batch, rows / 3, rows, kPaths, {"edge-7", 42, 1000}, bytes);
      const ByteView encoded = ByteView(bytes).subspan(3);
      EXPECT_EQ(FrameLength(encoded).value(), encoded.size());
      const auto size = decoder.Decode(encoded, frame);
      ASSERT_TRUE(size) << size.error().ToString();
      EXPECT_EQ(*size, encoded.size());
      EXPECT_EQ(frame.edge, "edge-7");
      EXPECT_EQ(frame.epoch, 42U);
      EXPECT_EQ(frame.first, 1000U);
      ExpectSame(batch, rows / 3, rows, frame);
    }
}

TEST(FrameTest, KeepsWildTimesAndPoints) {
  Random random(1);
  Batch batch;
  for (int i = 0; i < 5000; ++i)
    batch.Add(PointId{static_cast<uint32_t>(random.Uniform(0, 4))},
              FromMicros(std::bit_cast<int64_t>(random.Next())),
              FromMicros(std::bit_cast<int64_t>(random.Next())),
              std::bit_cast<double>(random.Next()), static_cast<Quality>(random.Next()));
  const Bytes bytes = Encoded(batch);
  FrameDecoder decoder;
  Frame frame;
  ASSERT_TRUE(decoder.Decode(bytes, frame));
  ExpectSame(batch, 0, batch.size(), frame);
}

TEST(FrameTest, TakesFewBytesForMachinesValues) {
  const Batch batch = Regular(40'000, [](size_t i) {
    return std::round(100 * (20 + std::sin(0.0001 * static_cast<double>(i)))) / 100;
  });
  EXPECT_LT(Encoded(batch).size(), batch.size() / 2);
}

TEST(FrameTest, RefusesEveryTornAndEveryFlippedFrame) {
  const Bytes good = Encoded(Regular(300, [](size_t i) { return 0.5 * static_cast<double>(i); }));
  FrameDecoder decoder;
  Frame frame;
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(decoder.Decode(ByteView(good).first(size), frame)) << size;
  Bytes bad = good;
  for (size_t at = 0; at < good.size(); ++at) {
    bad[at] ^= 0x10;
    EXPECT_FALSE(decoder.Decode(bad, frame)) << at;
    bad[at] = good[at];
  }
}

// What a stranger could claim, with a right checksum.
TEST(FrameTest, SaysWhatIsWrong) {
  const Bytes good = Encoded(Regular(8, [](size_t i) { return static_cast<double>(i); }));
  const auto refusal = [&](size_t at, uint32_t value) {
    Bytes bad = good;
    std::memcpy(bad.data() + at, &value, sizeof value);
    const uint32_t crc = Crc32c(ByteView(bad).subspan(12));
    std::memcpy(bad.data() + 8, &crc, sizeof crc);
    Frame frame;
    const auto result = FrameDecoder().Decode(bad, frame);
    return result ? "accepted" : result.error().ToString();
  };
  EXPECT_NE(refusal(20, 300'000).find("300000 rows; at most 262144"), std::string::npos);
  EXPECT_NE(refusal(20, 7).find("frame:"), std::string::npos);
  EXPECT_NE(refusal(24, 9).find("9 points"), std::string::npos);
  EXPECT_NE(refusal(16, 1 << 30).find("inflated for 8 rows"), std::string::npos);
  EXPECT_NE(refusal(12, 1 << 20).find("1048576 bytes"), std::string::npos);
  EXPECT_NE(refusal(28, 9).find("compression 9"), std::string::npos);
  EXPECT_NE(refusal(0, 0).find("PSFRAM1"), std::string::npos);
  Frame frame;
  const auto many = FrameDecoder().Decode(good, frame, 7);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, Code::kOutOfRange);
}

TEST(FrameTest, TextsTravelOnceBesideTheirRows) {
  const storage::TemporaryFolder folder;
  const auto texts = Texts::Open(folder / "texts").value();
  Batch batch = Regular(1000, [](size_t i) { return 0.01 * static_cast<double>(i % 700); });
  const std::string states[] = {"running", "stopped", "St\u00f6rung \"3\""};
  for (size_t i = 3; i < 1000; i += 4)
    batch.value[i] = texts->Intern(PointId{3}, states[i / 4 % 3]).value();
  batch.value[2] = kTextCodeMin + 7;  // A number that only looks like a text.
  FrameEncoder encoder;
  encoder.TakeTexts(texts.get());
  Bytes bytes;
  EXPECT_EQ(encoder.Encode(batch, 0, 1000, kPaths, {"edge-7", 42, 1000}, bytes), 1000U);
  FrameDecoder decoder;
  Frame frame;
  ASSERT_EQ(decoder.Decode(bytes, frame).value(), bytes.size());
  ExpectSame(batch, 0, 1000, frame);
  ASSERT_EQ(frame.texts.size(), 3U);
  EXPECT_EQ(frame.texts[0], (std::pair<std::string_view, uint32_t>("running", 3)));
  EXPECT_EQ(frame.texts[2].first, states[2]);
  EXPECT_EQ(frame.text_rows.size(), 250U);
  EXPECT_LT(bytes.size(), 2500U) << "numbers beside texts stay decimal";
  // Cut anywhere and damaged anywhere it is an error, and never more.
  for (size_t end = 0; end < bytes.size(); end += 7)
    EXPECT_FALSE(decoder.Decode(ByteView(bytes).first(end), frame));
}

TEST(FrameTest, AFrameEndsWhereItsTextsFillIt) {
  const storage::TemporaryFolder folder;
  const auto texts = Texts::Open(folder / "texts").value();
  Batch batch;
  for (int i = 0; i < 40; ++i)
    batch.Add(
        PointId{0}, FromMicros(i), FromMicros(i),
        texts->Intern(PointId{0}, std::string(1000, static_cast<char>('A' + i % 20))).value());
  FrameEncoder encoder;
  encoder.TakeTexts(texts.get(), 10'000);
  FrameDecoder decoder;
  Frame frame;
  std::vector<double> values;
  std::vector<size_t> ends;
  for (size_t at = 0; at < 40;) {
    Bytes bytes;
    ends.push_back(at = encoder.Encode(batch, at, 40, kPaths, {"edge-7", 42, at}, bytes));
    ASSERT_TRUE(decoder.Decode(bytes, frame));
    values.insert(values.end(), frame.batch.value.begin(), frame.batch.value.end());
  }
  EXPECT_EQ(ends, (std::vector<size_t>{10, 20, 30, 40}));
  EXPECT_EQ(values, batch.value);
}

}  // namespace
}  // namespace penstock::telemetry
