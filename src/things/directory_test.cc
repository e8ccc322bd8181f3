#include "things/directory.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "storage/temporary_folder.h"
#include "things/asset_tree.h"
#include "things/point_ids.h"

namespace penstock::things {
namespace {

Json Td(const std::string& name, int address, const std::string& unit = "bar") {
  Json td = Json::parse(R"({
    "@context": ["https://www.w3.org/2022/wot/td/v1.1",
                 {"ps": "urn:penstock:v1#", "modv": "https://www.w3.org/2019/wot/modbus#"}],
    "base": "modbus+tcp://10.0.0.7:502/1", "ps:model": "pump@1.0",
    "securityDefinitions": {"none": {"scheme": "nosec"}}, "security": "none",
    "properties": {"pressure": {"type": "number", "unit": "bar",
      "forms": [{"op": "readproperty", "modv:entity": "HoldingRegister", "modv:type": "xsd:float"}]}}})");
  td["id"] = "urn:dev:acme:" + name;
  td["title"] = name;
  td["ps:asset"] = "acme/cologne/filling/line-1/" + name;
  td["properties"]["pressure"]["unit"] = unit;
  td["properties"]["pressure"]["forms"][0]["href"] = fmt::format("{}?quantity=2", address);
  return td;
}

const char* kPumpModel =
    R"({"@context": ["https://www.w3.org/2022/wot/td/v1.1", {"ps": "urn:penstock:v1#"}],
    "@type": "tm:ThingModel", "title": "Pump", "ps:model": "pump@1.0", "version": {"model": "1.0.0"},
    "properties": {"pressure": {"type": "number", "unit": "bar"}}})";

class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MakeFolders(folder_ + "/things"));
    ids_ = PointIdsInMemory();
    directory_ = std::make_unique<Directory>(folder_, *ids_);
    directory_->OnChange([this](const auto&) { ++changes_; });
    PutText("pump.tm.json", kPumpModel);
  }

  void PutText(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(folder_ + "/things/" + name, text));
  }
  void Put(const std::string& name, const Json& document) { PutText(name, document.dump(2)); }
  void Remove(const std::string& name) { std::filesystem::remove(folder_ + "/things/" + name); }

  // "file pointer: message" of each finding.
  std::string Reload() {
    std::string all;
    for (const Finding& f : directory_->Reload())
      all += fmt::format("{}{} {}: {}\n", f.is_error ? "" : "warning ",
                         f.error.where.substr(f.error.where.rfind('/') + 1), f.error.pointer,
                         f.error.message);
    return all;
  }
  std::shared_ptr<const Snapshot> Now() const { return directory_->snapshot(); }

  storage::TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
  std::unique_ptr<PointIds> ids_;
  std::unique_ptr<Directory> directory_;
  int changes_ = 0;
};

TEST_F(DirectoryTest, GivesEveryPointAnId) {
  Put("pump-7.td.json", Td("pump-7", 40));
  Put("pump-8.td.json", Td("pump-8", 42));
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(changes_, 1);
  ASSERT_EQ(Now()->things.size(), 2U);
  ASSERT_EQ(Now()->models.size(), 1U);
  EXPECT_NE(Now()->FindModel("pump@1.0"), nullptr);
  const Point* point = Now()->FindPoint("pump-8/pressure");
  ASSERT_NE(point, nullptr);
  EXPECT_EQ(point->id.value, 1U);
  EXPECT_EQ(Now()->FindPoint(point->id), point);
  EXPECT_EQ(Now()->FindPoint(PointId{99}), nullptr);
  EXPECT_EQ(Now()->FindThing("pump-7")->file, folder_ + "/things/pump-7.td.json");
  EXPECT_EQ(Now()->FindThing("pump-9"), nullptr);
}

TEST_F(DirectoryTest, NothingChangedIsCheapAndSilent) {
  Put("pump-7.td.json", Td("pump-7", 40));
  EXPECT_TRUE(directory_->Changed());
  Reload();
  EXPECT_FALSE(directory_->Changed());
  Reload();
  EXPECT_EQ(changes_, 1);
  Put("pump-7.td.json", Td("pump-7", 40));  // Touched, not changed.
  EXPECT_TRUE(directory_->Changed());
  Reload();
  EXPECT_EQ(changes_, 1);
  EXPECT_FALSE(directory_->Changed());
}

