#include "api/router.h"

namespace penstock::api {
namespace {

std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> parts;
  size_t at = 1;
  while (at <= path.size()) {
    size_t end = path.find('/', at);
    if (end == path.npos) end = path.size();
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool Matches(std::string_view pattern, std::string_view path,
             std::map<std::string, std::string>* values) {
  const auto wanted = Segments(pattern), given = Segments(path);
  std::map<std::string, std::string> found;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string_view part = wanted[i];
    if (part.starts_with('{') && part.ends_with("*}")) {
      if (i >= given.size()) return false;
      const auto offset = static_cast<size_t>(given[i].data() - path.data());
      found[std::string(part.substr(1, part.size() - 3))] = std::string(path.substr(offset));
      *values = std::move(found);
      return true;
    }
    if (i >= given.size()) return false;
    if (part.starts_with('{')) {
      if (given[i].empty()) return false;
      found[std::string(part.substr(1, part.size() - 2))] = std::string(given[i]);
    } else if (part != given[i]) {
      return false;
    }
  }
  if (given.size() != wanted.size()) return false;
  *values = std::move(found);
  return true;
}

Json Parameter(std::string_view name, std::string_view place, std::string_view meaning) {
  return {{"name", name},
          {"in", place},
          {"required", place == "path"},
          {"description", meaning},
          {"schema", {{"type", "string"}}}};
}

Json Operation(const Route& route) {
  Json parameters = Json::array();
  for (std::string_view part : Segments(route.pattern)) {
    if (!part.starts_with('{')) continue;
    part.remove_prefix(1);
    part.remove_suffix(part.ends_with("*}") ? 2 : 1);
    parameters.push_back(Parameter(part, "path", ""));
  }
  for (const std::string& text : route.query) {
    const size_t colon = text.find(": ");
    parameters.push_back(
        Parameter(text.substr(0, colon), "query",
                  colon == std::string::npos ? "" : std::string_view(text).substr(colon + 2)));
  }
  Json operation = {{"summary", route.summary},
                    {"parameters", parameters},
                    {"x-role", trust::RoleName(route.role)},
                    {"responses",
                     {{"2XX", {{"description", "Done"}}},
                      {"default",
                       {{"description", "RFC 9457 problem"},
                        {"content",
                         {{"application/problem+json",
                           {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}}}}}};
  if (!route.body.is_null())
    operation["requestBody"] = {{"required", true},
                                {"content", {{"application/json", {{"schema", route.body}}}}}};
  if (route.role != trust::Role::kNone)
    operation["security"] = Json::array({{{"cookie", Json::array()}}, {{"bearer", Json::array()}}});
  return operation;
}

}  // namespace

void Router::Add(Route route) { routes_.push_back(std::move(route)); }

Router::Match Router::Find(Request& request) const {
  Match match;
  for (const Route& route : routes_) {
    std::map<std::string, std::string> values;
    if (!Matches(route.pattern, request.path, &values)) continue;
    if (route.method == request.method || (request.method == "HEAD" && route.method == "GET")) {
      request.path_values = std::move(values);
      match.route = &route;
      return match;
    }
    match.allow += (match.allow.empty() ? "" : ", ") + route.method;
  }
  return match;
}

Json Router::OpenApi(const std::string& version) const {
  Json paths = Json::object();
  for (const Route& route : routes_) {
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string pattern = route.pattern;
    if (const size_t star = pattern.find("*}"); star != std::string::npos) pattern.erase(star, 1);
    paths[pattern][method] = Operation(route);
  }
  return {{"openapi", "3.1.0"},
          {"info",
           {{"title", "Penstock"},
            {"version", version},
            {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
          {"paths", paths},
          {"components",
           {{"securitySchemes",
             {{"cookie", {{"type", "apiKey"}, {"in", "cookie"}, {"name", "penstock"}}},
              {"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}},
            {"schemas",
             {{"Problem",
               {{"type", "object"},
                {"required", {"type", "title", "status", "detail"}},
                {"properties",
                 {{"type", {{"type", "string"}}},
                  {"title", {{"type", "string"}}},
                  {"status", {{"type", "integer"}}},
                  {"detail", {{"type", "string"}}},
                  {"pointer", {{"type", "string"}}},
                  {"fix", {{"type", "string"}}}}}}}}}}}};
}

Result<Json> BodyObject(const Request& request, std::initializer_list<std::string_view> known) {
  auto body = ParseJson(request.body.empty() ? "{}" : request.body);
  if (!body) return std::unexpected(body.error().Where("request body"));
  if (auto status = CheckKeys(*body, known); !status)
    return std::unexpected(status.error().Where("request body"));
  return body;
}

Result<TimeRange> RangeOf(const Request& request, Time now, Duration otherwise) {
  TimeRange range{now - otherwise, now};
  if (const std::string to = request.Query("to"); !to.empty()) {
    ASSIGN_OR_RETURN(range.to, ParseTime(to));
    range.from = range.to - otherwise;
  }
  if (const std::string from = request.Query("from"); !from.empty()) {
    ASSIGN_OR_RETURN(range.from, ParseTime(from));
  }
  if (range.from >= range.to)
    return InvalidArgument("?from={} is not before ?to={}", FormatTime(range.from),
                           FormatTime(range.to));
  return range;
}

}  // namespace penstock::api
