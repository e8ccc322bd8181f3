#include "api/http.h"

#include <charconv>

#include "base/bytes.h"
#include "base/check.h"

namespace penstock::api {

Response BodyStream::Head(Response planned) { return planned; }

std::string Request::Header(std::string_view name) const {
  const auto found = headers.find(std::string(name));
  return found == headers.end() ? "" : found->second;
}

std::string Request::Query(std::string_view name, std::string_view otherwise) const {
  const auto found = query.find(std::string(name));
  return found == query.end() ? std::string(otherwise) : found->second;
}

Result<int64_t> Request::QueryInteger(std::string_view name, int64_t otherwise, int64_t low,
                                      int64_t high) const {
  const std::string text = Query(name);
  if (text.empty()) return otherwise;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high)
    return InvalidArgument("?{}={} is not a number from {} to {}", name, text.substr(0, 40), low,
                           high);
  return value;
}

std::string Request::Cookie(std::string_view name) const {
  const std::string cookies = Header("cookie");
  for (size_t at = 0; at < cookies.size();) {
    size_t end = cookies.find(';', at);
    if (end == std::string::npos) end = cookies.size();
    std::string_view pair = std::string_view(cookies).substr(at, end - at);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return std::string(pair.substr(name.size() + 1));
    at = end + 1;
  }
  return "";
}

const std::string& Request::At(const std::string& name) const {
  const auto found = path_values.find(name);
  CHECK(found != path_values.end());
  return found->second;
}

Response JsonResponse(const Json& body, int status) {
  Response response;
  response.status = status;
  // Bytes that are not UTF-8 came from outside; they must not turn an answer into a failure.
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

Response EmptyResponse(int status) {
  Response response;
  response.status = status;
  response.content_type = "";
  return response;
}

Response Problem(const Error& error) { return ProblemAs(HttpStatus(error.code), error); }

Response ProblemAs(int status, const Error& error) {
  Json body = {{"type", fmt::format("urn:penstock:problem:{}", CodeName(error.code))},
               {"title", CodeName(error.code)},
               {"status", status},
               {"detail", error.message}};
  if (!error.where.empty()) body["where"] = error.where;
  if (!error.pointer.empty()) body["pointer"] = error.pointer;
  if (!error.fix.empty()) body["fix"] = error.fix;
  Response response = JsonResponse(body, status);
  response.content_type = "application/problem+json";
  if (error.code == Code::kResourceExhausted || error.code == Code::kUnavailable)
    response.headers.emplace_back("Retry-After", "1");
  if (error.code == Code::kUnauthenticated)
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

Response ListResponse(Json items, const std::string& next) {
  return JsonResponse(
      {{"items", std::move(items)}, {"next", next.empty() ? Json(nullptr) : Json(next)}});
}

std::string PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace penstock::api