TEST_F(DirectoryTest, ABadFileKeepsItsOldVersion) {
  Put("pump-7.td.json", Td("pump-7", 40));
  Reload();
  PutText("pump-7.td.json", std::string("{ \"id\": "));
  EXPECT_EQ(Reload(), "pump-7.td.json : not JSON: line 1, column 9\n");
  EXPECT_NE(Now()->FindPoint("pump-7/pressure"), nullptr);
  EXPECT_EQ(Reload(),
            "pump-7.td.json : not JSON: line 1, column 9\n");  // Still told, still in force.
  EXPECT_EQ(changes_, 1);
  Put("pump-7.td.json", Td("pump-7", 44));
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(Now()->things[0].properties[0].source()->modbus.address, 44);
  EXPECT_EQ(changes_, 2);
}

TEST_F(DirectoryTest, ASnapshotInUseStaysAsItWas) {
  Put("pump-7.td.json", Td("pump-7", 40));
  Put("pump-8.td.json", Td("pump-8", 42));
  Reload();
  const auto before = Now();
  Put("pump-7.td.json", Td("pump-7", 44));
  Put("pump-6.td.json", Td("pump-6", 48));
  EXPECT_EQ(Reload(), "");
  const auto after = Now();
  const auto told = [](const Snapshot& snapshot) {
    std::string text;
    for (const Thing& thing : snapshot.things)
      text += fmt::format(
          "{} at {} has id {}, {}\n", thing.name, thing.properties[0].source()->modbus.address,
          thing.properties[0].point.id.value, thing.document.Parse()["title"].dump());
    return text;
  };
  EXPECT_EQ(told(*before),
            "pump-7 at 40 has id 0, \"pump-7\"\npump-8 at 42 has id 1, \"pump-8\"\n");
  EXPECT_EQ(told(*after),
            "pump-6 at 48 has id 2, \"pump-6\"\npump-7 at 44 has id 0, \"pump-7\"\n"
            "pump-8 at 42 has id 1, \"pump-8\"\n");
  EXPECT_EQ(after->FindPoint(PointId{1}), &after->things[2].properties[0].point);
  Remove("pump-6.td.json");
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(told(*Now()), "pump-7 at 44 has id 0, \"pump-7\"\npump-8 at 42 has id 1, \"pump-8\"\n");
}

// Gives ids when it pleases.
class MoodyIds final : public PointIds {
 public:
  Result<PointId> IdOf(const std::string& path) override {
    if (closed) return Unavailable("no ids now");
    return ids_->IdOf(path);
  }
  bool closed = false;

 private:
  std::unique_ptr<PointIds> ids_ = PointIdsInMemory();
};

TEST_F(DirectoryTest, WithoutIdsThingsWaitForTheNextTime) {
  MoodyIds ids;
  Directory directory(folder_, ids);
  Put("pump-7.td.json", Td("pump-7", 40));
  directory.Reload();
  Put("pump-8.td.json", Td("pump-8", 42));
  ids.closed = true;
  const auto findings = directory.Reload();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].error.message, "no ids now");
  EXPECT_EQ(directory.snapshot()->things.size(), 1U);
  ids.closed = false;
  EXPECT_TRUE(directory.Reload().empty());
  EXPECT_EQ(directory.snapshot()->things.size(), 2U);
  EXPECT_EQ(directory.snapshot()->things[1].properties[0].source()->modbus.address, 42);
}

TEST_F(DirectoryTest, AFileThatWasNeverGoodIsLeftOut) {
  PutText("pump-7.td.json", std::string("[]"));
  Put("pump-8.td.json", Td("pump-8", 42));
  EXPECT_EQ(Reload(), "pump-7.td.json : a description is an object, not array\n");
  EXPECT_EQ(Now()->things.size(), 1U);
}

