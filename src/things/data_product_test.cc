#include "things/data_product.h"

#include <gtest/gtest.h>

namespace penstock::things {
namespace {

Property PropertyOf(const std::string& thing, const std::string& name, const std::string& product,
                    const std::string& classification) {
  Property property;
  property.point.thing = thing;
  property.point.property = name;
  property.point.product = product;
  property.point.asset = "acme/cologne/filling/line-1/" + thing;
  property.point.model = product + "@1.2";
  property.point.classification = classification;
  property.point.unit = "bar";
  return property;
}

Snapshot SiteOf(const std::string& classification) {
  Snapshot snapshot;
  for (const char* name : {"pump-7", "pump-8"}) {
    Thing thing;
    thing.name = name;
    thing.properties = {PropertyOf(name, "flow", "pump", "internal"),
                        PropertyOf(name, "operator", "pump", classification)};
    thing.properties[0].description = "Delivered flow.";
    snapshot.things.push_back(std::move(thing));
  }
  snapshot.models.push_back({.name = "pump@1.2",
                             .title = "Pump skid",
                             .version = "1.2.0",
                             .file = "pump.tm.json",
                             .document = {{"description", "A pump."}}});
  return snapshot;
}

ContractSet ContractsOf(const char* yaml) {
  ContractSet set;
  const auto document = ParseYaml(yaml);
  EXPECT_TRUE(document) << document.error().ToString();
  auto read = ReadDataContract(*document, "contracts/pump.odcs.yaml");
  for (const auto& finding : read.findings) EXPECT_FALSE(finding.is_error) << finding.error.message;
  if (read.contract)
    set.by_id["pump"] = std::make_shared<const DataContract>(std::move(*read.contract));
  return set;
}

constexpr const char* kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: pump
version: "1.2.0"
status: active
domain: water
description: {purpose: Flow of the pumps.}
team: {name: line 1, members: [{username: ada, role: owner}]}
roles: [{role: technician, access: read}]
customProperties: [{property: access, value: request}]
slaProperties: [{property: retention, value: 30, unit: d}]
schema:
  - name: pump
    logicalType: object
    properties:
      - {name: flow, logicalType: number}
      - name: operator
        logicalType: number
        customProperties:
          - {property: personalData, value: [identity]}
          - {property: privacy, value: {action: pseudonym}}
)";

TEST(DataProductTest, IsMadeOfTheThingsThatHaveIt) {
  const auto products = ProductsOf(SiteOf("internal"), {}, std::chrono::days(90));
  ASSERT_EQ(products.size(), 1U);
  const DataProduct& pump = products[0];
  EXPECT_EQ(pump.name, "pump");
  EXPECT_EQ(pump.title, "Pump skid");
  EXPECT_EQ(pump.domain, "filling");
  EXPECT_EQ(pump.owner, "");
  EXPECT_EQ(pump.access, ProductAccess::kOpen);
  EXPECT_EQ(pump.retention, Duration(std::chrono::days(90)));
  EXPECT_EQ(pump.things, (std::vector<std::string>{"pump-7", "pump-8"}));
  EXPECT_EQ(pump.points(), 4U);
  ASSERT_NE(pump.FieldOf("pump-8/flow"), nullptr);
  EXPECT_EQ(pump.FieldOf("pump-8/flow")->description, "Delivered flow.");
  EXPECT_EQ(pump.FieldOf("pump-8/flow")->kind, "pump");
  EXPECT_EQ(pump.FieldOf("pump-8/nothing"), nullptr);
}

TEST(DataProductTest, IsOnRequestWhenItHoldsWhatIsConfidential) {
  for (const char* word : {"confidential", "personal", "unheard-of"}) {
    const auto products = ProductsOf(SiteOf(word), {}, std::chrono::days(90));
    EXPECT_EQ(products[0].access, ProductAccess::kOnRequest) << word;
    EXPECT_EQ(products[0].classification, word);
  }
}

TEST(DataProductTest, TakesFromItsContractWhatThatSays) {
  const auto products =
      ProductsOf(SiteOf("internal"), ContractsOf(kContract), std::chrono::days(90));
  const DataProduct& pump = products[0];
  ASSERT_EQ(pump.contracts.size(), 1U);
  EXPECT_EQ(pump.contracts[0].version, "1.2.0");
  EXPECT_EQ(pump.domain, "water");
  EXPECT_EQ(pump.owner, "ada");
  EXPECT_EQ(pump.team, "line 1");
  EXPECT_EQ(pump.description, "Flow of the pumps.");
  EXPECT_EQ(pump.access, ProductAccess::kOnRequest);
  EXPECT_EQ(pump.readers, std::vector<std::string>{"technician"});
  EXPECT_EQ(pump.retention, Duration(std::chrono::days(30)));
  EXPECT_EQ(pump.FieldOf("pump-7/operator")->classification, "personal");
  EXPECT_EQ(pump.FieldOf("pump-7/operator")->privacy, (Json{{"action", "pseudonym"}}));
  EXPECT_EQ(pump.classification, "personal");
}

TEST(DataProductTest, SaysOfSeveralKindsWhatTheirContractsAgreeOn) {
  Snapshot snapshot = SiteOf("internal");
  Thing gearbox;
  gearbox.name = "gearbox-2";
  gearbox.properties = {PropertyOf("gearbox-2", "flow", "gearbox", "internal")};
  gearbox.properties[0].point.product = "pump";
  snapshot.things.push_back(std::move(gearbox));
  ContractSet contracts = ContractsOf(kContract);
  DataContract other = *contracts.by_id["pump"];
  other.id = "gearbox";
  other.owner = "bob";
  other.sla.clear();
  other.document["roles"] = Json::array();
  contracts.by_id["gearbox"] = std::make_shared<const DataContract>(std::move(other));
  const auto products = ProductsOf(snapshot, contracts, std::chrono::days(90));
  ASSERT_EQ(products.size(), 1U);
  EXPECT_EQ(products[0].contracts.size(), 2U);
  EXPECT_EQ(products[0].title, "pump");
  EXPECT_EQ(products[0].domain, "water");
  EXPECT_EQ(products[0].owner, "");
  EXPECT_TRUE(products[0].readers.empty());
  EXPECT_EQ(products[0].retention, Duration(std::chrono::days(90)));
  EXPECT_EQ(products[0].FieldOf("gearbox-2/flow")->kind, "gearbox");
  EXPECT_EQ(products[0].FieldOf("pump-7/flow")->kind, "pump");
}

}  // namespace
}  // namespace penstock::things
