// Read-only SQL over the data products that the asker may read.
#include "api/routes_products.h"
#include "base/bytes.h"

namespace penstock::api {
namespace {

constexpr int64_t kRowsUsual = 10'000, kRowsMax = 1'000'000;
constexpr Duration kTimeUsual = std::chrono::seconds(10), kTimeMax = std::chrono::seconds(60);
constexpr uint64_t kAnswerBytesMax = 256ULL << 20;

struct Asked {
  std::string sql;
  int64_t limit = kRowsUsual;
  Duration timeout = kTimeUsual;
};

Result<Asked> AskedBy(const Request& request) {
  Asked asked;
  std::string timeout;
  if (request.method == "POST") {
    ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"sql", "limit", "timeout", "format"}));
    ASSIGN_OR_RETURN(asked.sql, GetString(body, "sql"));
    if (body.contains("limit")) {
      ASSIGN_OR_RETURN(const double limit, GetNumber(body, "limit"));
      asked.limit =
          limit >= 1 && limit <= static_cast<double>(kRowsMax) ? static_cast<int64_t>(limit) : 0;
    }
    timeout = StringOr(body, "timeout", "");
  } else {
    asked.sql = request.Query("sql");
    ASSIGN_OR_RETURN(asked.limit, request.QueryInteger("limit", kRowsUsual, 1, kRowsMax));
    timeout = request.Query("timeout");
  }
  if (asked.limit < 1) {
    auto error = InvalidArgument("limit is not a number from 1 to {}", kRowsMax);
    error.error().At("/limit");
    return error;
  }
  if (timeout.empty()) return asked;
  const auto time = ParseDuration(timeout);
  if (!time || *time <= Duration(0) || *time > kTimeMax) {
    auto error = InvalidArgument("timeout is not a time up to {}: \"{}\"", FormatDuration(kTimeMax),
                                 timeout.substr(0, 40));
    error.error().At("/timeout").Fix("for example \"30s\"");
    return error;
  }
  asked.timeout = *time;
  return asked;
}

Result<Response> AnswerSql(const ProductServices& products, const Request& request) {
  ASSIGN_OR_RETURN(const Asked asked, AskedBy(request));
  Request wanted = request;
  if (request.method == "POST" && !request.query.contains("format"))
    if (const auto body = ParseJson(request.body))
      if (const std::string format = StringOr(*body, "format", ""); !format.empty())
        wanted.query["format"] = format;
  ASSIGN_OR_RETURN(const auto format, FormatOf(wanted, "json"));
  if (!format) return NotAcceptable(request);
  storage::SqlJob job;
  job.sql = asked.sql;
  job.rows_max = static_cast<uint64_t>(asked.limit);
  job.bytes_max = kAnswerBytesMax;
  job.format = format->format;
  job.cpu_seconds = static_cast<int>(ToSeconds(asked.timeout)) + 10;
  std::vector<std::shared_ptr<const void>> keep;
  std::vector<things::DataProduct> shown;
  std::string key = fmt::format("sql {} {} {}", request.principal.name, asked.limit, asked.sql);
  const auto list = products.products.List();
  for (const things::DataProduct& product : *list) {
    const auto permission = products.products.MayRead(request.principal, product);
    if (!permission && permission.error().code != Code::kPermissionDenied)
      return std::unexpected(permission.error());
    if (!permission) {
      for (const std::string& name : Products::TableOf(product, {}, {}).names)
        job.hidden.push_back(name);
      continue;
    }
    ASSIGN_OR_RETURN(auto table, products.products.TableOf(product, *permission, Time::min(),
                                                           Time::max(), keep));
    job.tables.push_back(std::move(table));
    if (!permission->personal) shown.push_back(product);
  }
  job.privacy = products.products.PrivacyOf(shown);
  if (job.format == storage::SqlFormat::kParquet)
    return ParquetResponse(products.questions, products.products, request, std::move(job),
                           asked.timeout, key, "answer.parquet", std::move(keep));
  return AnswerResponse(products.questions, std::move(job), asked.timeout, std::move(keep));
}

}  // namespace

void AddSqlRoutes(Router& router, const Services&, const ProductServices& p) {
  using trust::Role;
  const Json body = {{"type", "object"},
                     {"required", {"sql"}},
                     {"properties",
                      {{"sql", {{"type", "string"}, {"maxLength", 65536}}},
                       {"limit", {{"type", "integer"}, {"minimum", 1}, {"maximum", kRowsMax}}},
                       {"timeout", {{"type", "string"}, {"examples", {"30s"}}}},
                       {"format", {{"enum", {"json", "csv", "ndjson", "parquet"}}}}}}};
  router.Add({"GET",
              "/api/v1/sql",
              Role::kViewer,
              "One SELECT over the data products that you may read",
              [&p](const Request& r) { return AnswerSql(p, r); },
              nullptr,
              {"sql: the question", "limit: rows, 1 to 1000000, usually 10000",
               "timeout: up to 60s, usually 10s", "format: json, csv, ndjson or parquet"}});
  router.Add({"POST", "/api/v1/sql", Role::kViewer,
              "One SELECT over the data products that you may read",
              [&p](const Request& r) { return AnswerSql(p, r); }, body});
}

}  // namespace penstock::api
