// Every request body is in memory (a part is at most 64 MiB), so that its digest can be signed and
// the request sent again. A transfer that stands still for 30 s is broken off; there is no limit
// on the whole, since a file may be large and a line slow.
//
// What is tried again: connections that fail, 408, 429, 500, 502, 503, 504, and the 400
// "RequestTimeout" that S3 sends when a body arrives too slowly. The wait before try n is random
// in [0, 100 ms * 2^n), at most 5 s ("full jitter": Brooker, "Exponential Backoff And Jitter").
#include "storage/s3_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/metrics.h"
#include "storage/s3_xml.h"

namespace penstock::storage {
namespace {

constexpr size_t kBodyMax = 8 << 20;
constexpr size_t kHeadersMax = 64 << 10;
constexpr long kConnectTimeoutMs = 5000;
constexpr long kStallSeconds = 30;
constexpr size_t kIdleMax = 8;

Metric& Retries() {
  static Metric& metric =
      Counter("penstock_s3_retries_total", "Requests to S3 storage that were tried again.");
  return metric;
}

std::unexpected<Error> BadAddress(std::string_view what, std::string_view text) {
  auto error = InvalidArgument("{}: \"{}\"", what, text.substr(0, 200));
  error.error().Fix("s3://BUCKET[/PREFIX]@HOST[:PORT][?region=R&tls=off&ca=FILE]");
  return error;
}

bool LoopbackHost(std::string_view host) {
  return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

const char* Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<S3Credentials> CredentialsOfFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  const std::string profile = *Env("AWS_PROFILE") != 0 ? Env("AWS_PROFILE") : "default";
  S3Credentials found;
  bool mine = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line;
    for (const char c : text.substr(at, end - at))
      if (c != ' ' && c != '\t' && c != '\r') line += c;
    at = end + 1;
    if (line.starts_with('[')) mine = line == "[" + profile + "]";
    const size_t sign = line.find('=');
    if (!mine || sign == std::string::npos) continue;
    const std::string name = line.substr(0, sign), value = line.substr(sign + 1);
    if (name == "aws_access_key_id") found.access_key = value;
    if (name == "aws_secret_access_key") found.secret_key = value;
    if (name == "aws_session_token") found.session_token = value;
  }
  if (!found.access_key.empty() && !found.secret_key.empty()) return found;
  auto error = Unauthenticated("no key pair in profile [{}]", profile);
  error.error().Where(path).Fix("aws_access_key_id and aws_secret_access_key under it");
  return error;
}

std::unexpected<Error> ErrorOf(int status, const S3ErrorAnswer& said, const std::string& what) {
  Code code = Code::kUnknown;
  std::string fix;
  if (status == 404) code = Code::kNotFound;
  if (status == 400) code = Code::kInvalidArgument;
  if (status == 401 || status == 403) code = Code::kPermissionDenied;
  if (status == 409 || status == 412 || status == 416) code = Code::kFailedPrecondition;
  if (status == 408 || status == 429 || status >= 500) code = Code::kUnavailable;
  if (status == 507) code = Code::kResourceExhausted;
  if (said.code == "RequestTimeTooSkewed") fix = "set this machine's clock";
  if (said.code == "NoSuchBucket") code = Code::kFailedPrecondition, fix = "create the bucket";
  if (code == Code::kPermissionDenied && fix.empty())
    fix = "check the credentials and their rights on the bucket";
  Error error{.code = code,
              .message = fmt::format("{}: answered {} {} {}", what, status, said.code,
                                     said.message.substr(0, 200))};
  error.fix = fix;
  return std::unexpected(std::move(error));
}

}  // namespace

