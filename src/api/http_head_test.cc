#include "api/http_head.h"

#include <gtest/gtest.h>

namespace penstock::api {
namespace {

bool HasLine(const std::string& head, const std::string& line) {
  return head.find("\r\n" + line + "\r\n") != std::string::npos;
}

TEST(HttpHeadTest, SaysWhatTheBodyIsAndHowLong) {
  Response response = JsonResponse({{"id", 1}}, 201);
  response.headers.emplace_back("Set-Cookie", "a=1");
  response.headers.emplace_back("Set-Cookie", "b=2");
  const std::string head = HeadOf(response, {.version = 11, .keep_alive = true, .length = 8});
  EXPECT_TRUE(head.starts_with("HTTP/1.1 201 Created\r\nContent-Type: application/json"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_TRUE(HasLine(head, "Content-Length: 8"));
  EXPECT_TRUE(HasLine(head, "Set-Cookie: a=1"));
  EXPECT_TRUE(HasLine(head, "Set-Cookie: b=2"));
  EXPECT_TRUE(HasLine(head, "Cache-Control: no-store"));
  EXPECT_TRUE(HasLine(head, "X-Content-Type-Options: nosniff"));
  EXPECT_EQ(head.find("Connection:"), std::string::npos);
}

TEST(HttpHeadTest, KeepsAConnectionAsTheVersionOfTheRequestHasIt) {
  const Response response = EmptyResponse();
  EXPECT_TRUE(HasLine(HeadOf(response, {.version = 11, .keep_alive = false}), "Connection: close"));
  const std::string old = HeadOf(response, {.version = 10, .keep_alive = true});
  EXPECT_TRUE(old.starts_with("HTTP/1.0 204 No Content\r\n"));
  EXPECT_TRUE(HasLine(old, "Connection: keep-alive"));
  EXPECT_EQ(old.find("Content-Length"), std::string::npos);
  EXPECT_EQ(HeadOf(response, {.version = 10}).find("Connection:"), std::string::npos);
}

TEST(HttpHeadTest, ARouteMaySayHowLongToCacheButNotWhatAPageMayRun) {
  Response response;
  response.headers = {{"cache-control", "private, no-cache"},
                      {"content-security-policy", "default-src *"},
                      {"X-Torn", "a\r\nSet-Cookie: b=2"}};
  const std::string head = HeadOf(response, {.chunked = true});
  EXPECT_TRUE(HasLine(head, "cache-control: private, no-cache"));
  EXPECT_TRUE(HasLine(head, "Transfer-Encoding: chunked"));
  EXPECT_EQ(head.find("no-store"), std::string::npos);
  EXPECT_EQ(head.find("default-src *"), std::string::npos);
  EXPECT_EQ(head.find("Set-Cookie"), std::string::npos);
}

TEST(HttpHeadTest, ChunksAreLedByTheirLengthInHex) {
  EXPECT_EQ(ChunkHead(500), "1f4\r\n");
  EXPECT_EQ(ChunkHead(1), "1\r\n");
}

}  // namespace
}  // namespace penstock::api
