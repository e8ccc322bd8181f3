#include "base/site.h"

#include <charconv>
#include <filesystem>

namespace penstock {
namespace {

std::unexpected<Error> Bad(std::string_view pointer, std::string message, std::string_view fix) {
  return std::unexpected(Error{Code::kInvalidArgument, std::move(message), "", std::string(pointer),
                               std::string(fix)});
}

Status ReadEndpoint(const Json& listen, const char* key, Endpoint* out) {
  if (!listen.contains(key)) return {};
  const std::string pointer = std::string("/listen/") + key;
  ASSIGN_OR_RETURN(const std::string text, GetString(listen, key, "/listen"));
  auto endpoint = ParseEndpoint(text);
  if (!endpoint) return std::unexpected(endpoint.error().At(pointer));
  *out = *endpoint;
  return {};
}

Status ReadDurationAt(const Json& object, const char* key, std::string_view base, Duration* out) {
  if (!object.contains(key)) return {};
  ASSIGN_OR_RETURN(const std::string text, GetString(object, key, base));
  auto duration = ParseDuration(text);
  if (!duration) return std::unexpected(duration.error().At(fmt::format("{}/{}", base, key)));
  *out = *duration;
  return {};
}

Status ReadBytesAt(const Json& object, const char* key, std::string_view base, uint64_t* out) {
  if (!object.contains(key)) return {};
  ASSIGN_OR_RETURN(const double mebibytes, GetNumber(object, key, base));
  if (mebibytes < 16 || mebibytes > 1e9)
    return Bad(fmt::format("{}/{}", base, key), fmt::format("{} MiB is out of range", mebibytes),
               "16 or more");
  *out = static_cast<uint64_t>(mebibytes) << 20;
  return {};
}

Result<NotifyRoute> ReadRoute(const Json& entry, const std::string& base) {
  TRY(CheckKeys(entry, {"role", "via", "url", "escalate-after"}, base));
  NotifyRoute route;
  ASSIGN_OR_RETURN(route.role, GetString(entry, "role", base));
  ASSIGN_OR_RETURN(route.via, GetString(entry, "via", base));
  if (route.via != "push" && route.via != "webhook")
    return Bad(base + "/via", fmt::format("\"{}\" is no way to notify", route.via),
               "push or webhook");
  route.url = StringOr(entry, "url", "");
  if (route.via == "webhook" && !route.url.starts_with("http"))
    return Bad(base + "/url", "a webhook needs an http(s) url", "url: https://...");
  TRY(ReadDurationAt(entry, "escalate-after", base, &route.escalate_after));
  return route;
}

}  // namespace

Result<Endpoint> ParseEndpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  Endpoint endpoint;
  unsigned port = 0;
  const char* end = text.data() + text.size();
  if (colon == text.npos || colon == 0 || colon + 1 == text.size())
    return Bad("", fmt::format("\"{}\" is no address", text),
               "host:port, for example 127.0.0.1:8080");
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end || port > 65535)
    return Bad("", fmt::format("\"{}\" has no port 0..65535", text),
               "host:port, for example 127.0.0.1:8080");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  endpoint.host = host;
  endpoint.port = static_cast<uint16_t>(port);
  return endpoint;
}

bool IsLoopback(const Endpoint& endpoint) {
  return endpoint.host == "localhost" || endpoint.host == "::1" ||
         endpoint.host.starts_with("127.");
}

Result<Settings> SettingsFromJson(const Json& document) {
  Settings settings;
  if (document.is_null()) return settings;
  TRY(CheckKeys(document, {"site", "data", "listen", "tls", "hub", "retain", "limits", "notify"}));
  settings.site = StringOr(document, "site", settings.site);
  settings.data = StringOr(document, "data", settings.data);
  if (document.contains("listen")) {
    const Json& listen = document["listen"];
    TRY(CheckKeys(listen, {"http", "mqtt"}, "/listen"));
    TRY(ReadEndpoint(listen, "http", &settings.http));
    TRY(ReadEndpoint(listen, "mqtt", &settings.mqtt));
  }
  if (document.contains("tls")) {
    TRY(CheckKeys(document["tls"], {"mode"}, "/tls"));
    const std::string mode = StringOr(document["tls"], "mode", "");
    if (mode != "off")
      return Bad("/tls/mode", fmt::format("tls mode \"{}\" is not there yet", mode),
                 "mode: off, on loopback");
  }
  if (settings.tls_off && (!IsLoopback(settings.http) || !IsLoopback(settings.mqtt)))
    return Bad("/listen", "tls is off and a listener is not on loopback",
               "listen on 127.0.0.1 and put a TLS proxy in front");
  if (const std::string hub = StringOr(document, "hub", "none"); hub != "none")
    return Bad("/hub", "a hub is not there yet", "hub: none");
  if (document.contains("retain")) {
    const Json& retain = document["retain"];
    TRY(CheckKeys(retain, {"raw", "decisions"}, "/retain"));
    TRY(ReadDurationAt(retain, "raw", "/retain", &settings.retain_raw));
    TRY(ReadDurationAt(retain, "decisions", "/retain", &settings.retain_decisions));
  }
  if (document.contains("limits")) {
    const Json& limits = document["limits"];
    TRY(CheckKeys(limits, {"log_mib", "history_mib"}, "/limits"));
    TRY(ReadBytesAt(limits, "log_mib", "/limits", &settings.log_bytes_max));
    TRY(ReadBytesAt(limits, "history_mib", "/limits", &settings.history_bytes_max));
  }
  if (document.contains("notify")) {
    if (!document["notify"].is_array())
      return Bad("/notify", "must be a list", "- {role: technician, via: push}");
    for (size_t i = 0; i < document["notify"].size(); ++i) {
      ASSIGN_OR_RETURN(NotifyRoute route,
                       ReadRoute(document["notify"][i], fmt::format("/notify/{}", i)));
      settings.notify.push_back(std::move(route));
    }
  }
  return settings;
}

Result<Settings> ReadSite(const std::string& folder) {
  namespace fs = std::filesystem;
  const std::string path = (fs::path(folder) / "site.yaml").string();
  ASSIGN_OR_RETURN(const Json document, ReadDocument(path));
  auto settings = SettingsFromJson(document);
  if (!settings) return std::unexpected(settings.error().Where(path));
  settings->folder = fs::absolute(folder).lexically_normal().string();
  if (!fs::path(settings->data).is_absolute())
    settings->data = (fs::path(settings->folder) / settings->data).lexically_normal().string();
  return settings;
}

}  // namespace penstock
