#include "base/site.h"

#include <algorithm>
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

Status ReadTls(const Json& tls, Settings* settings) {
  TRY(CheckKeys(tls, {"mode", "certificate", "key", "names"}, "/tls"));
  const std::string mode = StringOr(tls, "mode", "");
  TlsSettings& out = settings->tls;
  if (mode == "off") {
    out.mode = TlsSettings::Mode::kOff;
  } else if (mode == "own-ca") {
    out.mode = TlsSettings::Mode::kOwnCa;
  } else if (mode == "files") {
    out.mode = TlsSettings::Mode::kFiles;
    ASSIGN_OR_RETURN(out.certificate, GetString(tls, "certificate", "/tls"));
    ASSIGN_OR_RETURN(out.key, GetString(tls, "key", "/tls"));
  } else {
    return Bad("/tls/mode", fmt::format("\"{}\" is no tls mode", mode), "own-ca, files or off");
  }
  settings->tls_off = out.mode == TlsSettings::Mode::kOff;
  if (!tls.contains("names")) return {};
  const Json& names = tls["names"];
  if (!names.is_array() || names.size() > 32)
    return Bad("/tls/names", "must be a list of at most 32", "names: [hub.acme.example]");
  for (const Json& name : names) {
    if (!name.is_string())
      return Bad("/tls/names", "a name is a text", "names: [hub.acme.example]");
    out.names.push_back(name.get<std::string>());
  }
  return {};
}

// "20 Mbit/s", "512 kbit/s", "1 Gbit/s"
Result<uint64_t> ParseBandwidth(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const double factor = unit == "kbit/s"   ? 1e3
                        : unit == "Mbit/s" ? 1e6
                        : unit == "Gbit/s" ? 1e9
                                           : 0;
  if (error != std::errc() || factor == 0 || !(number * factor >= 8e3 && number * factor <= 1e12))
    return Bad("/uplink/bandwidth", fmt::format("\"{}\" is no bandwidth", text),
               "8 kbit/s or more, for example 20 Mbit/s");
  return static_cast<uint64_t>(number * factor);
}

// keep: {low: 1d, normal: 30d, high: 90d}
Status ReadKeep(const Json& keep, UplinkSettings* out) {
  TRY(CheckKeys(keep, {"low", "normal", "high"}, "/uplink/keep"));
  Duration before{0};
  for (const auto& [key, place] : {std::pair("low", &out->keep_low),
                                   {"normal", &out->keep_normal},
                                   {"high", &out->keep_high}}) {
    TRY(ReadDurationAt(keep, key, "/uplink/keep", place));
    const std::string pointer = fmt::format("/uplink/keep/{}", key);
    if (keep.contains(key) && *place < std::chrono::minutes(1))
      return Bad(pointer, "is shorter than a minute", fmt::format("{}: 1d, or leave it out", key));
    if (keep.contains(key) && *place < before)
      return Bad(pointer, "goes before a lower class does",
                 "keep: {low: 1d, normal: 30d, high: 90d}");
    before = std::max(before, *place);
  }
  if (!out->evict)
    return Bad("/uplink/keep", "gives samples up, which `when-full: refuse` rules out",
               "when-full: evict, or no keep");
  return {};
}

Status ReadUplink(const Json& document, UplinkSettings* out) {
  const std::string hub = StringOr(document, "hub", "none");
  if (hub != "none") {
    if (!hub.starts_with("https://"))
      return Bad("/hub", fmt::format("\"{}\" is no hub", hub),
                 "https://hub.acme.example:8443, or none");
    out->hub = hub;
  }
  if (!document.contains("uplink")) return {};
  const Json& uplink = document["uplink"];
  TRY(CheckKeys(uplink, {"bandwidth", "backfill-share", "when-full", "keep"}, "/uplink"));
  if (uplink.contains("bandwidth")) {
    ASSIGN_OR_RETURN(const std::string text, GetString(uplink, "bandwidth", "/uplink"));
    ASSIGN_OR_RETURN(out->bits_per_second, ParseBandwidth(text));
  }
  if (uplink.contains("backfill-share")) {
    ASSIGN_OR_RETURN(out->backfill_share, GetNumber(uplink, "backfill-share", "/uplink"));
    if (!(out->backfill_share >= 0.05 && out->backfill_share <= 0.95))
      return Bad("/uplink/backfill-share", "is not between 0.05 and 0.95", "0.7");
  }
  const std::string full = StringOr(uplink, "when-full", "evict");
  if (full != "evict" && full != "refuse")
    return Bad("/uplink/when-full", fmt::format("\"{}\" is no policy", full),
               "evict (the oldest, told to the hub) or refuse (new samples)");
  out->evict = full == "evict";
  return uplink.contains("keep") ? ReadKeep(uplink["keep"], out) : Status();
}

