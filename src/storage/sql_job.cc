#include "storage/sql_job.h"

#include <array>

namespace penstock::storage {
namespace {

constexpr std::array<std::string_view, 4> kFormats = {"json", "ndjson", "csv", "parquet"};

Result<std::vector<std::string>> TextsIn(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array()) return InvalidArgument("{} is no list", key);
  std::vector<std::string> texts;
  for (const Json& text : *found) {
    if (!text.is_string()) return InvalidArgument("{} has an entry that is no text", key);
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

uint64_t NumberOf(const Json& json, const char* key, uint64_t otherwise) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned() ? found->get<uint64_t>() : otherwise;
}

}  // namespace

Json SqlJob::ToJson() const {
  Json list = Json::array();
  for (const SqlTable& table : tables)
    list.push_back({{"names", table.names},
                    {"files", table.files},
                    {"without", table.without},
                    {"private", table.private_ones}});
  return {{"sql", sql},
          {"trusted", trusted},
          {"tables", std::move(list)},
          {"hidden", hidden},
          {"format", kFormats[static_cast<size_t>(format)]},
          {"output", output},
          {"rows_max", rows_max},
          {"bytes_max", bytes_max},
          {"memory_mb", memory_mb},
          {"threads", static_cast<uint64_t>(threads)},
          {"cpu_seconds", static_cast<uint64_t>(cpu_seconds)},
          {"privacy", privacy}};
}

Result<SqlJob> SqlJob::FromJson(const Json& json) {
  SqlJob job;
  ASSIGN_OR_RETURN(job.sql, GetString(json, "sql"));
  job.trusted = BoolOr(json, "trusted", false);
  const auto tables = json.find("tables");
  if (tables == json.end() || !tables->is_array()) return InvalidArgument("tables is no list");
  for (const Json& entry : *tables) {
    SqlTable table;
    ASSIGN_OR_RETURN(table.names, TextsIn(entry, "names"));
    ASSIGN_OR_RETURN(table.files, TextsIn(entry, "files"));
    ASSIGN_OR_RETURN(table.without, TextsIn(entry, "without"));
    ASSIGN_OR_RETURN(table.private_ones, TextsIn(entry, "private"));
    job.tables.push_back(std::move(table));
  }
  ASSIGN_OR_RETURN(job.hidden, TextsIn(json, "hidden"));
  const std::string format = StringOr(json, "format", "");
  for (size_t i = 0;; ++i) {
    if (i == kFormats.size()) return InvalidArgument("no such format: {}", format.substr(0, 40));
    if (kFormats[i] != format) continue;
    job.format = static_cast<SqlFormat>(i);
    break;
  }
  job.output = StringOr(json, "output", "");
  job.rows_max = NumberOf(json, "rows_max", UINT64_MAX);
  job.bytes_max = NumberOf(json, "bytes_max", UINT64_MAX);
  job.memory_mb = NumberOf(json, "memory_mb", job.memory_mb);
  job.threads = static_cast<int>(NumberOf(json, "threads", 1));
  job.cpu_seconds = static_cast<int>(NumberOf(json, "cpu_seconds", 60));
  job.privacy = StringOr(json, "privacy", "");
  return job;
}

std::string SqlFrameHead(SqlFrame kind, size_t length) {
  std::string head(1, static_cast<char>(kind));
  for (int shift = 0; shift < 32; shift += 8) head += static_cast<char>(length >> shift & 0xFF);
  return head;
}

Json ErrorToJson(const Error& error) {
  return {{"code", static_cast<int>(error.code)},
          {"message", error.message},
          {"pointer", error.pointer},
          {"fix", error.fix}};
}

Error ErrorFromJson(const Json& json) {
  Error error{.code = static_cast<Code>(static_cast<int>(NumberOr(json, "code", 13))),
              .message = StringOr(json, "message", "no reason given")};
  error.pointer = StringOr(json, "pointer", "");
  error.fix = StringOr(json, "fix", "");
  return error;
}

}  // namespace penstock::storage
