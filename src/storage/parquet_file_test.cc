#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/random.h"
#include "storage/parquet_reader.h"
#include "storage/parquet_writer.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

constexpr ParquetColumn kColumns[] = {{"point", ParquetKind::kText},
                                      {"time", ParquetKind::kTime},
                                      {"value", ParquetKind::kDouble},
                                      {"quality", ParquetKind::kUint32},
                                      {"sequence", ParquetKind::kInt64, false, true}};

struct Sample {
  int64_t time;
  double value;
  uint32_t quality;
  int64_t sequence;
};
using Samples = std::map<std::string, std::vector<Sample>>;

class ParquetFileTest : public ::testing::Test {
 protected:
  void Write(const Samples& samples, const ParquetOptions& options = {}) {
    auto writer = ParquetWriter::Create(path_, kColumns, options).value();
    for (const auto& [point, rows] : samples) {
      std::vector<int64_t> time, sequence;
      std::vector<double> value;
      std::vector<uint32_t> quality;
      for (const Sample& row : rows) {
        time.push_back(row.time);
        value.push_back(row.value);
        quality.push_back(row.quality);
        sequence.push_back(row.sequence);
      }
      const void* const data[] = {time.data(), value.data(), quality.data(), sequence.data()};
      ASSERT_TRUE(writer->Add(point, data, rows.size()));
    }
    const Status finished = writer->Finish();
    ASSERT_TRUE(finished) << finished.error().ToString();
  }
  // All rows of a point, over all row groups.
  Result<std::vector<Sample>> Read(const std::string& point) {
    ASSIGN_OR_RETURN(const auto file, ParquetFile::Open(path_, kColumns));
    std::vector<Sample> rows;
    for (size_t group = 0; group < file->groups().size(); ++group) {
      ASSIGN_OR_RETURN(auto paths, ParquetColumnReader::Load(*file, group, 0));
      ASSIGN_OR_RETURN(const auto found, paths.Find(point));
      if (!found) continue;
      const size_t from = found->from, to = from + found->rows;
      std::vector<int64_t> time(found->rows), sequence(found->rows);
      std::vector<double> value(found->rows);
      std::vector<uint32_t> quality(found->rows);
      void* const into[] = {time.data(), value.data(), quality.data(), sequence.data()};
      for (size_t c = 0; c < 4; ++c) {
        ASSIGN_OR_RETURN(auto reader, ParquetColumnReader::Load(*file, group, c + 1));
        TRY(reader.Read(from, to, into[c]));
      }
      for (size_t i = 0; i < found->rows; ++i)
        rows.push_back({time[i], value[i], quality[i], sequence[i]});
    }
    return rows;
  }
  void ExpectAll(const Samples& samples) {
    for (const auto& [point, rows] : samples) {
      const auto read = Read(point);
      ASSERT_TRUE(read) << read.error().ToString();
      ASSERT_EQ(read->size(), rows.size()) << point;
      for (size_t i = 0; i < rows.size(); ++i) {
        EXPECT_EQ((*read)[i].time, rows[i].time);
        EXPECT_TRUE((*read)[i].value == rows[i].value ||
                    (std::isnan((*read)[i].value) && std::isnan(rows[i].value)));
        EXPECT_EQ((*read)[i].quality, rows[i].quality);
        EXPECT_EQ((*read)[i].sequence, rows[i].sequence);
      }
    }
  }
  // Points with `rows` each of a kind: two decimals, noise, a constant,
  // extremes.
  static Samples Mixed(size_t points, size_t rows) {
    Random random(11);
    Samples samples;
    int64_t sequence = 0;
    for (size_t p = 0; p < points; ++p) {
      auto& of = samples[fmt::format("host-{:03}/usage", p)];
      for (size_t i = 0; i < rows; ++i) {
        const double noise = random.Normal(50, 10);
        const double value = p % 4 == 0   ? std::round(noise * 100) / 100
                             : p % 4 == 1 ? noise
                             : p % 4 == 2 ? 7.25
                             : i % 5 == 0 ? NAN
                                          : -1e300 * noise;
        of.push_back({1'700'000'000'000'000 + static_cast<int64_t>(i) * 1'000'000 +
                          static_cast<int64_t>(random.Below(p % 3 == 0 ? 1 : 900'000)),
                      value, i % 100 == 3 ? 0x80000000U : 0U, sequence++});
      }
    }
    return samples;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "rows.parquet";
};

TEST_F(ParquetFileTest, ReadsBackWhatWasWritten) {
  const Samples samples = Mixed(40, 700);
  for (const ParquetOptions& options :
       {ParquetOptions{}, ParquetOptions{.group_rows = 5000, .page_rows = 512},
        ParquetOptions{.group_rows = 1 << 19, .group_points = 7, .page_rows = 100}}) {
    Write(samples, options);
    ExpectAll(samples);
  }
  EXPECT_TRUE(Read("host-041/usage").value().empty());
  EXPECT_TRUE(Read("host-0005/usage").value().empty());
}

TEST_F(ParquetFileTest, FewRowsAndExtremeOnes) {
  const Samples samples = {{"a", {{INT64_MIN, -0.0, UINT32_MAX, INT64_MAX}}},
                           {"b", {{0, INFINITY, 0, 0}, {INT64_MAX, 5e-324, 1, INT64_MIN}}},
                           {"ü/ß", {{-1, 0, 0, 1}}}};
  Write(samples);
  ExpectAll(samples);
  Write({});
  EXPECT_TRUE(Read("a").value().empty());
}

TEST_F(ParquetFileTest, PointsComeWithTheirRows) {
  Write(Mixed(30, 50), {.group_rows = 1000, .page_rows = 64});
  const auto file = ParquetFile::Open(path_, kColumns).value();
  EXPECT_EQ(file->rows(), 1500u);
  size_t rows = 0;
  for (size_t group = 0; group < file->groups().size(); ++group) {
    auto paths = ParquetColumnReader::Load(*file, group, 0).value();
    const auto points = paths.Points().value();
    EXPECT_EQ(points.front().point, file->groups()[group].first_point);
    EXPECT_EQ(points.back().point, file->groups()[group].last_point);
    for (const PointRows& point : points) rows += point.rows;
  }
  EXPECT_EQ(rows, 1500u);
}

// A long chunk, whose pages are read one by one: in any order, with pages that another reader
// found, and when the file was closed in between.
TEST_F(ParquetFileTest, RowsAreReadInAnyOrder) {
  Write(Mixed(6, 20'000), {.page_rows = 1000});
  const auto file = ParquetFile::Open(path_, kColumns).value();
  Random random(9);
  for (size_t column = 1; column < std::size(kColumns); ++column) {
    if (kColumns[column].kind == ParquetKind::kText) continue;
    const size_t rows = file->groups()[0].rows,
                 width = kColumns[column].kind == ParquetKind::kUint32 ? 4 : 8;
    auto whole = ParquetColumnReader::Load(*file, 0, column).value();
    Bytes all(rows * width), some;
    ASSERT_TRUE(whole.Read(0, rows, all.data()));
    auto again = ParquetColumnReader::Load(*file, 0, column, whole.pages()).value();
    EXPECT_EQ(again.pages(), whole.pages());
    for (int round = 0; round < 200; ++round) {
      if (round % 50 == 0) file->CloseForNow();
      const size_t from = random.Below(rows),
                   to = from + random.Below(std::min(rows - from, size_t{3000}) + 1);
      some.resize((to - from) * width);
      ASSERT_TRUE(again.Read(from, to, some.data()));
      ASSERT_TRUE(
          std::equal(some.begin(), some.end(), all.begin() + static_cast<ptrdiff_t>(from * width)));
    }
  }
}

TEST_F(ParquetFileTest, AFlippedBitIsToldAndNeverRead) {
  const Samples samples = Mixed(6, 300);
  Write(samples, {.page_rows = 256});
  const std::string whole = ReadFile(path_).value();
  Random random(5);
  for (int round = 0; round < 400; ++round) {
    std::string damaged = whole;
    const size_t at = 4 + random.Below(whole.size() - 4);
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.Below(8)));
    ASSERT_TRUE(WriteFileAtomically(path_, damaged));
    for (const auto& [point, rows] : samples) {
      const auto read = Read(point);
      if (!read) continue;
      // The footer has no checksum; what it says of a page is checked, its
      // bounds are not.
      for (size_t i = 0; i < std::min(read->size(), rows.size()); ++i)
        EXPECT_EQ((*read)[i].sequence, rows[i].sequence) << "byte " << at;
    }
  }
}

TEST_F(ParquetFileTest, AShortFileIsNoFile) {
  Write(Mixed(2, 100));
  const std::string whole = ReadFile(path_).value();
  for (size_t size = 0; size < whole.size(); size += 7) {
    ASSERT_TRUE(WriteFileAtomically(path_, whole.substr(0, size)));
    EXPECT_FALSE(ParquetFile::Open(path_, kColumns)) << size;
  }
}

TEST_F(ParquetFileTest, AnotherSchemaIsForOthersToRead) {
  Write(Mixed(2, 10));
  constexpr ParquetColumn kOther[] = {{"point", ParquetKind::kText}, {"when", ParquetKind::kTime}};
  EXPECT_EQ(ParquetFile::Open(path_, kOther).error().code, Code::kUnimplemented);
}

}  // namespace
}  // namespace penstock::storage
