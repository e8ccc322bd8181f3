#include "base/site.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

Result<Settings> Read(const char* yaml) { return SettingsFromJson(ParseYaml(yaml).value()); }

TEST(SiteTest, AnEmptyFileRunsOnLoopback) {
  const Settings settings = Read("").value();
  EXPECT_EQ(settings.http.port, 8080);
  EXPECT_TRUE(IsLoopback(settings.http));
}

TEST(SiteTest, ReadsWhatPeopleWrite) {
  const Settings settings =
      Read(
          "site: acme/cologne\nlisten: {http: 127.0.0.1:0, mqtt: '[::1]:1884'}\n"
          "retain: {raw: 90d}\nnotify:\n  - {role: technician, via: push, escalate-after: 60s}\n")
          .value();
  EXPECT_EQ(settings.mqtt.host, "::1");
  EXPECT_EQ(settings.mqtt.port, 1884);
  EXPECT_EQ(settings.retain_raw, std::chrono::days(90));
  EXPECT_EQ(settings.notify.at(0).escalate_after, std::chrono::seconds(60));
}

TEST(SiteTest, NamesThePlaceOfAMistake) {
  EXPECT_EQ(Read("listen: {http: nowhere}").error().pointer, "/listen/http");
  EXPECT_EQ(Read("retain: {raw: long}").error().pointer, "/retain/raw");
  EXPECT_EQ(Read("retain: {rollup-1m: 1y}").value().retain_minutes, std::chrono::days(365));
  EXPECT_EQ(Read("notify: [{role: x, via: pigeon}]").error().pointer, "/notify/0/via");
  EXPECT_EQ(Read("lisen: {}").error().fix, "did you mean \"listen\"?");
}

TEST(SiteTest, DoesNotOpenToTheWorldWithoutTls) {
  const auto settings = Read("listen: {http: 0.0.0.0:8080}");
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().pointer, "/listen");
}

TEST(SiteTest, OpensToTheWorldWithTls) {
  const Settings settings =
      Read(
          "listen: {http: 0.0.0.0:8443, mqtt: 0.0.0.0:8883}\n"
          "tls: {mode: own-ca, names: [hub.acme.example]}\n"
          "hub: https://hub.acme.example:8443\nuplink: {bandwidth: 20 Mbit/s, when-full: refuse}\n")
          .value();
  EXPECT_FALSE(settings.tls_off);
  EXPECT_EQ(settings.tls.names.at(0), "hub.acme.example");
  EXPECT_EQ(settings.uplink.bits_per_second, 20'000'000U);
  EXPECT_FALSE(settings.uplink.evict);
  EXPECT_EQ(Read("tls: {mode: maybe}").error().pointer, "/tls/mode");
  EXPECT_EQ(Read("tls: {mode: files}").error().pointer, "/tls");
  EXPECT_EQ(Read("hub: http://hub").error().pointer, "/hub");
  EXPECT_EQ(Read("uplink: {bandwidth: fast}").error().pointer, "/uplink/bandwidth");
  EXPECT_EQ(Read("uplink: {backfill-share: 1}").error().pointer, "/uplink/backfill-share");
}

TEST(SiteTest, SaysHowLongTheLogAndTheCopiesHereStay) {
  const Settings settings = Read(
                                "hub: https://hub.acme.example:8443\nretain: {log: 7d}\n"
                                "uplink: {keep: {low: 1d, high: 90d}}\n"
                                "blobs: {to: \"file:/srv/copy\", keep-local: 30d, cache_mib: 64}\n")
                                .value();
  EXPECT_EQ(settings.retain_log, std::chrono::days(7));
  EXPECT_EQ(settings.uplink.keep_low, std::chrono::days(1));
  EXPECT_EQ(settings.uplink.keep_normal, Duration(0));
  EXPECT_EQ(settings.uplink.keep_high, std::chrono::days(90));
  EXPECT_EQ(settings.cluster.blobs_keep_local, std::chrono::days(30));
  EXPECT_EQ(settings.cluster.blobs_cache_bytes, 64U << 20);
  for (const auto& [text, pointer] :
       {std::pair("retain: {log: 10s}", "/retain/log"),
        {"retain: {log: soon}", "/retain/log"},
        {"uplink: {keep: {low: 1s}}", "/uplink/keep/low"},
        {"uplink: {keep: {low: 2d, normal: 1d}}", "/uplink/keep/normal"},
        {"uplink: {keep: {lowest: 2d}}", "/uplink/keep/lowest"},
        {"uplink: {when-full: refuse, keep: {low: 2d}}", "/uplink/keep"},
        {"blobs: {to: \"file:/srv/copy\", keep-local: 1h}", "/blobs/keep-local"},
        {"blobs: {to: \"file:/srv/copy\", cache_mib: 64}", "/blobs/cache_mib"},
        {"blobs: {to: \"file:/srv/copy\", keep-local: 2d, cache_mib: 1}", "/blobs/cache_mib"}}) {
    const auto read = Read(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().pointer, pointer) << text;
    EXPECT_FALSE(read.error().fix.empty()) << text;
  }
}

}  // namespace
}  // namespace penstock