// records: postgresql://...
Status ReadRecords(const Json& document, ClusterSettings* out) {
  out->records = StringOr(document, "records", "");
  if (out->records.empty() || out->records.starts_with("postgresql://")) return {};
  return Bad("/records", fmt::format("\"{}\" is no place for records", out->records.substr(0, 80)),
             "postgresql://USER@HOST/DATABASE, or leave it out for the data folder");
}

// blobs: s3://... or {to: s3://..., every: 5min, days: closed, keep-local: 30d, cache_mib: 1024}
Status ReadBlobs(const Json& blobs, ClusterSettings* out) {
  const bool brief = blobs.is_string();
  if (!brief) TRY(CheckKeys(blobs, {"to", "every", "days", "keep-local", "cache_mib"}, "/blobs"));
  out->blobs = brief ? blobs.get<std::string>() : StringOr(blobs, "to", "");
  if (!out->blobs.starts_with("s3://") && !out->blobs.starts_with("file:/"))
    return Bad("/blobs", fmt::format("\"{}\" is no blob store", out->blobs.substr(0, 80)),
               "s3://BUCKET@HOST, or file:/FOLDER");
  if (!brief) TRY(ReadDurationAt(blobs, "every", "/blobs", &out->blobs_every));
  if (out->blobs_every < std::chrono::seconds(1))
    return Bad("/blobs/every", "is shorter than a second", "every: 5min");
  const std::string days = brief ? "all" : StringOr(blobs, "days", "all");
  if (days != "all" && days != "closed")
    return Bad("/blobs/days", fmt::format("\"{}\" is not all or closed", days), "days: closed");
  out->blobs_closed_days = days == "closed";
  if (brief) return {};
  TRY(ReadDurationAt(blobs, "keep-local", "/blobs", &out->blobs_keep_local));
  if (blobs.contains("keep-local") && out->blobs_keep_local < std::chrono::days(1))
    return Bad("/blobs/keep-local", "is shorter than a day, and files are of a day",
               "keep-local: 30d, or leave it out to keep all here");
  TRY(ReadBytesAt(blobs, "cache_mib", "/blobs", &out->blobs_cache_bytes));
  if (blobs.contains("cache_mib") && !blobs.contains("keep-local"))
    return Bad("/blobs/cache_mib", "says how much comes back, and without keep-local nothing goes",
               "keep-local: 30d");
  return {};
}

// stream: {to: nats://..., as: edge, partitions: 16, replicas: 3}
Status ReadStream(const Json& stream, ClusterSettings* out) {
  TRY(CheckKeys(stream, {"to", "as", "name", "partitions", "replicas"}, "/stream"));
  ASSIGN_OR_RETURN(out->stream, GetString(stream, "to", "/stream"));
  if (!out->stream.starts_with("nats://") && !out->stream.starts_with("tls://"))
    return Bad("/stream/to", fmt::format("\"{}\" is no stream", out->stream.substr(0, 80)),
               "nats://HOST:4222 or tls://HOST:4222");
  ASSIGN_OR_RETURN(out->stream_role, GetString(stream, "as", "/stream"));
  if (out->stream_role != "edge" && out->stream_role != "hub")
    return Bad("/stream/as", fmt::format("\"{}\" is not edge or hub", out->stream_role),
               "as: edge");
  out->stream_as = StringOr(stream, "name", "");
  if (out->stream_as.size() > 24 ||
      out->stream_as.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") !=
          std::string::npos)
    return Bad("/stream/name", fmt::format("\"{}\" is no name", out->stream_as.substr(0, 80)),
               "1 to 24 of a-z 0-9 -");
  const double partitions = NumberOr(stream, "partitions", 16);
  const double replicas = NumberOr(stream, "replicas", 3);
  if (!(partitions >= 1 && partitions <= 64))
    return Bad("/stream/partitions", "is not 1 to 64", "partitions: 16");
  if (!(replicas >= 1 && replicas <= 5))
    return Bad("/stream/replicas", "is not 1 to 5", "replicas: 3");
  out->stream_partitions = static_cast<uint32_t>(partitions);
  out->stream_replicas = static_cast<uint32_t>(replicas);
  return {};
}

