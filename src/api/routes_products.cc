// The catalogue of data products, and their rows: as files with ranges, as CSV, lines or Parquet of
// a time range, as live events.
#include "api/routes_products.h"

#include <algorithm>
#include <set>

#include "api/file_response.h"
#include "api/routes.h"
#include "storage/duck.h"

namespace penstock::api {
namespace {

using things::DataProduct;
using things::ProductField;

constexpr Duration kExportTime = std::chrono::minutes(10);
constexpr int kExportCpuSeconds = 600;
constexpr int64_t kExportRowsMax = int64_t{1} << 40;
constexpr size_t kSampleRows = 200;

struct ProductParts {
  const Services& node;
  const ProductServices& products;
};

std::string_view TypeText(things::ValueType type) {
  constexpr std::array<std::string_view, 5> kNames = {"number", "integer", "boolean", "string",
                                                      "waveform"};
  return kNames[static_cast<size_t>(type)];
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

// The newest source time among the product's points.
std::optional<Time> NewestOf(const Services& node, const DataProduct& product) {
  const auto snapshot = node.directory.snapshot();
  std::optional<Time> newest;
  for (const ProductField& field : product.fields)
    for (const std::string& path : field.points)
      if (const things::Point* point = snapshot->FindPoint(path))
        if (const auto live = node.live.Get(point->id))
          newest = newest ? std::max(*newest, live->time) : live->time;
  return newest;
}

Json ProductJson(const ProductParts& parts, const Request& request, const DataProduct& product,
                 const storage::ProductSize& size) {
  const auto& products = parts.products.products;
  const auto newest = NewestOf(parts.node, product);
  const auto permission = products.MayRead(request.principal, product);
  const Time now = parts.node.clock.Now();
  Json contracts = Json::array();
  for (const auto& contract : product.contracts)
    contracts.push_back({{"id", contract.id},
                         {"version", TextOrNull(contract.version)},
                         {"status", TextOrNull(contract.status)}});
  std::optional<Time> last = size.files > 0 ? std::optional(size.last) : std::nullopt;
  if (newest) last = last ? std::max(*last, *newest) : *newest;
  return {{"name", product.name},
          {"title", product.title},
          {"domain", TextOrNull(product.domain)},
          {"owner", TextOrNull(product.owner)},
          {"team", TextOrNull(product.team)},
          {"description", product.description},
          {"contracts", std::move(contracts)},
          {"models", product.models},
          {"classification", product.classification},
          {"access", product.access == things::ProductAccess::kOpen ? "open" : "request"},
          {"may_read", permission.has_value()},
          {"personal", permission && permission->personal},
          {"owned", products.IsOwner(request.principal, product)},
          {"retention_s", ToSeconds(product.retention)},
          {"promised_freshness_s",
           product.freshness.count() > 0 ? Json(ToSeconds(product.freshness)) : Json(nullptr)},
          {"freshness_s", last ? Json(std::max(0.0, ToSeconds(now - *last))) : Json(nullptr)},
          {"first", size.files > 0 ? Json(FormatTime(size.first)) : Json(nullptr)},
          {"last", last ? Json(FormatTime(*last)) : Json(nullptr)},
          {"rows", size.file_rows + size.tail_rows},
          {"bytes", size.file_bytes},
          {"files", size.files},
          {"points", product.points()},
          {"things", product.things}};
}

Result<Response> ListProducts(const ProductParts& parts, const Request& request) {
  std::map<std::string, storage::ProductSize> sizes;
  for (auto& size : parts.node.history.Products()) sizes[size.product] = size;
  Json items = Json::array();
  const auto list = parts.products.products.List();
  for (const DataProduct& product : *list)
    items.push_back(ProductJson(parts, request, product, sizes[product.name]));
  return ListResponse(std::move(items));
}

// The last values of the points, a few of each field.
Json SampleOf(const ProductParts& parts, const DataProduct& product, ReadPermission permission) {
  const auto snapshot = parts.node.directory.snapshot();
  Json rows = Json::array();
  const size_t per_field =
      std::max<size_t>(1, kSampleRows / std::max<size_t>(1, product.fields.size()));
  for (const ProductField& field : product.fields) {
    if (field.classification == "personal" && !permission.personal) continue;
    for (size_t i = 0; i < field.points.size() && i < per_field; ++i) {
      const things::Point* point = snapshot->FindPoint(field.points[i]);
      const auto live = point != nullptr ? parts.node.live.Get(point->id) : std::nullopt;
      if (!live || rows.size() >= kSampleRows) continue;
      rows.push_back({{"point", field.points[i]},
                      {"time", FormatTime(live->time)},
                      {"value", ValueJson(parts.node, point->type, live->value)},
                      {"quality", telemetry::QualityName(live->quality)}});
    }
  }
  return rows;
}

Json FieldsJson(const DataProduct& product, bool withheld) {
  Json fields = Json::array();
  for (const ProductField& field : product.fields)
    fields.push_back(
        {{"name", field.name},
         {"kind", TextOrNull(field.kind)},
         {"title", field.title},
         {"description", field.description},
         {"unit", field.unit},
         {"type", TypeText(field.type)},
         {"sample_rate_hz", field.sample_rate_hz > 0 ? Json(field.sample_rate_hz) : Json(nullptr)},
         {"classification", field.classification},
         {"withheld", withheld && field.classification == "personal"},
         {"points", field.points}});
  return fields;
}

Result<Response> OneProduct(const ProductParts& parts, const Request& request) {
  auto& products = parts.products.products;
  ASSIGN_OR_RETURN(const DataProduct product, products.Find(request.At("name")));
  Json body = ProductJson(parts, request, product, products.SizeOf(product.name));
  const auto permission = products.MayRead(request.principal, product);
  body["fields"] = FieldsJson(product, !permission || !permission->personal);
  body["readers"] = product.readers;
  body["sample"] = permission ? SampleOf(parts, product, *permission) : Json::array();
  body["deleted"] = parts.products.deleted(product.name);
  ASSIGN_OR_RETURN(const auto mine,
                   products.parts().access.List(product.name, request.principal.name, 0, 1));
  body["my_request"] = mine.empty() ? Json(nullptr) : mine[0].ToJson(parts.node.clock.Now());
  return JsonResponse(body);
}

Json FileJson(const std::string& href, const storage::HistoryFileView& file,
              const std::string& name, bool filtered) {
  return {{"href", href},
          {"day", file.day},
          {"file", name},
          {"level", file.level},
          {"rows", filtered ? Json(nullptr) : Json(file.rows)},
          {"bytes", filtered ? Json(nullptr) : Json(file.bytes)},
          {"first", FormatTime(file.first)},
          {"last", FormatTime(file.last)},
          {"etag", filtered ? Json(nullptr) : Json(fmt::format("{}-{}", name, file.bytes))},
          {"filtered", filtered}};
}

std::string NameOfFile(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string UrlEscaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '@')
      escaped += c;
    else
      escaped += fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return escaped;
}

Result<Response> ListFiles(const ProductParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const auto readable, ReadableProduct(parts.products, request));
  const auto& [product, permission] = readable;
  ASSIGN_OR_RETURN(const TimeRange range,
                   RangeOf(request, parts.node.clock.Now() + std::chrono::days(1),
                           parts.node.clock.Now().time_since_epoch() + std::chrono::days(1)));
  ASSIGN_OR_RETURN(const auto files, parts.products.products.Files(product.name));
  const bool filtered = Products::HidesFrom(product, permission);
  const std::string base = "/api/v1/products/" + UrlEscaped(product.name) + "/files/";
  Json items = Json::array();
  for (const auto& file : files->files) {
    if (file.last < range.from || file.first >= range.to) continue;
    const std::string name = NameOfFile(file.path);
    items.push_back(FileJson(base + file.day + "/" + name, file, name, filtered));
  }
  if (files->tail && files->tail->last >= range.from && files->tail->first < range.to) {
    const std::string name = files->tail_name + ".parquet";
    items.push_back(FileJson(base + "tail/" + name, *files->tail, name, filtered));
  }
  return ListResponse(std::move(items));
}

struct FoundFile {
  storage::HistoryFileView view;
  std::shared_ptr<const void> keep;
};

Result<FoundFile> FindFile(Products& products, const DataProduct& product, const Request& request) {
  const std::string& day = request.At("day");
  const std::string& name = request.At("file");
  if (day == "tail") {
    const std::string tail = name.substr(0, name.rfind(".parquet"));
    ASSIGN_OR_RETURN(const auto files, products.Tail(product.name, tail));
    return FoundFile{*files->tail, files};
  }
  ASSIGN_OR_RETURN(const auto files, products.Files(product.name));
  for (const auto& file : files->files)
    if (file.day == day && NameOfFile(file.path) == name) {
      if (!file.archived) return FoundFile{file, files};
      ASSIGN_OR_RETURN(const auto local, products.Local(file));
      return FoundFile{local, local.keep};
    }
  auto error =
      NotFound("no such file of {}: {}/{}", product.name, day.substr(0, 20), name.substr(0, 100));
  error.error().Fix("list the files again: small ones become larger ones, old ones are deleted");
  return error;
}

Result<Response> OneFile(const ProductParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const auto readable, ReadableProduct(parts.products, request));
  const auto& [product, permission] = readable;
  auto& products = parts.products.products;
  ASSIGN_OR_RETURN(const FoundFile found, FindFile(products, product, request));
  const std::string name = NameOfFile(request.At("file"));
  if (!Products::HidesFrom(product, permission))
    return FileResponse(request, {.path = found.view.path,
                                  .etag = fmt::format("{}-{}", name, found.view.bytes),
                                  .keep = found.keep});
  storage::SqlJob job;
  job.trusted = true;
  job.sql = "SELECT * FROM \"" + product.name + "\"";
  job.tables = {Products::TableOf(product, permission, {found.view.path})};
  job.privacy = products.PrivacyOf({&product, 1});
  job.format = storage::SqlFormat::kParquet;
  job.cpu_seconds = kExportCpuSeconds;
  return ParquetResponse(parts.products.exports, products, request, std::move(job), kExportTime,
                         "file " + found.view.path, name, {found.keep});
}

