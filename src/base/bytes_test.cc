#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/ids.h"

namespace penstock {
namespace {

TEST(Crc32cTest, AgreesWithRfc3720) {
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283U);
  EXPECT_EQ(Crc32c(Bytes(32, 0)), 0x8A9136AAU);
  EXPECT_EQ(Crc32c(AsBytes("6789"), Crc32c(AsBytes("12345"))), 0xE3069283U);
}

TEST(Crc32cTest, LongTextsGiveWhatTheirPartsGive) {
  Bytes bytes(20'000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 131 + i / 97);
  for (const size_t size : {1023UL, 3071UL, 3072UL, 3073UL, 6144UL, 9999UL, 20'000UL}) {
    uint32_t by_parts = 0;  // Short enough to be taken byte by byte and word by word.
    for (size_t at = 0; at < size; at += 100)
      by_parts = Crc32c(ByteView(bytes).subspan(at, std::min<size_t>(100, size - at)), by_parts);
    EXPECT_EQ(Crc32c(ByteView(bytes).first(size)), by_parts) << size;
  }
}

TEST(Sha256Test, AgreesWithFips180) {
  EXPECT_EQ(ToHex(Sha256Of(AsBytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Base64Test, AgreesWithRfc4648) {
  EXPECT_EQ(ToBase64(AsBytes("foob")), "Zm9vYg==");
  EXPECT_EQ(ToBase64Url(AsBytes("foob")), "Zm9vYg");
  EXPECT_EQ(AsText(FromBase64("Zm9vYg==").value()), "foob");
  EXPECT_FALSE(FromBase64("Z"));
  EXPECT_FALSE(FromBase64("Zm9*"));
}

TEST(HexTest, RefusesOddAndForeignDigits) {
  EXPECT_EQ(ToHex(FromHex("00ffA0").value()), "00ffa0");
  EXPECT_FALSE(FromHex("0"));
  EXPECT_FALSE(FromHex("0g"));
}

TEST(TraceIdTest, IsNeverAllZero) {
  EXPECT_TRUE(TraceId::Random().valid());
  EXPECT_FALSE(TraceId::Parse(std::string(32, '0')));
  const TraceId id = TraceId::Random();
  EXPECT_EQ(TraceId::Parse(id.ToString()).value(), id);
}

}  // namespace
}  // namespace penstock
