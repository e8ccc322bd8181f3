#include "api/app.h"

#include <algorithm>

#include "api/console_assets.h"
#include "api/gzip.h"
#include "base/log.h"
#include "base/metrics.h"

namespace penstock::api {
namespace {

constexpr std::string_view kCsrfHeader = "x-penstock-csrf";
constexpr size_t kAssetBytesMax = 64 << 20;

bool IsWrite(const std::string& method) {
  return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

const Asset* FindAsset(std::string_view path) {
  const auto assets = ConsoleAssets();
  const auto found = std::lower_bound(
      assets.begin(), assets.end(), path,
      [](const Asset& asset, std::string_view wanted) { return asset.path < wanted; });
  return found != assets.end() && found->path == path ? &*found : nullptr;
}

// Pages of the console have no dot in their last segment; files have.
bool IsPage(std::string_view path) {
  return path.substr(path.rfind('/') + 1).find('.') == path.npos;
}

}  // namespace

Response ConsoleFile(const Request& request) {
  const Asset* asset = FindAsset(request.path);
  if (asset == nullptr && IsPage(request.path)) asset = FindAsset("/index.html");
  if (asset == nullptr)
    return Problem(NotFound("no such file: {}", request.path.substr(0, 200)).error());
  Response response;
  response.content_type = asset->mime;
  response.headers = {{"ETag", std::string(asset->etag)}, {"Vary", "Accept-Encoding"}};
  // Names under /assets/ carry a hash of their content; the page itself must be asked for again.
  response.headers.emplace_back("Cache-Control", asset->path.starts_with("/assets/")
                                                     ? "public, max-age=31536000, immutable"
                                                     : "no-cache");
  if (request.Header("if-none-match") == asset->etag) {
    response.status = 304;
    return response;
  }
  if (request.Header("accept-encoding").find("gzip") != std::string::npos) {
    response.headers.emplace_back("Content-Encoding", "gzip");
    response.body.assign(reinterpret_cast<const char*>(asset->gzip.data()), asset->gzip.size());
  } else {
    const std::string_view gzip(reinterpret_cast<const char*>(asset->gzip.data()),
                                asset->gzip.size());
    auto plain = Gunzip(gzip, kAssetBytesMax);
    if (!plain) return Problem(plain.error());
    response.body = std::move(*plain);
  }
  return response;
}

std::string App::SetCookie(const std::string& session) const {
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}{}", CookieName(), session,
                     secure_ ? "; Secure" : "", session.empty() ? "; Max-Age=0" : "");
}

Status App::Authenticate(Request& request) const {
  if (const std::string bearer = request.Header("authorization"); !bearer.empty()) {
    // InfluxDB's clients say "Token", others "Bearer".
    const size_t space = bearer.find(' ');
    const std::string scheme = bearer.substr(0, space);
    if (space == std::string::npos || (scheme != "Bearer" && scheme != "Token"))
      return Unauthenticated("authorization scheme \"{}\" is not known here: Bearer",
                             scheme.substr(0, 20));
    ASSIGN_OR_RETURN(request.principal, users_.ByToken(bearer.substr(space + 1)));
    return {};
  }
  const std::string session = request.Cookie(CookieName());
  if (session.empty()) {
    if (devices_ == nullptr || request.peer.fingerprint.empty()) return {};
    ASSIGN_OR_RETURN(request.principal, devices_->Resolve(request.peer));
    return {};
  }
  auto principal = users_.BySession(session);
  if (!principal) return {};  // An expired session is nobody; the route says whether that will do.
  if (IsWrite(request.method) && request.Header(kCsrfHeader).empty())
    return PermissionDenied("a write with a session cookie needs the header X-Penstock-CSRF: 1");
  request.principal = *principal;
  return {};
}

Response App::Dispatch(const Route& route, const Request& request) const {
  try {
    auto response = route.handle(request);
    return response ? std::move(*response) : Problem(response.error());
  } catch (const std::exception&
               error) {  // A library's exception: ours to mend, but never the node's end.
    LogError("{} {}: {}", request.method, request.path, error.what());
    Counter("penstock_http_exceptions_total", "Handlers that ended in an exception").Add();
    return Problem(Internal("the request failed inside; the node's log says more").error());
  }
}

void App::Handle(Request request, const Responder& respond) const {
  const Router::Match match = router_.Find(request);
  if (match.route == nullptr) {
    if (!match.allow.empty()) {
      Response response = ProblemAs(405, InvalidArgument("{} is not for {}; use {}", request.method,
                                                         request.path, match.allow)
                                             .error());
      response.headers.emplace_back("Allow", match.allow);
      return respond(std::move(response));
    }
    if (request.path.starts_with("/api/"))
      return respond(
          Problem(NotFound("no such resource: {}", request.path.substr(0, 200)).error()));
    if (IsWrite(request.method))
      return respond(Problem(NotFound("nothing takes {} here", request.method).error()));
    return respond(ConsoleFile(request));
  }
  if (const auto known = Authenticate(request); !known) return respond(Problem(known.error()));
  if (request.torn && !match.route->takes_torn) return respond(EmptyResponse());
  const bool device = match.route->devices && request.principal.role == trust::Role::kDevice;
  if (!device && !request.principal.Has(match.route->role)) {
    if (request.principal.role == trust::Role::kNone)
      return respond(Problem(Unauthenticated("log in first: this needs the role {}",
                                             trust::RoleName(match.route->role))
                                 .error()));
    return respond(
        Problem(PermissionDenied("{} is {}; this needs the role {}", request.principal.name,
                                 trust::RoleName(request.principal.role),
                                 trust::RoleName(match.route->role))
                    .error()));
  }
  if (match.route->handle_async) return match.route->handle_async(std::move(request), respond);
  respond(Dispatch(*match.route, request));
}

}  // namespace penstock::api