// ?point= of the product, by comma; all when there is none.
Result<std::string> PointCondition(const DataProduct& product, const Request& request) {
  const std::string wanted = request.Query("point");
  std::string list;
  for (size_t at = 0; at < wanted.size();) {
    const size_t end = std::min(wanted.find(',', at), wanted.size());
    const std::string path = wanted.substr(at, end - at);
    at = end + 1;
    const auto has = [&](const ProductField& field) {
      return std::find(field.points.begin(), field.points.end(), path) != field.points.end();
    };
    if (std::none_of(product.fields.begin(), product.fields.end(), has))
      return NotFound("the data product {} has no point {}", product.name, path.substr(0, 100));
    list += (list.empty() ? "" : ",") + storage::SqlText(path);
  }
  return list.empty() ? "" : " AND point IN (" + list + ")";
}

Time Literal(Time time) {
  constexpr Time kEnd = std::chrono::sys_days(std::chrono::year(2262) / 1 / 1);
  return std::clamp(time, Time{}, kEnd);
}

Result<Response> Data(const ProductParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const auto readable, ReadableProduct(parts.products, request));
  const auto& [product, permission] = readable;
  auto& products = parts.products.products;
  ASSIGN_OR_RETURN(const auto format, FormatOf(request, "csv"));
  if (!format) return NotAcceptable(request);
  ASSIGN_OR_RETURN(const TimeRange range,
                   RangeOf(request, parts.node.clock.Now() + std::chrono::hours(1),
                           parts.node.clock.Now().time_since_epoch() + std::chrono::hours(1)));
  ASSIGN_OR_RETURN(const int64_t limit,
                   request.QueryInteger("limit", kExportRowsMax, 1, kExportRowsMax));
  ASSIGN_OR_RETURN(const std::string points, PointCondition(product, request));
  const std::string order = request.Query("order");
  if (!order.empty() && order != "time") {
    auto error = InvalidArgument("?order={} is not time", order.substr(0, 40));
    error.error().Fix("leave it out: files are sorted by point and time");
    return error;
  }
  storage::SqlJob job;
  job.trusted = true;
  std::vector<std::shared_ptr<const void>> keep;
  ASSIGN_OR_RETURN(auto table, products.TableOf(product, permission, range.from, range.to, keep));
  table.names = {"product"};
  job.tables.push_back(std::move(table));
  job.sql = fmt::format("SELECT * FROM product WHERE time >= {} AND time < {}{}{}",
                        storage::SqlTime(Literal(range.from)), storage::SqlTime(Literal(range.to)),
                        points, order.empty() ? "" : " ORDER BY time, point");
  job.rows_max = static_cast<uint64_t>(limit);
  job.privacy = permission.personal ? "" : products.PrivacyOf({&product, 1});
  job.format = format->format;
  job.cpu_seconds = kExportCpuSeconds;
  if (job.format != storage::SqlFormat::kParquet)
    return AnswerResponse(parts.products.exports, std::move(job), kExportTime, std::move(keep));
  if (job.rows_max == static_cast<uint64_t>(kExportRowsMax)) job.rows_max = UINT64_MAX;
  const std::string key =
      fmt::format("data {} {} {} {} {} {} {}", product.name, permission.personal,
                  request.Query("from"), request.Query("to"), points, order, limit);
  return ParquetResponse(parts.products.exports, products, request, std::move(job), kExportTime,
                         key, UrlEscaped(product.name) + ".parquet", std::move(keep));
}

