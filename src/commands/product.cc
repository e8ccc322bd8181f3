// `penstock product list|show|request|read|sql`: what data there is, who may read it, and the data
// itself on stdout.
#include <curl/curl.h>

#include <cstdio>

#include "commands/command.h"

namespace penstock::commands {
namespace {

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.')
      escaped += c;
    else
      escaped += fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return escaped;
}

std::string OrDash(const Json& item, const char* key) {
  const Json value = item.value(key, Json());
  return value.is_string() && !value.get<std::string>().empty() ? value.get<std::string>() : "-";
}

std::string AgeText(const Json& seconds) {
  if (!seconds.is_number()) return "no data";
  return FormatDuration(
             FromSeconds(static_cast<double>(static_cast<int64_t>(seconds.get<double>())))) +
         " ago";
}

std::string ContractText(const Json& item) {
  std::string text;
  for (const Json& contract : item.value("contracts", Json::array()))
    text +=
        (text.empty() ? "" : ", ") + contract.value("id", "") + "@" + OrDash(contract, "version");
  return text.empty() ? "-" : text;
}

void PrintList(const Json& items) {
  fmt::print("{:<18} {:<14} {:<14} {:<9} {:>12} {:>8}  {:<12} {}\n", "name", "domain", "owner",
             "access", "rows", "points", "newest", "contracts");
  for (const Json& item : items)
    fmt::print("{:<18} {:<14} {:<14} {:<9} {:>12} {:>8}  {:<12} {}\n", OrDash(item, "name"),
               OrDash(item, "domain"), OrDash(item, "owner"), OrDash(item, "access"),
               item.value("rows", 0LL), item.value("points", 0),
               AgeText(item.value("freshness_s", Json())), ContractText(item));
}

void PrintProduct(const Json& product) {
  fmt::print("{}  {}\n", OrDash(product, "name"), OrDash(product, "title"));
  if (const std::string text = OrDash(product, "description"); text != "-")
    fmt::print("  {}\n", text);
  fmt::print("  domain     {}\n  owner      {}\n  contract   {}\n", OrDash(product, "domain"),
             OrDash(product, "owner"), ContractText(product));
  fmt::print(
      "  access     {}, {}\n", OrDash(product, "access"),
      product.value("may_read", false) ? "you may read it" : "ask: penstock product request");
  fmt::print("  rows       {} from {} to {}, newest {}\n", product.value("rows", 0LL),
             OrDash(product, "first"), OrDash(product, "last"),
             AgeText(product.value("freshness_s", Json())));
  fmt::print("  kept       {}\n", FormatDuration(FromSeconds(product.value("retention_s", 0.0))));
  if (const Json deleted = product.value("deleted", Json()); deleted.is_object())
    fmt::print("  deleted    until {}, {} rows\n", OrDash(deleted, "until"),
               deleted.value("rows", 0LL));
  fmt::print("\n  {:<24} {:<10} {:<9} {:<13} {}\n", "field", "unit", "type", "class", "points");
  for (const Json& field : product.value("fields", Json::array()))
    fmt::print("  {:<24} {:<10} {:<9} {:<13} {}{}\n", OrDash(field, "name"), OrDash(field, "unit"),
               OrDash(field, "type"), OrDash(field, "classification"),
               field.value("points", Json::array()).size(),
               field.value("withheld", false) ? "  withheld from you" : "");
}

struct Sink {
  std::FILE* file = nullptr;
  CURL* curl = nullptr;
  std::string refusal;  // The body of an answer that is no success.
};

size_t Write(char* bytes, size_t size, size_t count, void* to) {
  auto* sink = static_cast<Sink*>(to);
  long status = 0;
  curl_easy_getinfo(sink->curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return std::fwrite(bytes, size, count, sink->file) * size;
  if (sink->refusal.size() < 65536) sink->refusal.append(bytes, size * count);
  return size * count;
}

// Streams an answer to a file as it comes, whatever its size.
Status Stream(const NodeAddress& node, const std::string& path, std::FILE* file) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(
      curl_slist_append(nullptr, ("Authorization: Bearer " + node.token).c_str()),
      curl_slist_free_all);
  const std::string url = node.url + path;
  Sink sink{file, curl.get(), ""};
  if (!node.certificate.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_CAINFO, node.certificate.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYHOST, 0L);
  }
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, 120L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, Write);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &sink);
  const CURLcode code = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (!sink.refusal.empty()) {
    const auto problem = ParseJson(sink.refusal);
    Error error{.code = status == 404   ? Code::kNotFound
                        : status == 403 ? Code::kPermissionDenied
                                        : Code::kInvalidArgument,
                .message = problem ? StringOr(*problem, "detail", "refused") : "refused"};
    error.fix = problem ? StringOr(*problem, "fix", "") : "";
    return std::unexpected(std::move(error));
  }
  if (code != CURLE_OK)
    return Unavailable("no whole answer from the node at {}: {}", node.url,
                       curl_easy_strerror(code));
  return {};
}

struct ReadOptions {
  std::string from, to, point, format = "csv", out;
  int64_t limit = 0;
};

Status ReadTo(const NodeAddress& node, std::string path, const std::string& out) {
  std::FILE* file = out.empty() ? stdout : std::fopen(out.c_str(), "wbe");
  if (file == nullptr) return FromErrno(errno, "cannot write " + out);
  Status status = Stream(node, path, file);
  if (std::fflush(file) != 0 && status) status = FromErrno(errno, "cannot write " + out);
  if (file != stdout) std::fclose(file);
  return status;
}

