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

struct TlsSettings {
  enum class Mode { kOff, kOwnCa, kFiles } mode = Mode::kOff;
  std::string certificate, key;    // kFiles: PEM files; relative to the site folder, or absolute.
  std::vector<std::string> names;  // kOwnCa: host names and addresses beside the listeners'.
};

// How this node, as an edge, sends to its hub.
struct UplinkSettings {
  std::string hub;               // "https://hub:8443"; "" = none.
  uint64_t bits_per_second = 0;  // 0: no bound.
  double backfill_share = 0.7;   // Of the bandwidth, for what an outage left behind.
  bool evict = true;             // A full log gives up its oldest records, or takes no more.
  // What the hub has not by then is given up though there is room; 0: never.
  Duration keep_low{0}, keep_normal{0}, keep_high{0};
};

// What a node uses of a cluster; all empty: one machine.
struct ClusterSettings {
  std::string records;  // "postgresql://USER@HOST/DATABASE[?schema=NAME]"; "" = DATA/records.db.
  std::string blobs;    // "s3://BUCKET[/PREFIX]@HOST[:PORT]" or "file:/FOLDER": the history's copy.
  Duration blobs_every = std::chrono::minutes(5);  // Between copies.
  bool blobs_closed_days = false;                  // Only of days that are over.
  Duration blobs_keep_local{0};                    // Copied files older than this go here; 0: none.
  uint64_t blobs_cache_bytes = 1ULL << 30;  // Of files that were brought back for a question.
  std::string stream;                       // "nats://HOST[:PORT][,HOST...]"
  std::string stream_role;                  // "edge": sends its samples; "hub": takes partitions.
  std::string stream_as;  // This node's name there; the site's last part when not given.
  uint32_t stream_partitions = 16, stream_replicas = 3;
};

struct Settings {
  std::string folder;                 // The site folder, absolute; set by ReadSite.
  std::string site = "example/site";  // ISA-95 enterprise/site.
  std::string data = "data";          // Relative to the site folder, or absolute.
  Endpoint http{"127.0.0.1", 8080}, mqtt{"127.0.0.1", 1883};
  bool tls_off = true;  // Only allowed while every listener is on loopback.
  TlsSettings tls;
  UplinkSettings uplink;
  ClusterSettings cluster;
  Duration retain_raw = std::chrono::days(90);
  Duration retain_minutes = std::chrono::days(730);  // Rollups of 1 min; not less than raw.
  Duration retain_hours = std::chrono::days(3650);   // Rollups of 1 h.
  Duration retain_decisions = std::chrono::days(730);
  Duration retain_log{0};  // Of what everybody has read in the durable log; 0: until it is full.
  uint64_t log_bytes_max = 1ULL << 30;
  uint64_t history_bytes_max = 20ULL << 30;
  std::vector<NotifyRoute> notify;
  std::string lineage_url;  // Where OpenLineage events are sent, beside being kept; "" = nowhere.
  Duration lineage_every = std::chrono::minutes(5);  // Real time between events of one flow.
};

// Where the records are: site.yaml's, or the file in the data folder.
std::string RecordsAddress(const Settings& settings);
Result<Endpoint> ParseEndpoint(std::string_view text);  // "127.0.0.1:8080", "[::1]:0"
bool IsLoopback(const Endpoint& endpoint);
// Reads FOLDER/site.yaml. Errors name file, pointer and fix.
Result<Settings> ReadSite(const std::string& folder);
Result<Settings> SettingsFromJson(const Json& document);

}  // namespace penstock
