#include "telemetry/row_classes.h"

#include <gtest/gtest.h>

#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

using storage::LogPriority;

TEST(RowClassesTest, WhatWentIsToldByPointWhereverItsNameIsKnown) {
  TestSite site;
  site.Add("pump-7", "flow");
  site.Add("pump-7", "power");
  const auto snapshot = site.Snapshot();
  std::vector<storage::HistoryDeletion> deleted(2);
  deleted[0].of_point = {{"pump-7/flow", 3}, {"unknown/point-9", 2}, {"", 5}};
  deleted[1].of_point = {{"pump-7/flow", 4}, {"retired/level", 1}, {"unknown/point-x", 1}};
  const auto gone = RowsGone(deleted, snapshot.get(), [](const std::string& path) {
    return path == "retired/level" ? std::optional(PointId{7}) : std::nullopt;
  });
  EXPECT_EQ(gone.of_point, (std::vector<std::pair<PointId, uint64_t>>{
                               {PointId{0}, 7}, {PointId{7}, 1}, {PointId{9}, 2}}));
  EXPECT_EQ(gone.unnamed, 6U);
  EXPECT_EQ(RowsGone(deleted, nullptr, nullptr).unnamed, 14U);
}

TEST(RowClassesTest, ThePriorityIsThatOfTheDescription) {
  TestSite site;
  site.Add("pump-7", "flow");
  site.Add("pump-7", "wave", things::ValueType::kWaveform, 100);
  site.Add("pump-7", "wave_kept", things::ValueType::kWaveform, 100);
  site.Add("pump-7", "tripped");
  site.Add("pump-7", "comfort");
  things::Snapshot snapshot = *site.Snapshot();
  auto& properties = snapshot.things[0].properties;
  properties[2].priority = LogPriority::kNormal;
  properties[3].priority = LogPriority::kHigh;
  properties[4].priority = LogPriority::kLow;
  EXPECT_EQ(PrioritiesOf(snapshot),
            (std::vector<LogPriority>{LogPriority::kNormal, LogPriority::kLow, LogPriority::kNormal,
                                      LogPriority::kHigh, LogPriority::kLow}));
}

TEST(RowClassesTest, APointsRowsStayInTheirOrder) {
  const std::vector<LogPriority> priorities = {LogPriority::kLow, LogPriority::kHigh};
  Batch batch;
  for (int i = 0; i < 6; ++i) batch.Add(PointId{static_cast<uint32_t>(i % 3)}, At(i), At(i), i);
  const auto classes = ByPriority(batch, priorities);
  ASSERT_EQ(classes.size(), 3U);
  EXPECT_EQ(classes[0].priority, LogPriority::kHigh);
  EXPECT_EQ(classes[0].batch.value, (std::vector<double>{1, 4}));
  EXPECT_EQ(classes[1].batch.value, (std::vector<double>{2, 5}));
  EXPECT_EQ(classes[2].batch.value, (std::vector<double>{0, 3}));
  EXPECT_EQ(ByPriority(batch, {}).size(), 1U);
  EXPECT_TRUE(ByPriority({}, priorities).empty());
}

}  // namespace
}  // namespace penstock::telemetry
