// site.yaml: the settings of one node. Everything has a default, so an empty file runs on loopback.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"

namespace penstock {

struct Endpoint {
  std::string host;   // Numeric address or name.
  uint16_t port = 0;  // 0: the system chooses (tests).
};

struct NotifyRoute {
  std::string role;
  std::string via;  // "push" (to open consoles) or "webhook".
  std::string url;
  Duration escalate_after{0};
};

struct Settings {
  std::string folder;                 // The site folder, absolute; set by ReadSite.
  std::string site = "example/site";  // ISA-95 enterprise/site.
  std::string data = "data";          // Relative to the site folder, or absolute.
  Endpoint http{"127.0.0.1", 8080}, mqtt{"127.0.0.1", 1883};
  bool tls_off = true;  // Only allowed while every listener is on loopback.
  Duration retain_raw = std::chrono::days(90);
  Duration retain_decisions = std::chrono::days(730);
  uint64_t log_bytes_max = 1ULL << 30;
  uint64_t history_bytes_max = 20ULL << 30;
  std::vector<NotifyRoute> notify;
};

Result<Endpoint> ParseEndpoint(std::string_view text);  // "127.0.0.1:8080", "[::1]:0"
bool IsLoopback(const Endpoint& endpoint);
// Reads FOLDER/site.yaml. Errors name file, pointer and fix.
Result<Settings> ReadSite(const std::string& folder);
Result<Settings> SettingsFromJson(const Json& document);

}  // namespace penstock
