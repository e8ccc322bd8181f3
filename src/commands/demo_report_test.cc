#include "commands/demo_report.h"

#include <gtest/gtest.h>

namespace penstock::commands {
namespace {

Json Fault(const char* machine, const char* kind, const char* onset, const char* failed,
           const char* repaired, const char* outcome) {
  const auto text = [](const char* time) { return time == nullptr ? Json(nullptr) : Json(time); };
  return {{"machine", machine},
          {"kind", kind},
          {"onset", onset},
          {"failed_at", text(failed)},
          {"repaired_at", text(repaired)},
          {"outcome", outcome}};
}
Json AlarmOf(const char* id, const char* thing, const char* cause, const char* raised) {
  return {{"id", id},          {"thing", thing},           {"cause", cause},     {"raised", raised},
          {"confidence", 0.9}, {"because", Json::array()}, {"verdict", nullptr}, {"trace", "t"}};
}

TEST(DemoReportTest, CountsWhatWasSaidInTimeAndWhatWasRight) {
  const Json truth = {
      {"faults",
       {Fault("pump-7", "bearing_wear", "2026-03-02T06:10:00Z", nullptr, "2026-03-02T07:30:00Z",
              "prevented"),
        Fault("filler-1", "clogged_nozzle", "2026-03-02T06:00:00Z", "2026-03-02T08:00:00Z", nullptr,
              "failed"),
        Fault("gearbox-2", "misalignment", "2026-03-02T09:00:00Z", nullptr, nullptr, "ongoing")}},
      {"sensor_faults", Json::array()}};
  const Json alarms = {AlarmOf("A-1", "pump-7", "bearing_wear", "2026-03-02T07:00:00Z"),
                       AlarmOf("A-2", "filler-1", "clogged_nozzle", "2026-03-02T08:01:00Z"),
                       AlarmOf("A-3", "gearbox-2", "bearing_wear", "2026-03-02T09:30:00Z"),
                       AlarmOf("A-4", "pump-7", "cavitation", "2026-03-02T06:00:00Z")};
  const Json report = DemoReport(truth, alarms);
  EXPECT_DOUBLE_EQ(report["alarmed_before_failure"].get<double>(), 0.5)
      << "the filler's came after its failure";
  EXPECT_EQ(report["faults"][0]["alarmed_at"], "2026-03-02T07:00:00Z");
  EXPECT_TRUE(report["faults"][1]["alarmed_at"].is_null());
  EXPECT_DOUBLE_EQ(report["precision"].get<double>(), 0.5)
      << "a wrong cause and an alarm before the onset are wrong";
}

TEST(DemoReportTest, NothingHappenedIsNullNotZero) {
  const Json report = DemoReport({{"faults", Json::array()}}, Json::array());
  EXPECT_TRUE(report["precision"].is_null());
  EXPECT_TRUE(report["alarmed_before_failure"].is_null());
}

}  // namespace
}  // namespace penstock::commands