TEST_F(DirectoryTest, APointThatComesBackHasItsOldId) {
  Put("pump-7.td.json", Td("pump-7", 40));
  Put("pump-8.td.json", Td("pump-8", 42));
  Reload();
  const PointId id = Now()->FindPoint("pump-7/pressure")->id;
  Remove("pump-7.td.json");
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(Now()->FindPoint("pump-7/pressure"), nullptr);
  EXPECT_EQ(Now()->FindPoint(id), nullptr);
  Put("pump-7.td.json", Td("pump-7", 40));
  Reload();
  EXPECT_EQ(Now()->FindPoint("pump-7/pressure")->id, id);
}

TEST_F(DirectoryTest, OfTwoAtOneAddressTheNewcomerGivesWay) {
  Put("pump-8.td.json", Td("pump-8", 41));
  Reload();
  Put("pump-7.td.json", Td("pump-7", 40));
  EXPECT_EQ(Reload(),
            "pump-7.td.json /properties/pressure/forms/0/href: modbus 10.0.0.7:502/1 "
            "HoldingRegister 40..41 is read as "
            "pump-8/pressure already (pump-8.td.json), with another meaning\n");
  ASSERT_EQ(Now()->things.size(), 1U);
  EXPECT_EQ(Now()->things[0].name, "pump-8");
  Put("pump-8.td.json", Td("pump-8", 42));
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(Now()->things.size(), 2U);
}

TEST_F(DirectoryTest, TheSameRegisterTwiceWithOneMeaningIsADoubt) {
  Put("pump-7.td.json", Td("pump-7", 40));
  Put("pump-8.td.json", Td("pump-8", 40));
  EXPECT_EQ(Reload(),
            "warning pump-8.td.json /properties/pressure/forms/0/href: modbus 10.0.0.7:502/1 "
            "HoldingRegister 40..41 is "
            "read as pump-7/pressure already (pump-7.td.json)\n");
  EXPECT_EQ(Now()->things.size(), 2U);
}

TEST_F(DirectoryTest, IdsAndAssetsAreUnique) {
  Put("a.td.json", Td("pump-7", 40));
  Put("b.td.json", Td("pump-7", 42));
  const std::string found = Reload();
  EXPECT_NE(found.find("b.td.json /id: id \"urn:dev:acme:pump-7\" is taken by a.td.json"),
            std::string::npos)
      << found;
  EXPECT_NE(found.find("b.td.json /properties/pressure: pressure of asset "
                       "acme/cologne/filling/line-1/pump-7 comes from "
                       "pump-7/pressure (a.td.json) already"),
            std::string::npos)
      << found;
  Json other = Td("pump-7", 42);
  other["id"] = "urn:dev:other:pump-7";
  other["ps:asset"] = "acme/cologne/filling/line-2/pump-7";
  Put("b.td.json", other);
  EXPECT_EQ(Reload(), "b.td.json /id: name \"pump-7\" is taken by a.td.json\n");
}

TEST_F(DirectoryTest, ThingsMeetTheirModel) {
  Json td = Td("pump-7", 40, "mbar");
  td["properties"]["pressure"]["type"] = "integer";
  Put("pump-7.td.json", td);
  EXPECT_EQ(Reload(),
            "warning pump-7.td.json /properties/pressure/forms/0/modv:type: \"xsd:float\" for an "
            "integer property\n"
            "pump-7.td.json /properties/pressure/type: number in pump@1.0, integer here\n"
            "pump-7.td.json /properties/pressure/unit: unit \"bar\" in pump@1.0, \"mbar\" here\n");
  td = Td("pump-7", 40);
  td["properties"]["flow"] = td["properties"]["pressure"];
  td["properties"]["flow"]["forms"][0]["href"] = "44?quantity=2";
  td["properties"].erase("pressure");
  Put("pump-7.td.json", td);
  EXPECT_EQ(
      Reload(),
      "pump-7.td.json /properties: pump@1.0 has a property \"pressure\", the thing has not\n");
}

