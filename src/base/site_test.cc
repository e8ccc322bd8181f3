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
  EXPECT_EQ(Read("notify: [{role: x, via: pigeon}]").error().pointer, "/notify/0/via");
  EXPECT_EQ(Read("lisen: {}").error().fix, "did you mean \"listen\"?");
}

TEST(SiteTest, DoesNotOpenToTheWorldWithoutTls) {
  const auto settings = Read("listen: {http: 0.0.0.0:8080}");
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().pointer, "/listen");
}

}  // namespace
}  // namespace penstock
