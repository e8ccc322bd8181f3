#include "telemetry/lineage.h"

#include <gtest/gtest.h>

#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

class LineageTest : public testing::Test {
 protected:
  LineageRun Ingest(double begin) const {
    LineageRun run{"ingest/pump-7", "INGEST", At(begin), At(begin + 60)};
    run.inputs = {{"modbus+tcp://10.0.0.7:502", "pump-7", "", {{"flow", "number", "m3/h"}}}};
    run.outputs = {{"penstock:acme/cologne",
                    "product/pump",
                    "urn:penstock:product:pump",
                    {{"pump-7/flow",
                      "number",
                      "m3/h",
                      {{"modbus+tcp://10.0.0.7:502", "pump-7", "flow"}},
                      "identity"}}}};
    run.facts = {{"samples", 120}};
    return run;
  }
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(":memory:");
  std::unique_ptr<Lineage> lineage_ = *Lineage::Open(*records_, "acme/cologne");
};

TEST_F(LineageTest, ARunIsToldByItsTwoEvents) {
  std::vector<Json> sent;
  lineage_->SendTo([&](const Json& event) { sent.push_back(event); });
  ASSERT_TRUE(lineage_->Tell({Ingest(0)}));
  const auto events = *lineage_->Events(0, 10);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(sent.size(), 2U);
  const Json& start = events[0].body;
  const Json& complete = events[1].body;
  EXPECT_EQ(start["eventType"], "START");
  EXPECT_EQ(complete["eventType"], "COMPLETE");
  EXPECT_EQ(start["run"]["runId"], complete["run"]["runId"]);
  EXPECT_EQ(start["run"]["runId"].get<std::string>().size(), 36U);
  EXPECT_EQ(complete["eventTime"], FormatTime(At(60)));
  EXPECT_EQ(complete["run"]["facets"]["penstock_facts"]["samples"], 120);
  const Json& output = complete["outputs"][0]["facets"];
  EXPECT_EQ(output["schema"]["fields"][0]["name"], "pump-7/flow");
  EXPECT_EQ(output["columnLineage"]["fields"]["pump-7/flow"]["inputFields"][0]["field"], "flow");
  EXPECT_EQ(output["dataSource"]["uri"], "urn:penstock:product:pump");
}

TEST_F(LineageTest, WhatHasAnIdIsToldOnceForEver) {
  LineageRun run = Ingest(0);
  run.id = "sha256:1234";
  ASSERT_TRUE(lineage_->Tell({run, run}));
  lineage_ = *Lineage::Open(*records_, "acme/cologne");
  ASSERT_TRUE(lineage_->Tell({run}));
  EXPECT_EQ(lineage_->Events(0, 10)->size(), 2U);
}

TEST_F(LineageTest, TheEventsAreBounded) {
  for (int i = 0; i < 6; ++i) {
    std::vector<LineageRun> runs(1000, Ingest(i));
    ASSERT_TRUE(lineage_->Tell(runs));
  }
  EXPECT_EQ(lineage_->Events(0, 100'000)->size(), Lineage::kEventsMax);
}

TEST_F(LineageTest, TheGraphJoinsJobsByTheirDatasets) {
  LineageRun score{"score/bearing", "SCORE", At(0), At(60)};
  score.inputs = {{"penstock:acme/cologne", "product/pump"}};
  score.outputs = {{"penstock:acme/cologne", "decisions/bearing"}};
  ASSERT_TRUE(lineage_->Tell({Ingest(0), Ingest(60), score}));
  const Json graph = *lineage_->Graph();
  EXPECT_EQ(graph["nodes"].size(), 5U);  // Two jobs, three datasets.
  EXPECT_EQ(graph["edges"].size(), 4U);
}

TEST_F(LineageTest, CountsGoOnAfterARestart) {
  ASSERT_TRUE(lineage_->SetCounts({{"ingest/pump-7", 120}}));
  lineage_ = *Lineage::Open(*records_, "acme/cologne");
  EXPECT_EQ(lineage_->Counts().at("ingest/pump-7"), 120U);
}

}  // namespace
}  // namespace penstock::telemetry
