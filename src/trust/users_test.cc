#include "trust/users.h"

#include <gtest/gtest.h>

#include <set>

#include "storage/postgres_sql.h"
#include "trust/password.h"

namespace penstock::trust {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kPassword = "correct horse battery";
constexpr const char* kRemote = "10.0.0.9";

class UsersTest : public ::testing::Test {
 protected:
  UsersTest() { Open(); }
  void Open() {
    users_.reset();
    audit_ = AuditLog::Open(*records_, plant_clock_).value();
    users_ = Users::Open(*records_, clock_, *audit_).value();
  }
  void SetUp() override { ASSERT_TRUE(users_->Setup(users_->SetupToken(), "maria", kPassword)); }
  std::vector<std::string> Actions() {
    std::vector<std::string> actions;
    const auto entries = audit_->List(0, 1000).value();
    for (const AuditEntry& entry : entries) actions.push_back(entry.action);
    return actions;
  }
  Code LoginCode(const std::string& name, const std::string& password,
                 const std::string& remote = kRemote) {
    const auto session = users_->Login(name, password, remote);
    return session ? Code::kOk : session.error().code;
  }

  std::unique_ptr<storage::Records> records_ = storage::Records::Open(":memory:").value();
  ManualClock clock_{ParseTime("2026-06-01T08:00:00Z").value()};
  ManualClock plant_clock_{ParseTime("2031-01-01T00:00:00Z").value()};
  std::unique_ptr<AuditLog> audit_;
  std::unique_ptr<Users> users_;
};

TEST(UsersSetupTest, TheFirstAdminNeedsTheTokenThatTheNodePrinted) {
  const auto records = storage::Records::Open(":memory:").value();
  ManualClock clock(Time{});
  const auto audit = AuditLog::Open(*records, clock).value();
  auto users = Users::Open(*records, clock, *audit).value();
  EXPECT_TRUE(users->setup_needed());
  const std::string first = users->SetupToken();
  EXPECT_GE(first.size(), 16u);
  users = Users::Open(*records, clock, *audit).value();
  EXPECT_NE(users->SetupToken(), first) << "made anew at each start";
  EXPECT_EQ(users->Setup(first, "maria", kPassword).error().code, Code::kUnauthenticated);
  EXPECT_EQ(users->Setup(users->SetupToken(), "maria", "short").error().pointer, "/password");
  const Principal maria = users->Setup(users->SetupToken(), "maria", kPassword).value();
  EXPECT_TRUE(maria.Has(Role::kAdmin));
  EXPECT_FALSE(users->setup_needed());
  EXPECT_EQ(users->SetupToken(), "");
  EXPECT_EQ(users->Setup("", "eve", kPassword).error().code, Code::kFailedPrecondition);
  users = Users::Open(*records, clock, *audit).value();
  EXPECT_FALSE(users->setup_needed());
}

TEST(UsersSetupTest, GuessingTheTokenIsSlow) {
  const auto records = storage::Records::Open(":memory:").value();
  ManualClock clock(Time{});
  const auto audit = AuditLog::Open(*records, clock).value();
  const auto users = Users::Open(*records, clock, *audit).value();
  Code code = Code::kOk;
  for (int i = 0; i < 10; ++i) code = users->Setup("guess", "eve", kPassword).error().code;
  EXPECT_EQ(code, Code::kResourceExhausted);
}

TEST_F(UsersTest, ASessionTellsWhoAsks) {
  const std::string session = users_->Login("maria", kPassword, kRemote).value();
  EXPECT_GE(session.size(), 43u) << "256 bits";
  const Principal principal = users_->BySession(session).value();
  EXPECT_EQ(principal.name, "maria");
  EXPECT_EQ(principal.role, Role::kAdmin);
  EXPECT_EQ(users_->BySession(session + "x").error().code, Code::kUnauthenticated);
  EXPECT_EQ(users_->BySession("").error().code, Code::kUnauthenticated);
  Open();
  EXPECT_TRUE(users_->BySession(session)) << "survives a restart";
  users_->Logout(session);
  EXPECT_FALSE(users_->BySession(session));
  EXPECT_EQ(Actions(), (std::vector<std::string>{"user.setup", "user.login", "user.logout"}));
  EXPECT_EQ(audit_->List(0, 1).value()[0].at, plant_clock_.Now())
      << "the audit speaks the node's time";
}

TEST_F(UsersTest, NoSecretIsStored) {
  const std::string session = users_->Login("maria", kPassword, kRemote).value();
  const std::string token = users_->CreateToken("maria", "erp", Role::kViewer).value();
  for (const char* table : {"users", "sessions", "tokens", "audit_entries"}) {
    const auto rows = records_->Query(fmt::format("SELECT * FROM {}", table)).value();
    for (const auto& row : rows) {
      for (size_t i = 0; i < row.size(); ++i) {
        for (const std::string& secret : {session, token, std::string(kPassword)})
          EXPECT_EQ(row.Text(i).find(secret), std::string::npos) << table;
      }
    }
  }
  EXPECT_TRUE(records_->Query("SELECT password FROM users")
                  .value()[0]
                  .Text(0)
                  .starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
}

TEST_F(UsersTest, SessionsEndByRealTime) {
  const std::string idle = users_->Login("maria", kPassword, kRemote).value();
  plant_clock_.Advance(hours(1000));
  EXPECT_TRUE(users_->BySession(idle)) << "a plant in time-lapse logs nobody out";
  clock_.Advance(minutes(59));
  EXPECT_TRUE(users_->BySession(idle));
  clock_.Advance(minutes(59));
  EXPECT_TRUE(users_->BySession(idle)) << "it was used in between";
  clock_.Advance(minutes(61));
  EXPECT_FALSE(users_->BySession(idle));

  const std::string busy = users_->Login("maria", kPassword, kRemote).value();
  for (int i = 0; i < 24; ++i) {
    EXPECT_TRUE(users_->BySession(busy)) << i;
    clock_.Advance(minutes(30));
  }
  clock_.Advance(seconds(1));
  EXPECT_FALSE(users_->BySession(busy)) << "12 h are the end";
}

TEST_F(UsersTest, WhoGuessesWaits) {
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(LoginCode("maria", "wrong password"), Code::kUnauthenticated);
  EXPECT_EQ(LoginCode("maria", kPassword), Code::kResourceExhausted) << "even with the right one";
  EXPECT_EQ(LoginCode("jo", "wrong password"), Code::kResourceExhausted) << "from that address";
  clock_.Advance(seconds(2));
  EXPECT_EQ(LoginCode("maria", kPassword), Code::kOk);
  EXPECT_EQ(LoginCode("maria", "wrong password"), Code::kUnauthenticated)
      << "a success starts the count anew";
  EXPECT_EQ(LoginCode("maria", kPassword), Code::kOk);
}

TEST_F(UsersTest, TheWaitGrowsToAMinute) {
  for (int i = 0; i < 20; ++i) {
    LoginCode("maria", "wrong password", fmt::format("10.0.1.{}", i));
    clock_.Advance(minutes(2));
  }
  LoginCode("maria", "wrong password", "10.0.2.1");
  clock_.Advance(seconds(59));
  EXPECT_EQ(LoginCode("maria", kPassword, "10.0.2.2"), Code::kResourceExhausted);
  clock_.Advance(seconds(2));
  EXPECT_EQ(LoginCode("maria", kPassword, "10.0.2.2"), Code::kOk);
}

TEST_F(UsersTest, AnUnknownNameIsAnsweredAsAWrongPassword) {
  const auto unknown = users_->Login("nobody", kPassword, "10.1.1.1");
  const auto wrong = users_->Login("maria", "wrong password", "10.1.1.2");
  EXPECT_EQ(unknown.error().message, wrong.error().message);
  EXPECT_EQ(unknown.error().code, wrong.error().code);
  const auto entries = audit_->List(0, 100).value();
  for (const AuditEntry& entry : entries) EXPECT_NE(entry.subject, "nobody");
}

TEST_F(UsersTest, PasswordsHaveALength) {
  EXPECT_TRUE(CheckPassword("maria", "0123456789"));
  EXPECT_FALSE(CheckPassword("maria", "012345678"));
  EXPECT_FALSE(CheckPassword("maria", "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"))
      << "five characters, ten bytes";
  EXPECT_FALSE(CheckPassword("maria.schmidt", "Maria.Schmidt"));
  EXPECT_TRUE(CheckPassword("al", "royal garden"));
  EXPECT_FALSE(CheckPassword("al", std::string(1025, 'x')));
}

TEST_F(UsersTest, TheLastAdminStays) {
  ASSERT_TRUE(users_->AddUser("maria", "jo", Role::kTechnician, kPassword));
  EXPECT_EQ(users_->AddUser("maria", "jo", Role::kViewer, kPassword).error().code,
            Code::kAlreadyExists);
  EXPECT_EQ(users_->AddUser("maria", "a b", Role::kViewer, kPassword).error().pointer, "/name");
  EXPECT_EQ(users_->RemoveUser("jo", "maria").error().code, Code::kFailedPrecondition);
  EXPECT_EQ(users_->SetRole("jo", "maria", Role::kViewer).error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(users_->SetRole("maria", "jo", Role::kAdmin));
  ASSERT_TRUE(users_->RemoveUser("jo", "maria"));
  EXPECT_EQ(users_->RemoveUser("jo", "maria").error().code, Code::kNotFound);
  EXPECT_EQ(users_->UsersJson().value().size(), 1u);
  EXPECT_EQ(Actions(),
            (std::vector<std::string>{"user.setup", "user.add", "user.role", "user.remove"}))
      << "what was refused is not in the audit";
}

TEST_F(UsersTest, ARemovedUserOrANewPasswordEndsTheSessions) {
  ASSERT_TRUE(users_->AddUser("maria", "jo", Role::kTechnician, kPassword));
  const std::string before = users_->Login("jo", kPassword, kRemote).value();
  ASSERT_TRUE(users_->SetPassword("maria", "jo", "another password"));
  EXPECT_FALSE(users_->BySession(before));
  EXPECT_EQ(LoginCode("jo", kPassword), Code::kUnauthenticated);
  const std::string after = users_->Login("jo", "another password", kRemote).value();
  ASSERT_TRUE(users_->SetRole("maria", "jo", Role::kEngineer));
  EXPECT_EQ(users_->BySession(after).value().role, Role::kEngineer) << "a role counts at once";
  ASSERT_TRUE(users_->RemoveUser("maria", "jo"));
  EXPECT_FALSE(users_->BySession(after));
}

TEST_F(UsersTest, MachinesHaveTokens) {
  const std::string secret = users_->CreateToken("maria", "erp", Role::kEngineer).value();
  EXPECT_EQ(users_->ByToken(secret).value().name, "token:erp");
  EXPECT_EQ(users_->ByToken(secret).value().role, Role::kEngineer);
  const std::string renewed = users_->CreateToken("maria", "erp", Role::kViewer).value();
  EXPECT_FALSE(users_->ByToken(secret));
  EXPECT_EQ(users_->ByToken(renewed).value().role, Role::kViewer);
  EXPECT_EQ(users_->TokensJson().value()[0]["name"], "erp");
  ASSERT_TRUE(users_->RevokeToken("maria", "erp"));
  EXPECT_EQ(users_->ByToken(renewed).error().code, Code::kUnauthenticated);
  EXPECT_EQ(users_->RevokeToken("maria", "erp").error().code, Code::kNotFound);
  EXPECT_EQ(users_->ByToken(std::string(100'000, 'x')).error().code, Code::kUnauthenticated);
}

// Records whose database can go away.
class RecordsThatGo final : public storage::Records {
 public:
  bool away = false;

  Result<int64_t> Run(std::string_view sql, std::vector<storage::SqlValue> parameters) override {
    if (away) return Unavailable("away");
    return inner_->Run(sql, std::move(parameters));
  }
  Result<std::vector<storage::SqlRow>> Query(std::string_view sql,
                                             std::vector<storage::SqlValue> parameters) override {
    if (away) return Unavailable("away");
    return inner_->Query(sql, std::move(parameters));
  }
  Status Transaction(const std::function<Status()>& work) override {
    if (away) return Unavailable("away");
    return inner_->Transaction(work);
  }

 private:
  Status RunScript(std::string_view sql) override {
    ASSIGN_OR_RETURN(const auto statements, storage::SplitStatements(sql));
    for (const std::string& statement : statements) TRY(inner_->Run(statement));
    return {};
  }
  std::string place() const override { return ":memory:"; }

  const std::unique_ptr<storage::Records> inner_ = Open(":memory:").value();
};

TEST(TokenMemoryTest, KnownTokensAreBelievedForAWhileWhenTheRecordsAreAway) {
  RecordsThatGo records;
  ManualClock clock{ParseTime("2026-06-01T08:00:00Z").value()};
  const auto audit = AuditLog::Open(records, clock).value();
  const auto users = Users::Open(records, clock, *audit).value();
  const std::string erp = users->CreateToken("maria", "erp", Role::kEngineer).value();
  const std::string mes = users->CreateToken("maria", "mes", Role::kEngineer).value();
  const std::string unused = users->CreateToken("maria", "unused", Role::kEngineer).value();
  ASSERT_TRUE(users->ByToken(erp));
  ASSERT_TRUE(users->ByToken(mes));

  records.away = true;
  clock.Advance(kTokenRemembered - seconds(1));
  EXPECT_EQ(users->ByToken(erp).value().name, "token:erp");
  EXPECT_EQ(users->ByToken(unused).error().code, Code::kUnavailable) << "never asked for before";
  EXPECT_FALSE(users->RevokeToken("maria", "mes"));
  EXPECT_FALSE(users->ByToken(mes)) << "somebody wanted it to be gone";
  clock.Advance(seconds(1));
  EXPECT_EQ(users->ByToken(erp).error().code, Code::kUnavailable);

  records.away = false;
  EXPECT_TRUE(users->ByToken(erp));
  ASSERT_TRUE(users->RevokeToken("maria", "erp"));
  EXPECT_EQ(users->ByToken(erp).error().code, Code::kUnauthenticated) << "at once";
}

TEST(RoleTest, EachMayDoWhatTheOnesBeforeMay) {
  for (const char* name : {"viewer", "technician", "engineer", "admin"})
    EXPECT_EQ(RoleName(ParseRole(name).value()), name);
  EXPECT_FALSE(ParseRole("none"));
  EXPECT_FALSE(ParseRole("root"));
  const Principal technician{"jo", Role::kTechnician};
  EXPECT_TRUE(technician.Has(Role::kViewer));
  EXPECT_TRUE(technician.Has(Role::kTechnician));
  EXPECT_FALSE(technician.Has(Role::kEngineer));
}

}  // namespace
}  // namespace penstock::trust