Result<S3Address> ParseS3Address(std::string_view text) {
  constexpr std::string_view kScheme = "s3://";
  std::string_view rest = text;
  if (!rest.starts_with(kScheme)) return BadAddress("no S3 address", text);
  rest.remove_prefix(kScheme.size());
  S3Address address;
  const size_t question = std::min(rest.find('?'), rest.size());
  std::string_view options = rest.substr(std::min(question + 1, rest.size()));
  rest = rest.substr(0, question);
  const size_t at = rest.rfind('@');
  if (at == std::string_view::npos) return BadAddress("no @HOST in the S3 address", text);
  address.host = rest.substr(at + 1);
  const std::string_view place = rest.substr(0, at);
  const size_t slash = std::min(place.find('/'), place.size());
  address.bucket = place.substr(0, slash);
  address.prefix = place.substr(std::min(slash + 1, place.size()));
  while (address.prefix.ends_with('/')) address.prefix.pop_back();
  if (!address.prefix.empty()) {
    if (!CheckBlobKey(address.prefix)) return BadAddress("no usable prefix", text);
    address.prefix += '/';
  }
  constexpr std::string_view kBucket = "abcdefghijklmnopqrstuvwxyz0123456789.-";
  if (address.bucket.size() < 3 || address.bucket.size() > 63 ||
      address.bucket.find_first_not_of(kBucket) != std::string::npos)
    return BadAddress("no bucket name (3 to 63 of a-z 0-9 . -)", text);
  if (address.host.empty() || address.host.find_first_of("/ \r\n") != std::string::npos)
    return BadAddress("no host", text);
  while (!options.empty()) {
    const size_t end = std::min(options.find('&'), options.size());
    const std::string_view option = options.substr(0, end);
    options.remove_prefix(std::min(end + 1, options.size()));
    if (option.starts_with("region=")) {
      address.region = option.substr(7);
    } else if (option == "tls=off") {
      address.tls = false;
    } else if (option.starts_with("ca=")) {
      address.ca_file = option.substr(3);
    } else {
      return BadAddress("unknown option in the S3 address", option);
    }
  }
  if (!address.tls && !LoopbackHost(address.host))
    return BadAddress("tls=off is for loopback only", text);
  return address;
}

Result<S3Credentials> FindS3Credentials() {
  S3Credentials credentials{Env("AWS_ACCESS_KEY_ID"), Env("AWS_SECRET_ACCESS_KEY"),
                            Env("AWS_SESSION_TOKEN")};
  if (!credentials.access_key.empty() && !credentials.secret_key.empty()) return credentials;
  if (const std::string file = Env("AWS_SHARED_CREDENTIALS_FILE"); !file.empty())
    return CredentialsOfFile(file);
  auto error = Unauthenticated("no credentials for S3 storage");
  error.error().Fix(
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE");
  return error;
}

// One request on one handle.
struct S3Client::Exchange {
  S3Client& client;
  ByteView content;
  const Sink* sink;
  S3Answer answer;
  size_t sent = 0, header_bytes = 0;
  Status failed;

  static size_t OnHeader(char* text, size_t size, size_t count, void* self_pointer) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    std::string_view line(text, size * count);
    self.header_bytes += line.size();
    if (self.header_bytes > kHeadersMax) return 0;
    if (line.starts_with("HTTP/")) self.answer.headers.clear();
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return size * count;
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    self.answer.headers[name] = value;
    return size * count;
  }
  static size_t OnBody(char* data, size_t size, size_t count, void* self_pointer) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    const size_t bytes = size * count;
    if (self.sink != nullptr && self.HttpStatus() / 100 == 2) {
      self.failed = (*self.sink)({reinterpret_cast<const uint8_t*>(data), bytes});
      return self.failed ? bytes : 0;
    }
    if (self.answer.body.size() + bytes > kBodyMax) return 0;
    self.answer.body.append(data, bytes);
    return bytes;
  }
  static size_t OnSend(char* buffer, size_t size, size_t count, void* self_pointer) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    const size_t bytes = std::min(size * count, self.content.size() - self.sent);
    if (bytes > 0) std::memcpy(buffer, self.content.data() + self.sent, bytes);
    self.sent += bytes;
    return bytes;
  }
  static int OnRewind(void* self_pointer, curl_off_t offset, int origin) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    if (origin != SEEK_SET || offset < 0 || static_cast<size_t>(offset) > self.content.size())
      return CURL_SEEKFUNC_CANTSEEK;
    self.sent = static_cast<size_t>(offset);
    return CURL_SEEKFUNC_OK;
  }
  static int OnProgress(void* self_pointer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Exchange*>(self_pointer)->client.stopped_ ? 1 : 0;
  }
  long HttpStatus() const {
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  void* handle = nullptr;
};

S3Client::S3Client(S3Address address, S3Credentials credentials)
    : address_(std::move(address)), credentials_(std::move(credentials)), random_([] {
        uint64_t seed = 0;
        const Bytes random = RandomBytes(sizeof seed);
        std::memcpy(&seed, random.data(), sizeof seed);
        return seed;
      }()) {}

