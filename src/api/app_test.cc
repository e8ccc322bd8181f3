// Who asks and what they may, over a router of three routes and real users.
#include "api/app.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace penstock::api {
namespace {

using trust::Role;

class AppTest : public testing::Test {
 protected:
  AppTest() {
    const auto answer = [](const Request& request) -> Result<Response> {
      return JsonResponse({{"name", request.principal.name}});
    };
    router_.Add({"GET", "/api/v1/open", Role::kNone, "Open", answer});
    router_.Add({"GET", "/api/v1/points", Role::kViewer, "Points", answer});
    router_.Add({"POST", "/api/v1/points", Role::kEngineer, "Change", answer});
    router_.Add({"GET", "/api/v1/broken", Role::kNone, "Throws",
                 [](const Request&) -> Result<Response> { throw std::runtime_error("inside"); }});
  }
  Response Ask(const std::string& method, const std::string& path,
               std::map<std::string, std::string> headers = {}) {
    Request request;
    request.method = method;
    request.path = path;
    request.headers = std::move(headers);
    Response answer;
    app_.Handle(std::move(request), [&](Response response) { answer = std::move(response); });
    return answer;
  }
  std::map<std::string, std::string> Token(Role role, const std::string& scheme = "Bearer") {
    return {{"authorization", scheme + " " + users_->CreateToken("test", "machine", role).value()}};
  }

  ManualClock clock_{ParseTime("2026-01-31T14:09:31Z").value()};
  std::unique_ptr<storage::Records> records_ = storage::Records::Open(":memory:").value();
  std::unique_ptr<trust::AuditLog> audit_ = trust::AuditLog::Open(*records_, clock_).value();
  std::unique_ptr<trust::Users> users_ = trust::Users::Open(*records_, clock_, *audit_).value();
  Router router_;
  App app_{router_, *users_, false};
};

TEST_F(AppTest, NobodyMayWhatIsOpenAndNothingElse) {
  EXPECT_EQ(Ask("GET", "/api/v1/open").status, 200);
  EXPECT_EQ(Ask("GET", "/api/v1/points").status, 401);
  EXPECT_EQ(Ask("GET", "/api/v1/points", {{"authorization", "Bearer guess"}}).status, 401);
  EXPECT_EQ(Ask("GET", "/api/v1/points", {{"authorization", "Basic YTpi"}}).status, 401);
}

TEST_F(AppTest, ARoleMayWhatTheOnesBelowMay) {
  EXPECT_EQ(Ask("GET", "/api/v1/points", Token(Role::kEngineer)).status, 200);
  EXPECT_EQ(Ask("POST", "/api/v1/points", Token(Role::kTechnician)).status, 403);
  EXPECT_EQ(Ask("POST", "/api/v1/points", Token(Role::kAdmin, "Token")).status, 200);
}

TEST_F(AppTest, AWriteByCookieNeedsTheHeader) {
  ASSERT_TRUE(users_->Setup(users_->SetupToken(), "ada", "correct horse battery"));
  const auto session = users_->Login("ada", "correct horse battery", "127.0.0.1").value();
  std::map<std::string, std::string> headers = {{"cookie", "penstock=" + session}};
  EXPECT_EQ(Ask("GET", "/api/v1/points", headers).status, 200);
  EXPECT_EQ(Ask("POST", "/api/v1/points", headers).status, 403);
  headers["x-penstock-csrf"] = "1";
  EXPECT_EQ(Ask("POST", "/api/v1/points", headers).status, 200);
}

TEST_F(AppTest, AHandlerThatThrowsIsAnAnswer) {
  const Response response = Ask("GET", "/api/v1/broken");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body.find("inside\""), std::string::npos);
}

TEST_F(AppTest, WhatIsNotThereIsSaid) {
  EXPECT_EQ(Ask("GET", "/api/v1/none").status, 404);
  EXPECT_EQ(Ask("DELETE", "/api/v1/points").status, 405);
  EXPECT_EQ(Ask("POST", "/anything").status, 404);
  EXPECT_EQ(Ask("GET", "/none.js").status, 404);
}

TEST_F(AppTest, CookiesBehindTlsCarryThePrefix) {
  const App secure(router_, *users_, true);
  EXPECT_EQ(secure.SetCookie("x"), "__Host-penstock=x; Path=/; HttpOnly; SameSite=Strict; Secure");
}

}  // namespace
}  // namespace penstock::api