TEST_F(DirectoryTest, AModelThatIsNotThereIsADoubt) {
  Remove("pump.tm.json");
  Put("pump-7.td.json", Td("pump-7", 40));
  EXPECT_EQ(Reload(), "warning pump-7.td.json /ps:model: no model \"pump@1.0\" in things/\n");
  EXPECT_EQ(Now()->things.size(), 1U);
}

TEST_F(DirectoryTest, AModelMayStandOnAnother) {
  Json model = Json::parse(kPumpModel);
  model["links"] = Json::parse(R"([{"rel": "tm:extends", "href": "base.tm.json"}])");
  Put("pump.tm.json", model);
  EXPECT_EQ(Reload(), "pump.tm.json /links/0/href: no good model in \"base.tm.json\"\n");
  Json base = Json::parse(kPumpModel);
  base["ps:model"] = "base@1.0";
  base["properties"] = Json::parse(R"({"speed": {"type": "number", "unit": "/min"}})");
  Put("base.tm.json", base);
  Put("pump-7.td.json", Td("pump-7", 40));
  EXPECT_EQ(Reload(),
            "pump-7.td.json /properties: pump@1.0 has a property \"speed\", the thing has not\n");
}

TEST_F(DirectoryTest, OtherFilesAndMissingFoldersAreTold) {
  Put("pump-7.json", Td("pump-7", 40));
  EXPECT_EQ(Reload(), "warning pump-7.json : file is not read\n");
  PointIds& ids = *ids_;
  Directory nowhere(folder_ + "/nowhere/", ids);
  const auto findings = nowhere.Reload();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].error.where, folder_ + "/nowhere/things");
}

TEST_F(DirectoryTest, AssetsFormATree) {
  Put("pump-7.td.json", Td("pump-7", 40));
  Put("pump-8.td.json", Td("pump-8", 42));
  Reload();
  const AssetTree tree = AssetTree::Of(*Now());
  EXPECT_EQ(tree.nodes().size(), 6U);
  ASSERT_EQ(tree.ChildrenOf("").size(), 1U);
  EXPECT_EQ(tree.ChildrenOf("")[0]->path, "acme");
  const AssetNode* line = tree.Find("acme/cologne/filling/line-1");
  ASSERT_NE(line, nullptr);
  EXPECT_EQ(line->title, "Line 1");
  EXPECT_EQ(line->points, 2U);
  EXPECT_EQ(tree.ThingsUnder("acme/cologne/filling/line-1"),
            (std::vector<std::string>{"pump-7", "pump-8"}));
  EXPECT_TRUE(tree.ThingsUnder("acme/cologne/filling/line").empty());
  EXPECT_TRUE(tree.ChildrenOf("nowhere").empty());
  const Json json = AssetTree::ToJson(*tree.Find("acme/cologne/filling/line-1/pump-7"));
  EXPECT_EQ(json["thing"], "pump-7");
  EXPECT_EQ(AssetTree::ToJson(*line)["thing"], nullptr);
  EXPECT_EQ(AssetTree::ToJson(*line)["children"], 2);
}

TEST_F(DirectoryTest, IdsSurviveARestartInTheRecords) {
  const std::string file = folder_ + "/records.db";
  {
    auto records = storage::Records::Open(file);
    ASSERT_TRUE(records.has_value()) << records.error().ToString();
    auto ids = PointIdsIn(**records);
    ASSERT_TRUE(ids.has_value()) << ids.error().ToString();
    EXPECT_EQ((*ids)->IdsOf({"a/x", "a/y", "a/x"}).value(), (std::vector<PointId>{{0}, {1}, {0}}));
    EXPECT_EQ((*ids)->IdOf("b/z")->value, 2U);
  }
  auto records = storage::Records::Open(file);
  auto ids = PointIdsIn(**records);
  ASSERT_TRUE(ids.has_value()) << ids.error().ToString();
  EXPECT_EQ((*ids)->IdOf("b/z")->value, 2U);
  EXPECT_EQ((*ids)->IdOf("c/new")->value, 3U);
}

}  // namespace
}  // namespace penstock::things
