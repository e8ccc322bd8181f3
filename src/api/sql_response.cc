// Answers of questions as bodies. The process behind a question is started when the header is due,
// on a thread that may wait, so that what is wrong with the question becomes a problem document and
// not a broken body.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "api/file_response.h"
#include "api/routes_products.h"
#include "base/file.h"

namespace penstock::api {
namespace {

using storage::SqlAnswer;
using storage::SqlFormat;
using storage::SqlJob;
using storage::SqlRunner;
using Kept = std::vector<std::shared_ptr<const void>>;

constexpr std::array<AnswerFormat, 4> kFormats = {
    {{SqlFormat::kJson, "json", "application/json"},
     {SqlFormat::kCsv, "csv", "text/csv; charset=utf-8"},
     {SqlFormat::kNdjson, "ndjson", "application/x-ndjson"},
     {SqlFormat::kParquet, "parquet", "application/vnd.apache.parquet"}}};
constexpr auto kExportLife = std::chrono::minutes(2);
constexpr size_t kExportsMax = 8;
constexpr uint64_t kExportBytesMax = 4ULL << 30;

class AnswerStream final : public BodyStream {
 public:
  AnswerStream(SqlRunner& runner, SqlJob job, Duration limit, Kept keep)
      : runner_(runner), job_(std::move(job)), limit_(limit), keep_(std::move(keep)) {}

  Response Head(Response planned) override {
    auto answer = runner_.Ask(job_, limit_);
    if (!answer) return Problem(answer.error());
    auto first = (*answer)->Next();
    if (!first) return Problem(first.error());
    answer_ = std::move(*answer);
    first_ = std::move(*first);
    return planned;
  }
  Result<std::string> Next() override {
    if (!first_.empty()) return std::exchange(first_, std::string());
    return answer_->Next();
  }

 private:
  SqlRunner& runner_;
  const SqlJob job_;
  const Duration limit_;
  const Kept keep_;
  std::unique_ptr<SqlAnswer> answer_;
  std::string first_;
};

// Parquet answers that were made a moment ago, by question.
class Exports {
 public:
  struct Export {
    std::mutex making;  // Who asks for the same waits for the first to have made it.
    bool made = false;
    std::string path, etag;
    std::shared_ptr<const void> keep;
    std::chrono::steady_clock::time_point at = std::chrono::steady_clock::now();
  };
  std::shared_ptr<Export> Of(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(exports_,
                  [&](const auto& entry) { return now - entry.second->at > kExportLife; });
    auto& entry = exports_[key];
    if (!entry) entry = std::make_shared<Export>();
    while (exports_.size() > kExportsMax)
      exports_.erase(std::min_element(exports_.begin(), exports_.end(), [](auto& a, auto& b) {
        return a.second->at < b.second->at;
      }));
    const auto found = exports_.find(key);
    return found != exports_.end() ? found->second : std::make_shared<Export>();
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Export>> exports_;
};

Exports& TheExports() {
  static Exports exports;
  return exports;
}

class ParquetStream final : public BodyStream {
 public:
  ParquetStream(SqlRunner& runner, Products& products, Request request, SqlJob job, Duration limit,
                std::string key, std::string name, Kept keep)
      : runner_(runner),
        products_(products),
        request_(std::move(request)),
        job_(std::move(job)),
        limit_(limit),
        key_(std::move(key)),
        name_(std::move(name)),
        keep_(std::move(keep)) {}

  Response Head(Response) override {
    const auto made = TheExports().Of(key_);
    const std::lock_guard lock(made->making);
    if (!made->made) {
      if (const Status status = Make(*made); !status) return Problem(status.error());
      made->made = true;
    }
    auto response = FileResponse(
        request_, {.path = made->path, .etag = made->etag, .name = name_, .keep = made->keep});
    return response ? std::move(*response) : Problem(response.error());
  }
  Result<std::string> Next() override { return std::string(); }

