#include "trust/titles.h"

#include <gtest/gtest.h>

#include "trust/users.h"

namespace penstock::trust {
namespace {

using Names = std::vector<std::string>;

class TitlesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(users_->AddUser("maria", "kim", Role::kViewer, "correct horse battery"));
  }
  ManualClock clock_{ParseTime("2026-06-01T08:00:00Z").value()};
  std::unique_ptr<storage::Records> records_ = storage::Records::Open(":memory:").value();
  std::unique_ptr<AuditLog> audit_ = AuditLog::Open(*records_, clock_).value();
  std::unique_ptr<Users> users_ = Users::Open(*records_, clock_, *audit_).value();
  std::unique_ptr<Titles> titles_ = Titles::Open(*records_, *audit_).value();
};

TEST_F(TitlesTest, AreGivenAndTakenWithAnAuditEntry) {
  EXPECT_TRUE(titles_->Of("kim")->empty());
  ASSERT_TRUE(titles_->Set("maria", "kim", {"shift-lead", "plant-manager", "shift-lead"}));
  EXPECT_EQ(titles_->Of("kim").value(), (Names{"plant-manager", "shift-lead"}));
  EXPECT_EQ(titles_->Holders("plant-manager").value(), Names{"kim"});
  const auto size = audit_->size();
  ASSERT_TRUE(titles_->Set("maria", "kim", {"plant-manager", "shift-lead"}));
  EXPECT_EQ(audit_->size(), size) << "the same again is no deed";
  ASSERT_TRUE(titles_->Set("maria", "kim", {}));
  EXPECT_TRUE(titles_->Holders("plant-manager")->empty());
  const AuditEntry entry = audit_->List(size, 1).value().at(0);
  EXPECT_EQ(entry.action + " " + entry.actor + " " + entry.subject, "user.titles maria kim");
  EXPECT_EQ(entry.detail, Json::parse(R"({"from": ["plant-manager", "shift-lead"], "to": []})"));
}

TEST_F(TitlesTest, AreNoAccessRolesAndNoOneElses) {
  EXPECT_EQ(titles_->Set("maria", "lee", {"plant-manager"}).error().code, Code::kNotFound);
  EXPECT_EQ(titles_->Set("maria", "kim", {"boss", "admin"}).error().pointer, "/titles/1");
  EXPECT_EQ(titles_->Set("maria", "kim", {"Plant manager"}).error().pointer, "/titles/0");
  EXPECT_TRUE(titles_->Of("kim")->empty());
}

TEST_F(TitlesTest, GoWithTheUser) {
  ASSERT_TRUE(titles_->Set("maria", "kim", {"plant-manager"}));
  ASSERT_TRUE(users_->AddUser("maria", "lee", Role::kAdmin, "correct horse battery"));
  ASSERT_TRUE(users_->RemoveUser("lee", "kim"));
  EXPECT_TRUE(titles_->Holders("plant-manager")->empty());
}

}  // namespace
}  // namespace penstock::trust
