// SQL texts and what a syntax tree may look like: the guard judges any bytes and any JSON without
// harm, and what it lets through names only tables it was told of.
#include <cstdint>
#include <string_view>

#include "api/file_response.h"
#include "base/check.h"
#include "storage/sql_guard.h"

namespace {

// Names of all base tables in a tree.
void Tables(const penstock::Json& node, std::vector<std::string>& names) {
  std::vector<const penstock::Json*> open = {&node};
  while (!open.empty()) {
    const penstock::Json& one = *open.back();
    open.pop_back();
    if (one.is_object() && one.value("type", penstock::Json()) == "BASE_TABLE" &&
        one.contains("table_name") && one["table_name"].is_string())
      names.push_back(one["table_name"].get<std::string>());
    if (one.is_structured())
      for (const auto& item : one) open.push_back(&item);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto checked = storage::CheckSqlText(text); !checked) {
    CHECK(!checked.error().message.empty() && checked.error().pointer == "/sql");
  } else {
    CHECK(text.size() <= storage::kSqlBytesMax && text.find('\0') == text.npos);
  }
  CHECK(!storage::SqlErrorOf(text, "SELECT 1").message.empty());
  CHECK(storage::SqlPosition(text, size / 2).starts_with("line "));
  if (const auto range = api::ParseByteRange(text, 1000); range && *range)
    CHECK((*range)->first <= (*range)->last && (*range)->last < 1000);
  (void)api::MatchesEtag(text, "v1", true);

  const Json tree = Json::parse(text, nullptr, false);
  if (tree.is_discarded()) return 0;
  const storage::SqlNames names{.readable = {"pump"}, .hidden = {"badge"}};
  const auto judged = storage::CheckSqlTree(tree, "SELECT * FROM pump", names);
  if (!judged) {
    CHECK(!judged.error().message.empty());
    return 0;
  }
  std::vector<std::string> tables;
  Tables(tree, tables);
  for (const std::string& name : tables) CHECK(name != "badge");
  return 0;
}
