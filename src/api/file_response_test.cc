#include "api/file_response.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "storage/temporary_folder.h"

namespace penstock::api {
namespace {

std::string Asked(std::string_view header, uint64_t size) {
  const auto range = ParseByteRange(header, size);
  if (!range) return "416";
  if (!*range) return "whole";
  return fmt::format("{}-{}", (*range)->first, (*range)->last);
}

TEST(ByteRangeTest, FollowsTheStandard) {
  EXPECT_EQ(Asked("bytes=0-499", 10000), "0-499");
  EXPECT_EQ(Asked("bytes=9500-", 10000), "9500-9999");
  EXPECT_EQ(Asked("bytes=-500", 10000), "9500-9999");
  EXPECT_EQ(Asked("bytes=-20000", 10000), "0-9999");
  EXPECT_EQ(Asked("bytes=0-99999", 10000), "0-9999");
  EXPECT_EQ(Asked("bytes=9999-9999", 10000), "9999-9999");
  EXPECT_EQ(Asked("bytes= 1 - 2 ", 10000), "1-2");
  EXPECT_EQ(Asked("bytes=10000-", 10000), "416");
  EXPECT_EQ(Asked("bytes=-0", 10000), "416");
  EXPECT_EQ(Asked("bytes=0-", 0), "416");
}

TEST(ByteRangeTest, IgnoresWhatItDoesNotKnow) {
  for (const char* header :
       {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-1", "items=0-1", "bytes=0-1,3-4",
        "bytes=1", "bytes=--1", "bytes=1-2-3", "bytes=99999999999999999999999-", "bytes=+1-2"})
    EXPECT_EQ(Asked(header, 100), "whole") << header;
}

TEST(EtagTest, StrongAndWeak) {
  EXPECT_TRUE(MatchesEtag("\"a\"", "a", false));
  EXPECT_TRUE(MatchesEtag("\"b\", \"a\"", "a", false));
  EXPECT_TRUE(MatchesEtag("*", "a", false));
  EXPECT_FALSE(MatchesEtag("W/\"a\"", "a", false));
  EXPECT_TRUE(MatchesEtag("W/\"a\"", "a", true));
  EXPECT_FALSE(MatchesEtag("a", "a", true));
  EXPECT_FALSE(MatchesEtag("\"ab\"", "a", true));
}

TEST(FileResponseTest, GivesTheRangeAndNotMore) {
  const storage::TemporaryFolder folder;
  const std::string path = folder / "x.parquet";
  ASSERT_TRUE(WriteFileAtomically(path, "0123456789"));
  Request request;
  request.headers["range"] = "bytes=2-4";
  auto response = FileResponse(request, {.path = path, .etag = "v1"});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 206);
  EXPECT_EQ(response->length, 3U);
  EXPECT_EQ(*response->stream->Next(), "234");
  EXPECT_EQ(*response->stream->Next(), "");
  request.headers["if-range"] = "\"v0\"";
  response = FileResponse(request, {.path = path, .etag = "v1"});
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->length, 10U);
  request.headers = {{"if-none-match", "\"v1\""}};
  EXPECT_EQ(FileResponse(request, {.path = path, .etag = "v1"})->status, 304);
  request.headers = {{"range", "bytes=10-"}};
  EXPECT_EQ(FileResponse(request, {.path = path, .etag = "v1"})->status, 416);
  EXPECT_EQ(FileResponse(request, {.path = folder / "no", .etag = "v1"}).error().code,
            Code::kNotFound);
}

}  // namespace
}  // namespace penstock::api
