#include "protocols/uplink/hub_client.h"

#include <curl/curl.h>

#include "base/check.h"

namespace penstock::protocols::uplink {
namespace {

constexpr long kConnectSeconds = 10;
// No byte for so long: the connection is dead. An answer waits for the hub's disk meanwhile.
constexpr long kStallSeconds = 30;
constexpr size_t kAnswerBytesMax = 4 << 20;

size_t Collect(char* data, size_t size, size_t count, void* into) {
  auto& text = *static_cast<std::string*>(into);
  if (text.size() + size * count > kAnswerBytesMax) return 0;
  text.append(data, size * count);
  return size * count;
}

int OnProgress(void* aborted, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(aborted)->load() ? 1 : 0;
}

curl_blob BlobOf(const std::string& text) {
  return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_NOCOPY};
}

}  // namespace

Error HubAnswer::error() const {
  Error error{Code::kUnknown, fmt::format("the hub answered {}", status)};
  if (body.is_object()) {
    error.message = StringOr(body, "detail", error.message);
    error.fix = StringOr(body, "fix", "");
  }
  if (status == 401) error.code = Code::kUnauthenticated;
  if (status == 403) error.code = Code::kPermissionDenied;
  if (status == 400 || status == 413) error.code = Code::kInvalidArgument;
  if (status == 429) error.code = Code::kResourceExhausted;
  if (status == 503) error.code = Code::kUnavailable;
  return error;
}

struct HubClient::Handle {
  std::unique_ptr<CURL, void (*)(CURL*)> curl{curl_easy_init(), curl_easy_cleanup};
};

HubClient::HubClient(std::string url, Credentials credentials)
    : url_(std::move(url)),
      credentials_(std::move(credentials)),
      handle_(std::make_unique<Handle>()) {
  CURL* curl = handle_->curl.get();
  CHECK(curl != nullptr);
  curl_blob authority = BlobOf(credentials_.authority);
  curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &authority);
  curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  if (!credentials_.certificate.empty()) {
    curl_blob certificate = BlobOf(credentials_.certificate), key = BlobOf(credentials_.key);
    curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &key);
  }
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Collect);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &aborted_);
}

HubClient::~HubClient() = default;

Result<HubAnswer> HubClient::Ask(const std::string& method, const std::string& path,
                                 std::string_view body, const std::vector<std::string>& headers) {
  CURL* curl = handle_->curl.get();
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const std::string& header : headers) list = curl_slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owned(list, curl_slist_free_all);
  const std::string target = url_ + path;
  std::string text;
  char why[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_URL, target.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, owned.get());
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  if (method == "GET") {
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
  } else {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
  }
  curl_easy_setopt(curl, CURLOPT_MAX_SEND_SPEED_LARGE, static_cast<curl_off_t>(bytes_per_second_));
  const CURLcode code = curl_easy_perform(curl);
  curl_off_t sent = 0;
  curl_easy_getinfo(curl, CURLINFO_SIZE_UPLOAD_T, &sent);
  bytes_sent_ += static_cast<uint64_t>(sent);
  if (code != CURLE_OK) {
    auto error = Unavailable("no answer from the hub at {}: {}", url_,
                             why[0] != '\0' ? why : curl_easy_strerror(code));
    if (code == CURLE_PEER_FAILED_VERIFICATION)
      error.error().Fix("the hub's name or authority is not that of the invitation");
    return error;
  }
  HubAnswer answer;
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  if (!text.empty())
    if (auto parsed = ParseJson(text)) answer.body = std::move(*parsed);
  return answer;
}

}  // namespace penstock::protocols::uplink
