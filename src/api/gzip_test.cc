#include "api/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace penstock::api {
namespace {

std::string Gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(GunzipTest, GivesBackWhatWasPacked) {
  const std::string text(200'000, 'x');
  EXPECT_EQ(Gunzip(Gzip(text), text.size()).value(), text);
  EXPECT_EQ(Gunzip(Gzip(""), 10).value(), "");
}

TEST(GunzipTest, TakesSeveralMembersAsOneText) {
  EXPECT_EQ(Gunzip(Gzip("pump ") + Gzip("flow"), 100).value(), "pump flow");
}

TEST(GunzipTest, StopsABombAtTheBound) {
  const std::string bomb = Gzip(std::string(10'000'000, '\0'));
  ASSERT_LT(bomb.size(), 20'000u);
  const auto out = Gunzip(bomb, 1'000'000);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Code::kOutOfRange);
}

TEST(GunzipTest, SaysWhereABodyIsTornOrDamaged) {
  const std::string whole = Gzip("pump-7 flow=30.5");
  const auto torn = Gunzip(whole.substr(0, whole.size() - 3), 100);
  ASSERT_FALSE(torn);
  EXPECT_NE(torn.error().message.find("torn"), std::string::npos) << torn.error().message;
  for (const std::string& bad : {std::string("pump-7 flow=30.5"), whole + "tail", std::string()})
    EXPECT_EQ(Gunzip(bad, 100).error().code, Code::kInvalidArgument) << bad;
}

}  // namespace
}  // namespace penstock::api
