#include "base/wire.h"

#include <gtest/gtest.h>

namespace penstock::wire {
namespace {

TEST(WireTest, VarintsComeBackWhole) {
  Bytes bytes;
  const uint64_t numbers[] = {0, 1, 127, 128, 300, 1ULL << 32, UINT64_MAX};
  for (const uint64_t number : numbers) PutVarint(bytes, number);
  Reader reader(bytes);
  for (const uint64_t number : numbers) {
    uint64_t back = 1;
    ASSERT_TRUE(reader.Varint(&back));
    EXPECT_EQ(back, number);
  }
  EXPECT_EQ(reader.left(), 0u);
}

TEST(WireTest, ATornVarintAndOneOfMoreThan64BitsAreRefused) {
  uint64_t value = 0;
  const Bytes torn = {0x80, 0x80};
  EXPECT_FALSE(Reader(torn).Varint(&value));
  Bytes wide(9, 0xFF);
  wide.push_back(0x02);
  EXPECT_FALSE(Reader(wide).Varint(&value));
  wide.back() = 0x01;
  EXPECT_TRUE(Reader(wide).Varint(&value));
  EXPECT_EQ(value, UINT64_MAX);
  EXPECT_FALSE(Reader({}).Varint(&value));
}

TEST(WireTest, TakesNoMoreThanThereIs) {
  const Bytes bytes = {1, 2, 3};
  Reader reader(bytes);
  EXPECT_NE(reader.Take(2), nullptr);
  EXPECT_EQ(reader.Take(2), nullptr);
  uint8_t last = 0;
  EXPECT_TRUE(reader.Byte(&last));
  EXPECT_EQ(last, 3);
  EXPECT_FALSE(reader.Byte(&last));
}

TEST(WireTest, ZigZagKeepsTheSign) {
  for (const int64_t number : {int64_t{0}, int64_t{-1}, int64_t{1}, INT64_MIN, INT64_MAX})
    EXPECT_EQ(UnZigZag(ZigZag(number)), number);
  EXPECT_EQ(ZigZag(-2), 3u);
}

TEST(WireTest, WordsLieLittleEndian) {
  Bytes bytes;
  Put(bytes, uint32_t{0x01020304});
  EXPECT_EQ(bytes, (Bytes{4, 3, 2, 1}));
  EXPECT_EQ(Load<uint32_t>(bytes.data()), 0x01020304u);
  Store(bytes.data(), uint32_t{7});
  EXPECT_EQ(bytes[0], 7);
}

}  // namespace
}  // namespace penstock::wire
