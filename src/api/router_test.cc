#include "api/router.h"

#include <gtest/gtest.h>

namespace penstock::api {
namespace {

Route Simple(const char* method, const char* pattern) {
  return {method, pattern, trust::Role::kViewer, "A route",
          [](const Request&) -> Result<Response> { return EmptyResponse(); }};
}

Request Ask(const char* method, const char* path) {
  Request request;
  request.method = method;
  request.path = path;
  return request;
}

TEST(RouterTest, FindsThePatternAndItsValues) {
  Router router;
  router.Add(Simple("GET", "/api/v1/alarms/{id}"));
  router.Add(Simple("POST", "/api/v1/alarms/{id}/verdict"));
  Request request = Ask("POST", "/api/v1/alarms/A-1042/verdict");
  const auto match = router.Find(request);
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(request.At("id"), "A-1042");
}

TEST(RouterTest, SaysWhichMethodsThePathKnows) {
  Router router;
  router.Add(Simple("GET", "/api/v1/alarms/{id}"));
  Request request = Ask("DELETE", "/api/v1/alarms/A-1");
  const auto match = router.Find(request);
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allow, "GET");
}

TEST(RouterTest, EmptyAndExtraSegmentsDoNotMatch) {
  Router router;
  router.Add(Simple("GET", "/api/v1/alarms/{id}"));
  for (const char* path : {"/api/v1/alarms/", "/api/v1/alarms", "/api/v1/alarms/a/b", "/", ""}) {
    Request request = Ask("GET", path);
    EXPECT_EQ(router.Find(request).route, nullptr) << path;
  }
}

TEST(RouterTest, AStarTakesTheRestOfThePath) {
  Router router;
  router.Add(Simple("GET", "/api/v1/assets/{path*}"));
  Request request = Ask("GET", "/api/v1/assets/acme/cologne/line-1");
  ASSERT_NE(router.Find(request).route, nullptr);
  EXPECT_EQ(request.At("path"), "acme/cologne/line-1");
}

TEST(RouterTest, DescribesItselfAsOpenApi) {
  Router router;
  router.Add(Simple("GET", "/api/v1/alarms/{id}"));
  const Json description = router.OpenApi("1");
  EXPECT_EQ(description["openapi"], "3.1.0");
  const Json& operation = description["paths"]["/api/v1/alarms/{id}"]["get"];
  EXPECT_EQ(operation["parameters"][0]["name"], "id");
  EXPECT_EQ(operation["x-role"], "viewer");
}

TEST(HttpTest, DecodesPercentsAndKeepsTornOnes) {
  EXPECT_EQ(PercentDecode("a%20b+c%2", true), "a b c%2");
  EXPECT_EQ(PercentDecode("a+b", false), "a+b");
}

TEST(HttpTest, ReadsOneCookieAmongMany) {
  Request request;
  request.headers["cookie"] = "a=1; penstock=abc=; xpenstock=no";
  EXPECT_EQ(request.Cookie("penstock"), "abc=");
  EXPECT_EQ(request.Cookie("b"), "");
}

TEST(HttpTest, AProblemSaysWhereAndWhatToDo) {
  Error error{Code::kInvalidArgument, "no such verdict"};
  error.At("/kind").Fix("true_fault");
  const Response response = Problem(error);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.content_type, "application/problem+json");
  const Json body = ParseJson(response.body).value();
  EXPECT_EQ(body["pointer"], "/kind");
  EXPECT_EQ(body["fix"], "true_fault");
}

TEST(RangeTest, RefusesAnEmptyRange) {
  Request request;
  request.query = {{"from", "2026-01-02T00:00:00Z"}, {"to", "2026-01-01T00:00:00Z"}};
  EXPECT_FALSE(RangeOf(request, FromMicros(0), std::chrono::hours(1)));
}

}  // namespace
}  // namespace penstock::api