Result<Response> Live(const ProductParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const auto readable, ReadableProduct(parts.products, request));
  const auto& [product, permission] = readable;
  std::set<std::string> without;
  if (!permission.personal)
    for (const ProductField& field : product.fields)
      if (field.classification == "personal")
        without.insert(field.points.begin(), field.points.end());
  Response response;
  ASSIGN_OR_RETURN(response.events, parts.products.feed.Listen(product.name, std::move(without)));
  return response;
}

}  // namespace

Result<std::pair<DataProduct, ReadPermission>> ReadableProduct(const ProductServices& products,
                                                               const Request& request) {
  ASSIGN_OR_RETURN(DataProduct product, products.products.Find(request.At("name")));
  ASSIGN_OR_RETURN(const ReadPermission permission,
                   products.products.MayRead(request.principal, product));
  return std::pair(std::move(product), permission);
}

void AddProductRoutes(Router& router, const Services& services, const ProductServices& products) {
  using trust::Role;
  const ProductParts p{services, products};
  const std::vector<std::string> range = {"from: RFC 3339 time", "to: RFC 3339 time"};
  router.Add({"GET", "/api/v1/products", Role::kViewer,
              "Data products: domain, owner, contract, freshness, access",
              [p](const Request& r) { return ListProducts(p, r); }});
  router.Add({"GET", "/api/v1/products/{name}", Role::kViewer,
              "One data product with its schema and a sample",
              [p](const Request& r) { return OneProduct(p, r); }});
  router.Add({"GET", "/api/v1/products/{name}/files", Role::kViewer,
              "Its Parquet files, the rows not yet in one as one more",
              [p](const Request& r) { return ListFiles(p, r); }, nullptr, range});
  router.Add({"GET", "/api/v1/products/{name}/files/{day}/{file}", Role::kViewer,
              "One Parquet file, whole or a range of bytes",
              [p](const Request& r) { return OneFile(p, r); }});
  router.Add(
      {"GET",
       "/api/v1/products/{name}/data",
       Role::kViewer,
       "Samples of a time as CSV, JSON, lines of JSON or one Parquet file (by Accept)",
       [p](const Request& r) { return Data(p, r); },
       nullptr,
       {range[0], range[1], "point: thing/property, several by comma", "limit: rows",
        "order: time; usually by file, point and time", "format: csv, json, ndjson or parquet"}});
  router.Add({"GET", "/api/v1/products/{name}/live", Role::kViewer,
              "Its samples as they become durable, as server-sent events",
              [p](const Request& r) { return Live(p, r); }});
}

}  // namespace penstock::api
