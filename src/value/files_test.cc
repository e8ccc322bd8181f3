#include <gtest/gtest.h>

#include <fstream>

#include "storage/temporary_folder.h"
#include "telemetry/testing_site.h"
#include "value/kpi_file.h"
#include "value/testing_line.h"
#include "value/usecase.h"

namespace penstock::value {
namespace {

Error KpiError(const std::string& yaml) {
  TestLine line;
  auto document = ParseYaml(yaml);
  EXPECT_TRUE(document) << document.error().ToString();
  auto file = KpiFileFromJson(*document, line.snapshot.get());
  EXPECT_FALSE(file);
  return file ? Error{} : file.error();
}

const std::string kBegin = "kpis: a\nasset: x/y\nmachines: [pump-7, filler-1]\n";

TEST(KpiFileTest, SaysWhereAndWhatToDo) {
  EXPECT_EQ(KpiError("kpis: a\nasset: x/y\nmachines: [pump-8]\n").fix, "did you mean \"pump-7\"?");
  EXPECT_EQ(KpiError(kBegin + "count: {good: filler-1/goood}\n").pointer, "/count/good");
  EXPECT_EQ(KpiError(kBegin + "producer: meter\n").pointer, "/producer");
  EXPECT_EQ(KpiError(kBegin + "states: {minor_stop: 3min}\n").fix, "did you mean \"minor-stop\"?");
  EXPECT_EQ(KpiError(kBegin + "ideal-rate: {per: min, of: 0}\n").pointer, "/ideal-rate/of");
  EXPECT_EQ(
      KpiError(kBegin + "ideal-rate: {point: filler-1/product, per: min, of: {a: 1}}\n").pointer,
      "/ideal-rate/of/a");
  EXPECT_EQ(KpiError(kBegin + "calendar: {planned: [{from: \"22:00\", to: \"06:00\"}]}\n").pointer,
            "/calendar/planned/0/to");
  EXPECT_EQ(KpiError(kBegin + "calendar: {planned: [{from: \"6\", to: \"06:00\"}]}\n").pointer,
            "/calendar/planned/0/from");
  EXPECT_EQ(KpiError(kBegin + "prices: {energy: 4200 euros}\n").pointer, "/prices/energy");
  EXPECT_EQ(
      KpiError(kBegin + "states: {minor-stop: 30min, unexplained-down-after: 25min}\n").pointer,
      "/states/unexplained-down-after");
}

TEST(KpiFileTest, ReadsTheCalendarAndOneRateForAll) {
  auto file = KpiFileFromJson(
      *ParseYaml(kBegin +
                 "ideal-rate: {per: h, of: 3600}\ncalendar: {planned: [{days: [sat, sun], from: "
                 "\"06:00\", to: \"24:00\", reason: weekend}]}\n"),
      nullptr);
  ASSERT_TRUE(file) << file.error().ToString();
  EXPECT_EQ(file->ideal_per_s.at(0), 1);
  ASSERT_EQ(file->planned.size(), 1U);
  EXPECT_EQ(file->planned[0].days, 0x60);
  EXPECT_EQ(file->producer, "filler-1");
}

TEST(PriceTest, HasAmountCurrencyAndUnit) {
  auto price = ParsePrice("4200 EUR/h");
  ASSERT_TRUE(price);
  EXPECT_EQ(price->text(), "4200 EUR/h");
  for (const char* bad : {"4200", "EUR/h", "-1 EUR/h", "1 eur/h", "1 EUR/", "x EUR/h", "1EUR/h"})
    EXPECT_FALSE(ParsePrice(bad)) << bad;
}

Error UseError(const std::string& yaml) {
  TestLine line;
  auto use = UseCaseFromJson(*ParseYaml("usecase: a\nasset: x/y\nsponsor: boss\n" + yaml),
                             line.snapshot.get());
  EXPECT_FALSE(use);
  return use ? Error{} : use.error();
}

TEST(UseCaseTest, SaysWhereAndWhatToDo) {
  EXPECT_EQ(UseError("kpi: {primary: mttrr}").pointer, "/kpi/primary");
  EXPECT_EQ(UseError("kpi: {primary: mttr, unit: min}").fix, "h");
  EXPECT_EQ(UseError("kpi: {primary: mttr, target: less}").pointer, "/kpi/target");
  EXPECT_EQ(UseError("kpi: {primary: mttr, guard: [\"oee 3\"]}").pointer, "/kpi/guard/0");
  EXPECT_EQ(UseError("kpi: {primary: mttr}\nneeds: {points: [pump-7/runing]}").fix,
            "did you mean \"pump-7/running\"?");
  EXPECT_EQ(UseError("kpi: {primary: mttr}\nscore: {criticality: 6}").pointer,
            "/score/criticality");
  EXPECT_EQ(UseError("kpi: {primary: mttr}\nplan: {method: hope}").pointer, "/plan/method");
  EXPECT_EQ(UseError("kpi: {primary: mttr}\nplan: {controls: [pump-9]}").pointer,
            "/plan/controls/0");
  EXPECT_EQ(UseError("kpi: {primary: mttr}\nvalue: {mttr: cheap}").pointer, "/value/mttr");
}

TEST(UseCaseTest, ABadFileKeepsItsOldVersion) {
  const storage::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "usecases");
  const auto write = [&](const std::string& text) {
    std::ofstream(folder / "usecases/a.yaml") << text;
  };
  TestLine line;
  UseCases cases;
  write("usecase: a\nasset: x/y\nsponsor: boss\nkpi: {primary: mttr}\n");
  EXPECT_TRUE(cases.Reload(folder.path(), *line.snapshot).empty());
  write("usecase: a\nasset: x/y\nsponsr: boss\nkpi: {primary: mttr}\n");
  const auto errors = cases.Reload(folder.path(), *line.snapshot);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].where.find("usecases/a.yaml"), std::string::npos);
  EXPECT_EQ((*cases.Get("a"))->sponsor, "boss");
  EXPECT_EQ(cases.Get("b").error().code, Code::kNotFound);
  std::filesystem::remove(folder / "usecases/a.yaml");
  EXPECT_TRUE(cases.Reload(folder.path(), *line.snapshot).empty());
  EXPECT_TRUE(cases.List().empty());
}

// The example site's files, against the example site's things.
TEST(ExampleTest, FilesOfTheBottlingLineAreRight) {
  const std::string folder = std::string(PENSTOCK_SOURCE_DIR) + "/examples/bottling";
  const auto ids = things::PointIdsInMemory();
  things::Directory directory(folder, *ids);
  (void)directory.Reload();
  std::vector<Error> errors;
  const auto files = ReadKpiFiles(folder, directory.snapshot().get(), errors);
  const auto cases = ReadUseCaseFiles(folder, directory.snapshot().get(), errors);
  for (const auto& error : errors) ADD_FAILURE() << error.ToString();
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].ideal_per_s.at(1), 10);
  ASSERT_EQ(cases.size(), 1U);
  EXPECT_EQ(cases[0].guards[0].kpi, "false_alarms_per_day");
}

}  // namespace
}  // namespace penstock::value
