// Retention by data product: what is over goes, what is kept longer stays, and it is written down.
#include "product_flow.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "storage/temporary_folder.h"

namespace penstock {
namespace {

constexpr const char* kThing = R"({
  "@context": ["https://www.w3.org/2022/wot/td/v1.1", {"ps": "urn:penstock:v1#"}],
  "id": "urn:dev:acme:NAME", "title": "NAME", "ps:asset": "acme/cologne/lab/line-1/NAME",
  "ps:product": "NAME", "ps:contract": "NAME@1.0.0",
  "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}}, "security": "nosec_sc",
  "properties": {"flow": {"type": "number", "unit": "1", "readOnly": true, "observable": true,
    "forms": [{"href": "http://local/write", "op": "observeproperty"}]}}})";

std::string ThingOf(const std::string& name) {
  std::string text = kThing;
  for (size_t at; (at = text.find("NAME")) != std::string::npos;) text.replace(at, 4, name);
  return text;
}

TEST(ProductFlowTest, EachProductIsKeptForItsOwnTimeAndSaysWhatIsGone) {
  const storage::TemporaryFolder folder;
  ASSERT_TRUE(MakeFolders(folder / "site/things"));
  for (const char* name : {"short", "long"})
    ASSERT_TRUE(WriteFileAtomically(folder / ("site/things/" + std::string(name) + ".td.json"),
                                    ThingOf(name)));
  const auto ids = things::PointIdsInMemory();
  things::Directory directory(folder / "site", *ids);
  for (const auto& finding : directory.Reload())
    EXPECT_FALSE(finding.is_error) << finding.error.ToString();
  things::DataContract contract;
  contract.id = "short";
  contract.version = "1.0.0";
  contract.status = "active";
  contract.document = Json::object();
  contract.sla.push_back({.kind = things::ContractSla::Kind::kRetention,
                          .property = "retention",
                          .limit = std::chrono::days(2)});
  auto contracts = std::make_shared<things::ContractSet>();
  contracts->by_id["short"] = std::make_shared<const things::DataContract>(contract);

  const Time now = *ParseTime("2026-01-31T12:00:00Z");
  const ManualClock clock(now);
  const auto records = *storage::Records::Open(":memory:");
  const auto audit = *trust::AuditLog::Open(*records, clock);
  const auto history = *storage::History::Open(folder / "history", {});
  Settings settings;
  settings.data = folder / "data";
  ASSERT_TRUE(MakeFolders(settings.data));
  const auto flow = ProductFlow::Open(
      {settings, clock, directory, *history, *records, *audit, [&] { return contracts; },
       [](const std::string&, const std::string&) { return false; }});
  ASSERT_TRUE(flow) << flow.error().ToString();

  std::vector<PointId> points;
  std::vector<Time> times;
  for (const char* path : {"short/flow", "long/flow"}) {
    const things::Point* point = directory.snapshot()->FindPoint(path);
    ASSERT_NE(point, nullptr);
    history->NamePoint(point->id, path, point->product);
    for (int day = 0; day < 5; ++day) {
      points.push_back(point->id);
      times.push_back(now - std::chrono::days(day));
    }
  }
  const std::vector<double> values(points.size(), 1.0);
  const std::vector<uint32_t> qualities(points.size(), 0);
  ASSERT_TRUE(history->Append({points, times, times, values, qualities, 0}));
  ASSERT_TRUE(history->Flush());

  const auto gone = history->RetainBy((*flow)->RetentionAt(now));
  ASSERT_TRUE(gone) << gone.error().ToString();
  ASSERT_TRUE((*flow)->Deleted(*gone));
  const auto& services = (*flow)->services();
  EXPECT_EQ(services.products.SizeOf("short").file_rows, 3U);  // Whole days: today and two before.
  EXPECT_EQ(services.products.SizeOf("long").file_rows, 5U);
  const Json said = services.deleted("short");
  ASSERT_TRUE(said.is_object());
  EXPECT_EQ(said["rows"], 2);
  EXPECT_EQ(said["until"], "2026-01-29T00:00:00.000000Z");
  EXPECT_TRUE(services.deleted("long").is_null());
  const auto entries = audit->List(0, 10);
  ASSERT_EQ(entries->size(), 1U);
  EXPECT_EQ((*entries)[0].action, "product.retain");
  EXPECT_EQ((*entries)[0].subject, "short");
}

}  // namespace
}  // namespace penstock
