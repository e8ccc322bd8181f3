#include "protocols/stream/route.h"

#include <gtest/gtest.h>

#include <set>

namespace penstock::protocols::stream {
namespace {

TEST(StreamRouteTest, AThingsPointsTakeOneWay) {
  EXPECT_EQ(PartitionOf("pump-7/flow", 16), PartitionOf("pump-7/pressure", 16));
  std::set<uint32_t> used;
  for (int i = 0; i < 1000; ++i) used.insert(PartitionOf(fmt::format("pump-{}/flow", i), 64));
  EXPECT_EQ(used.size(), 64u);
  // Written down in docs/formats/stream.md; another value would send rows twice after an update.
  EXPECT_EQ(PartitionOf("pump-7/flow", 1024), PartitionOf("pump-7", 1024));
}

TEST(StreamRouteTest, AnEpochSaysItsPartition) {
  const uint64_t epoch = StreamEpoch((1ULL << 53) - 1, 63, 15);
  EXPECT_EQ(PartitionIn(epoch), 63u);
  EXPECT_NE(StreamEpoch(5, 3, 0), StreamEpoch(5, 3, 1));
  EXPECT_NE(StreamEpoch(5, 3, 0), StreamEpoch(5, 4, 0));
}

TEST(StreamRouteTest, MessageIdsComeBack) {
  const MessageId id{"line-1", StreamEpoch(77, 3, 1), 812000, 2048, 2};
  const auto read = ParseMessageId(FormatMessageId(id));
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->edge, id.edge);
  EXPECT_EQ(read->epoch, id.epoch);
  EXPECT_EQ(read->first, id.first);
  EXPECT_EQ(read->rows, id.rows);
  EXPECT_EQ(read->attempt, id.attempt);
  for (const char* text : {"", "/1/2-3.0", "a/1/2-3", "a/x/2-3.0", "a/1/2-.0", "a/1", "a/1/2-3.x",
                           "a/1/99999999999999999999-1.0"})
    EXPECT_FALSE(ParseMessageId(text)) << text;
}

}  // namespace
}  // namespace penstock::protocols::stream