Status Read(const NodeAddress& node, const std::string& name, const ReadOptions& options) {
  if (options.format == "parquet" && options.out.empty() && IsTerminal(1)) {
    auto error = InvalidArgument("Parquet is not for a terminal");
    error.error().Fix("--out FILE.parquet");
    return error;
  }
  std::string path = "/api/v1/products/" + Escaped(name) + "/data?format=" + options.format;
  for (const auto& [key, value] :
       {std::pair("from", options.from), {"to", options.to}, {"point", options.point}})
    if (!value.empty()) path += fmt::format("&{}={}", key, Escaped(value));
  if (options.limit > 0) path += fmt::format("&limit={}", options.limit);
  return ReadTo(node, path, options.out);
}

// Finds the node and does the work with it.
void WithNode(Common& common, int* exit_code,
              const std::function<Status(const NodeAddress&)>& work) {
  const auto settings = SettingsOf(common);
  if (!settings) return void(*exit_code = Fail(common, settings.error()));
  const auto node = FindNode(*settings);
  if (!node) return void(*exit_code = Fail(common, node.error()));
  if (const Status done = work(*node); !done) {
    *exit_code = Fail(common, done.error());
    if (done.error().code == Code::kNotFound || done.error().code == Code::kPermissionDenied)
      *exit_code = kNo;
  }
}

}  // namespace

void AddProduct(CLI::App& app, Common& common, int* exit_code) {
  static std::string name, purpose, sql;
  static ReadOptions options;
  static bool personal = false;
  CLI::App* product =
      app.add_subcommand("product", "Data products: list, show, request, read, sql");
  product->require_subcommand(1);
  const auto add = [&](const char* verb, const char* summary, const char* example) {
    CLI::App* command = product->add_subcommand(verb, summary);
    command->footer(std::string("Example: ") + example);
    AddCommonOptions(*command, common);
    return command;
  };
  add("list", "What data there is, whose, how fresh", "penstock product list")
      ->callback([&common, exit_code] {
        WithNode(common, exit_code, [&](const NodeAddress& node) -> Status {
          ASSIGN_OR_RETURN(const Json answer, Ask(node, "GET", "/api/v1/products"));
          common.json ? PrintJson(answer) : PrintList(answer["items"]);
          return {};
        });
      });
  CLI::App* show = add("show", "Schema, owner, contract, access", "penstock product show pump");
  show->add_option("name", name, "Data product")->required();
  show->callback([&common, exit_code] {
    WithNode(common, exit_code, [&](const NodeAddress& node) -> Status {
      ASSIGN_OR_RETURN(const Json answer, Ask(node, "GET", "/api/v1/products/" + Escaped(name)));
      common.json ? PrintJson(answer) : PrintProduct(answer);
      return {};
    });
  });
  CLI::App* request = add("request", "Ask its owner to let you read",
                          "penstock product request pump \"seal leak study\"");
  request->add_option("name", name, "Data product")->required();
  request->add_option("purpose", purpose, "What the data is for")->required();
  request->add_flag("--personal", personal, "Personal values too");
  request->callback([&common, exit_code] {
    WithNode(common, exit_code, [&](const NodeAddress& node) -> Status {
      ASSIGN_OR_RETURN(const Json answer,
                       Ask(node, "POST", "/api/v1/products/" + Escaped(name) + "/access-requests",
                           {{"purpose", purpose}, {"personal", personal}}));
      if (common.json)
        PrintJson(answer);
      else
        fmt::print("request {} waits for the owner of {}\n", answer.value("id", 0LL), name);
      return {};
    });
  });
  CLI::App* read = add("read", "Its samples, on stdout or into a file",
                       "penstock product read pump --from 2026-01-31T08:00:00Z --out pump.csv");
  read->add_option("name", name, "Data product")->required();
  read->add_option("--from", options.from, "First time, RFC 3339");
  read->add_option("--to", options.to, "Time after the last, RFC 3339");
  read->add_option("--point", options.point, "thing/property, several by comma");
  read->add_option("--limit", options.limit, "At most so many rows");
  read->add_option("--format", options.format, "csv, ndjson, json or parquet")
      ->check(CLI::IsMember({"csv", "ndjson", "json", "parquet"}))
      ->capture_default_str();
  read->add_option("--out", options.out, "File to write, instead of stdout");
  read->callback([&common, exit_code] {
    WithNode(common, exit_code, [&](const NodeAddress& node) { return Read(node, name, options); });
  });
  CLI::App* question = add("sql", "One SELECT over the data products, as CSV (--json: as JSON)",
                           "penstock product sql 'SELECT point, avg(value) FROM pump GROUP BY 1'");
  question->add_option("sql", sql, "The question")->required();
  question->add_option("--out", options.out, "File to write, instead of stdout");
  question->callback([&common, exit_code] {
    WithNode(common, exit_code, [&](const NodeAddress& node) {
      return ReadTo(
          node,
          fmt::format("/api/v1/sql?format={}&sql={}", common.json ? "json" : "csv", Escaped(sql)),
          options.out);
    });
  });
}

}  // namespace penstock::commands
