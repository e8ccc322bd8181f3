#include "trust/titles.h"

#include <algorithm>

#include "trust/principal.h"

namespace penstock::trust {
namespace {

Status CheckTitle(const std::string& title, size_t position) {
  const bool ok = !title.empty() && title.size() <= 64 &&
                  std::all_of(title.begin(), title.end(), [](unsigned char c) {
                    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                  });
  if (ok && !ParseRole(title)) return {};
  auto error = ok ? InvalidArgument("\"{}\" is an access role, not a title", title)
                  : InvalidArgument("\"{}\" is no title", title.substr(0, 64));
  error.error()
      .At(fmt::format("/titles/{}", position))
      .Fix("1 to 64 of a-z, 0-9 and -: plant-manager");
  return error;
}

Result<std::vector<std::string>> Texts(Result<std::vector<storage::SqlRow>> rows) {
  if (!rows) return std::unexpected(rows.error());
  std::vector<std::string> texts;
  for (const auto& row : *rows) texts.push_back(row.Text(0));
  return texts;
}

}  // namespace

Result<std::unique_ptr<Titles>> Titles::Open(storage::Records& records, AuditLog& audit) {
  TRY(records.Migrate(
      "titles", {{1,
                  "CREATE TABLE titles(name TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,"
                  " title TEXT NOT NULL, PRIMARY KEY(name, title)) WITHOUT ROWID;"
                  "CREATE INDEX titles_by_title ON titles(title);"}}));
  return std::unique_ptr<Titles>(new Titles(records, audit));
}

Status Titles::Set(const std::string& actor, const std::string& user,
                   std::vector<std::string> titles) {
  for (size_t i = 0; i < titles.size(); ++i) TRY(CheckTitle(titles[i], i));
  std::sort(titles.begin(), titles.end());
  titles.erase(std::unique(titles.begin(), titles.end()), titles.end());
  if (titles.size() > kTitlesMax) {
    auto error = InvalidArgument("{} titles, at most {}", titles.size(), kTitlesMax);
    error.error().At("/titles");
    return error;
  }
  return records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(const auto known, records_.Query("SELECT 1 FROM users WHERE name=?", {user}));
    if (known.empty()) return NotFound("user unknown: {}", user.substr(0, 64));
    ASSIGN_OR_RETURN(const auto before, Of(user));
    if (before == titles) return {};
    TRY(records_.Run("DELETE FROM titles WHERE name=?", {user}));
    for (const std::string& title : titles)
      TRY(records_.Run("INSERT INTO titles(name, title) VALUES(?,?)", {user, title}));
    TRY(audit_.Append(actor, "user.titles", user, "", {{"from", before}, {"to", titles}}));
    return {};
  });
}

Result<std::vector<std::string>> Titles::Of(const std::string& user) const {
  return Texts(records_.Query("SELECT title FROM titles WHERE name=? ORDER BY title", {user}));
}

Result<std::vector<std::string>> Titles::Holders(const std::string& title) const {
  return Texts(records_.Query("SELECT name FROM titles WHERE title=? ORDER BY name", {title}));
}

}  // namespace penstock::trust