S3Client::~S3Client() {
  for (void* handle : idle_) curl_easy_cleanup(handle);
}

void* S3Client::TakeHandle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return curl_easy_init();
  void* const handle = idle_.back();
  idle_.pop_back();
  return handle;
}

void S3Client::GiveBack(void* handle) {
  curl_easy_reset(handle);  // Keeps the connection.
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleMax)
    idle_.push_back(handle);
  else
    curl_easy_cleanup(handle);
}

Result<S3Answer> S3Client::CallOnce(const std::string& key, S3Request request, ByteView content,
                                    const Sink& sink, bool* again) {
  *again = false;
  request.path = "/" + address_.bucket;
  if (!key.empty()) request.path += "/" + address_.prefix + key;
  request.headers["host"] = address_.host;
  SignS3Request(request, content, credentials_, address_.region, SystemClock().Now());
  std::string url = fmt::format("{}://{}{}", address_.tls ? "https" : "http", address_.host,
                                S3Escape(request.path, true));
  if (!request.query.empty()) url += "?" + S3QueryText(request.query);

  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const auto& [name, value] : request.headers)
    list = curl_slist_append(list, (name + ": " + value).c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(list, curl_slist_free_all);
  void* const handle = TakeHandle();
  if (handle == nullptr) return ResourceExhausted("no memory for a connection");
  Exchange exchange{.client = *this,
                    .content = content,
                    .sink = sink ? &sink : nullptr,
                    .answer = {},
                    .failed = {},
                    .handle = handle};
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, address_.tls ? "https" : "http");
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, Exchange::OnHeader);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Exchange::OnBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, Exchange::OnProgress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  if (!address_.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, address_.ca_file.c_str());
  if (request.method == "HEAD") curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  if (request.method == "PUT" || request.method == "POST") {
    curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle, CURLOPT_READFUNCTION, Exchange::OnSend);
    curl_easy_setopt(handle, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, Exchange::OnRewind);
    curl_easy_setopt(handle, CURLOPT_SEEKDATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(content.size()));
  }
  if (request.method != "GET" && request.method != "HEAD")
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());

  const CURLcode code = curl_easy_perform(handle);
  exchange.answer.status = static_cast<int>(exchange.HttpStatus());
  if (code == CURLE_OK)
    GiveBack(handle);
  else
    curl_easy_cleanup(handle);
  const std::string what = fmt::format("{} {}{}", request.method, address_.host, request.path);
  if (stopped_) return Cancelled("{}: stopped", what);
  if (!exchange.failed) return std::unexpected(exchange.failed.error());
  if (code != CURLE_OK) {
    // A certificate does not become valid by asking again.
    *again = code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_SSL_CACERT_BADFILE &&
             code != CURLE_URL_MALFORMAT;
    auto error = Unavailable("{}: {}", what, curl_easy_strerror(code));
    if (code == CURLE_PEER_FAILED_VERIFICATION)
      error.error().Fix("give the server's certificate authority: ca=FILE in the address");
    return error;
  }
  if (exchange.answer.status / 100 == 2) return std::move(exchange.answer);
  const S3ErrorAnswer said = ParseS3Error(exchange.answer.body);
  const int status = exchange.answer.status;
  *again = status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504) ||
           said.code == "RequestTimeout";
  return ErrorOf(status, said, what);
}

Result<S3Answer> S3Client::Call(const std::string& key, const S3Request& request,
                                ByteView content) {
  for (int retry = 0;; ++retry) {
    bool again = false;
    auto answer = CallOnce(key, request, content, nullptr, &again);
    if (answer || !again || retry + 1 == kTries) return answer;
    TRY(WaitBefore(retry));
  }
}

Status S3Client::WaitBefore(int retry) {
  Retries().Add();
  std::unique_lock lock(mutex_);
  const double most_ms = std::min(100.0 * static_cast<double>(1 << std::min(retry, 10)), 5000.0);
  const auto wait = std::chrono::duration<double, std::milli>(random_.Uniform(0, most_ms));
  stopping_.wait_for(lock, wait, [&] { return stopped_.load(); });
  if (stopped_) return Cancelled("S3 storage: stopped");
  return {};
}

void S3Client::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  stopping_.notify_all();
}

}  // namespace penstock::storage
