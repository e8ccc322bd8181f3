#include "things/product_access.h"

#include <gtest/gtest.h>

namespace penstock::things {
namespace {

class ProductAccessTest : public ::testing::Test {
 protected:
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(":memory:");
  ProductAccessStore store_ = *ProductAccessStore::Open(*records_);
  Time now_ = *ParseTime("2026-01-31T08:00:00Z");
};

TEST_F(ProductAccessTest, AGrantEndsByItself) {
  const auto request = store_.Ask("pump", "ada", "seal leak study", false, now_);
  ASSERT_TRUE(request) << request.error().ToString();
  EXPECT_FALSE(store_.GrantOf("pump", "ada", now_)->has_value());
  const auto granted =
      store_.Grant(request->id, "admin", "ok", std::chrono::hours(24), false, now_);
  ASSERT_TRUE(granted);
  EXPECT_EQ(granted->ToJson(now_)["state"], "granted");
  EXPECT_TRUE(store_.GrantOf("pump", "ada", now_)->has_value());
  EXPECT_FALSE(store_.GrantOf("pump", "bob", now_)->has_value());
  EXPECT_FALSE(store_.GrantOf("filler", "ada", now_)->has_value());
  const Time later = now_ + std::chrono::hours(24);
  EXPECT_FALSE(store_.GrantOf("pump", "ada", later)->has_value());
  EXPECT_EQ(store_.Get(request->id)->ToJson(later)["state"], "expired");
}

TEST_F(ProductAccessTest, OneOpenRequestPerProductAndPerson) {
  ASSERT_TRUE(store_.Ask("pump", "ada", "study", false, now_));
  EXPECT_EQ(store_.Ask("pump", "ada", "again", false, now_).error().code, Code::kAlreadyExists);
  EXPECT_TRUE(store_.Ask("pump", "bob", "study", false, now_));
  EXPECT_TRUE(store_.Ask("filler", "ada", "study", false, now_));
  EXPECT_EQ(store_.List("", "ada", 0, 10)->size(), 2U);
  EXPECT_EQ(store_.List("pump", "", 0, 10)->size(), 2U);
  EXPECT_EQ(store_.List("pump", "", 2, 10)->size(), 1U);
}

TEST_F(ProductAccessTest, APurposeIsSaid) {
  EXPECT_EQ(store_.Ask("pump", "ada", " ", false, now_).error().pointer, "/purpose");
  EXPECT_EQ(store_.Ask("pump", "ada", std::string(1001, 'x'), false, now_).error().code,
            Code::kInvalidArgument);
}

TEST_F(ProductAccessTest, DeniedStaysDeniedAndGrantedCanBeRevoked) {
  const int64_t first = store_.Ask("pump", "ada", "study", false, now_)->id;
  EXPECT_EQ(store_.Deny(first, "admin", "why?", now_)->state, RequestState::kDenied);
  EXPECT_EQ(store_.Grant(first, "admin", "", kGrantDefault, false, now_).error().code,
            Code::kFailedPrecondition);
  const int64_t second = store_.Ask("pump", "ada", "study, again", true, now_)->id;
  EXPECT_EQ(store_.Grant(second, "admin", "", kGrantMax + Duration(1), false, now_).error().pointer,
            "/for");
  ASSERT_TRUE(store_.Grant(second, "admin", "", kGrantDefault, true, now_));
  EXPECT_TRUE(store_.GrantOf("pump", "ada", now_)->value().personal);
  EXPECT_EQ(store_.Deny(second, "admin", "left", now_)->state, RequestState::kRevoked);
  EXPECT_FALSE(store_.GrantOf("pump", "ada", now_)->has_value());
  EXPECT_EQ(store_.Deny(second, "admin", "", now_).error().code, Code::kFailedPrecondition);
}

TEST_F(ProductAccessTest, WhatIsNotThereIsSaidSo) {
  EXPECT_EQ(store_.Get(7).error().code, Code::kNotFound);
  EXPECT_EQ(store_.Grant(7, "admin", "", kGrantDefault, false, now_).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace penstock::things