Status ReadCluster(const Json& document, ClusterSettings* out) {
  TRY(ReadRecords(document, out));
  if (document.contains("blobs")) TRY(ReadBlobs(document["blobs"], out));
  if (document.contains("stream")) TRY(ReadStream(document["stream"], out));
  return {};
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

std::string RecordsAddress(const Settings& settings) {
  return settings.cluster.records.empty() ? settings.data + "/records.db"
                                          : settings.cluster.records;
}

Result<Settings> SettingsFromJson(const Json& document) {
  Settings settings;
  if (document.is_null()) return settings;
  TRY(CheckKeys(document, {"site", "data", "listen", "tls", "hub", "uplink", "retain", "limits",
                           "notify", "records", "blobs", "stream", "lineage"}));
  settings.site = StringOr(document, "site", settings.site);
  settings.data = StringOr(document, "data", settings.data);
  if (document.contains("listen")) {
    const Json& listen = document["listen"];
    TRY(CheckKeys(listen, {"http", "mqtt"}, "/listen"));
    TRY(ReadEndpoint(listen, "http", &settings.http));
    TRY(ReadEndpoint(listen, "mqtt", &settings.mqtt));
  }
  if (document.contains("tls")) {
    TRY(ReadTls(document["tls"], &settings));
  }
  if (settings.tls_off && (!IsLoopback(settings.http) || !IsLoopback(settings.mqtt)))
    return Bad("/listen", "tls is off and a listener is not on loopback",
               "tls: {mode: own-ca}, or listen on 127.0.0.1");
  TRY(ReadUplink(document, &settings.uplink));
  if (document.contains("retain")) {
    const Json& retain = document["retain"];
    TRY(CheckKeys(retain, {"raw", "rollup-1m", "rollup-1h", "decisions", "log"}, "/retain"));
    TRY(ReadDurationAt(retain, "raw", "/retain", &settings.retain_raw));
    TRY(ReadDurationAt(retain, "rollup-1m", "/retain", &settings.retain_minutes));
    TRY(ReadDurationAt(retain, "rollup-1h", "/retain", &settings.retain_hours));
    TRY(ReadDurationAt(retain, "decisions", "/retain", &settings.retain_decisions));
    TRY(ReadDurationAt(retain, "log", "/retain", &settings.retain_log));
    if (retain.contains("log") && settings.retain_log < std::chrono::minutes(1))
      return Bad("/retain/log", "is shorter than a minute", "log: 1d, or leave it out");
  }
  TRY(ReadCluster(document, &settings.cluster));
  if (settings.cluster.stream_role == "edge" && !settings.uplink.hub.empty())
    return Bad("/stream/as", "an edge sends over a stream or to a hub, not both", "hub: none");
  if (document.contains("limits")) {
    const Json& limits = document["limits"];
    TRY(CheckKeys(limits, {"log_mib", "history_mib"}, "/limits"));
    TRY(ReadBytesAt(limits, "log_mib", "/limits", &settings.log_bytes_max));
    TRY(ReadBytesAt(limits, "history_mib", "/limits", &settings.history_bytes_max));
  }
  if (document.contains("lineage")) {
    const Json& lineage = document["lineage"];
    TRY(CheckKeys(lineage, {"url", "interval"}, "/lineage"));
    settings.lineage_url = StringOr(lineage, "url", "");
    if (!settings.lineage_url.empty() && !settings.lineage_url.starts_with("http"))
      return Bad("/lineage/url", "lineage events are posted to an http(s) url",
                 "url: https://lineage.example/api/v1/lineage");
    TRY(ReadDurationAt(lineage, "interval", "/lineage", &settings.lineage_every));
    if (settings.lineage_every < std::chrono::seconds(1))
      return Bad("/lineage/interval", "less than a second between events", "interval: 5min");
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
  for (std::string* path : {&settings->data, &settings->tls.certificate, &settings->tls.key})
    if (!path->empty() && !fs::path(*path).is_absolute())
      *path = (fs::path(settings->folder) / *path).lexically_normal().string();
  return settings;
}

}  // namespace penstock