 private:
  Status Make(Exports::Export& made) {
    made.path = products_.NewFile("-export.parquet");
    made.keep = RemoveWhenUnused(made.path);
    const std::string file = made.path.substr(made.path.rfind('/') + 1);
    made.etag = fmt::format("x{}-{}", file.substr(0, file.find('-')), getpid());
    ASSIGN_OR_RETURN(const uint64_t free, FreeBytes(products_.parts().folder));
    job_.output = made.path;
    job_.bytes_max = std::min(kExportBytesMax, free / 4);
    ASSIGN_OR_RETURN(const auto answer, runner_.Ask(job_, limit_));
    while (true) {
      ASSIGN_OR_RETURN(const std::string block, answer->Next());
      if (block.empty()) return {};
    }
  }

  SqlRunner& runner_;
  Products& products_;
  const Request request_;
  SqlJob job_;
  const Duration limit_;
  const std::string key_, name_;
  const Kept keep_;
};

// The weight that an Accept header gives this type; 0: not accepted.
double WeightOf(std::string_view accept, std::string_view type) {
  type = type.substr(0, type.find(';'));
  const std::string_view group = type.substr(0, type.find('/') + 1);
  double best = 0;
  size_t best_length = 0;
  while (!accept.empty()) {
    const size_t comma = accept.find(',');
    std::string_view one = accept.substr(0, comma);
    accept = comma == accept.npos ? std::string_view() : accept.substr(comma + 1);
    double weight = 1;
    if (const size_t q = one.find(";q="); q != one.npos)
      std::from_chars(one.data() + q + 3, one.data() + one.size(), weight);
    one = one.substr(0, one.find(';'));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    const bool fits = one == type || one == "*/*" ||
                      (one.ends_with("/*") && one.substr(0, one.size() - 1) == group);
    if (!fits || one.size() < best_length) continue;
    best = weight;
    best_length = one.size();
  }
  return best;
}

}  // namespace

Result<std::optional<AnswerFormat>> FormatOf(const Request& request, std::string_view otherwise) {
  const auto named = [&](std::string_view name) {
    return std::find_if(kFormats.begin(), kFormats.end(),
                        [&](const AnswerFormat& format) { return format.name == name; });
  };
  if (const std::string asked = request.Query("format"); !asked.empty()) {
    const auto* const found = named(asked);
    if (found != kFormats.end()) return std::optional(*found);
    auto error = InvalidArgument("no such format: {}", asked.substr(0, 40));
    error.error().At("?format").Fix("json, csv, ndjson or parquet");
    return error;
  }
  const std::string accept = request.Header("accept");
  const AnswerFormat usual = *named(otherwise);
  if (accept.empty()) return std::optional(usual);
  // What is usual wins among equals.
  std::optional<AnswerFormat> best;
  double weight = 0;
  const auto consider = [&](const AnswerFormat& format) {
    if (const double given = WeightOf(accept, format.content_type); given > weight) {
      weight = given;
      best = format;
    }
  };
  consider(usual);
  for (const AnswerFormat& format : kFormats) consider(format);
  return best;
}

Response NotAcceptable(const Request& request) {
  Error error{.code = Code::kInvalidArgument,
              .message = fmt::format("none of these types can be given: {}",
                                     request.Header("accept").substr(0, 200))};
  error.Fix(
      "Accept: application/json, text/csv, application/x-ndjson or "
      "application/vnd.apache.parquet");
  return ProblemAs(406, error);
}

Response AnswerResponse(SqlRunner& runner, SqlJob job, Duration limit, Kept keep) {
  Response response;
  response.content_type = kFormats[static_cast<size_t>(job.format)].content_type;
  for (const AnswerFormat& format : kFormats)
    if (format.format == job.format) response.content_type = format.content_type;
  response.headers.emplace_back("Vary", "Authorization, Cookie, Accept");
  response.stream = std::make_shared<AnswerStream>(runner, std::move(job), limit, std::move(keep));
  return response;
}

Response ParquetResponse(SqlRunner& runner, Products& products, const Request& request, SqlJob job,
                         Duration limit, const std::string& key, const std::string& name,
                         Kept keep) {
  Response response;
  response.stream = std::make_shared<ParquetStream>(runner, products, request, std::move(job),
                                                    limit, key, name, std::move(keep));
  return response;
}

}  // namespace penstock::api
