// A text on its way: interned, in the log, in the history, and there again after a life that ended
// without a word.
#include <gtest/gtest.h>

#include <filesystem>

#include "storage/temporary_folder.h"
#include "telemetry/pipeline.h"
#include "telemetry/testing_sinks.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

class TextPipelineTest : public testing::Test {
 protected:
  struct Life {
    std::unique_ptr<Texts> texts;
    std::unique_ptr<storage::DurableLog> log;
    std::unique_ptr<storage::History> history;
    std::unique_ptr<Pipeline> pipeline;
  };

  // In a copy of the folder as it is now: what a crash would have left.
  void Begin(const std::string& name) {
    if (life_.log) std::filesystem::copy(folder_ / "1", folder_ / name, kRecursive);
    End();
    const std::string at = folder_ / name;
    std::filesystem::create_directories(at);
    life_.texts = Texts::Open(at + "/texts").value();
    life_.log = storage::DurableLog::Open(at + "/log", {}).value();
    life_.history = storage::History::Open(at + "/history", {}).value();
    PipelineOptions options;
    options.texts = life_.texts.get();
    life_.pipeline =
        std::make_unique<Pipeline>(*life_.log, *life_.history, notes_, clock_, options);
    life_.pipeline->SetSnapshot(site_.Snapshot());
    ASSERT_TRUE(life_.pipeline->Start());
  }
  // From the outside in: each asks what stands before it.
  void End() {
    life_.pipeline.reset();
    life_.history.reset();
    life_.log.reset();
    life_.texts.reset();
  }
  ~TextPipelineTest() override { End(); }
  void Say(PointId point, std::string_view text, int second) {
    Batch batch;
    const Time at = clock_.Now() + std::chrono::seconds(second);
    batch.Add(point, at, at, life_.pipeline->Intern(point, text).value());
    Status durable;
    life_.pipeline->Write(std::move(batch), [&](const Status& status) { durable = status; });
    life_.pipeline->WaitUntilHandled();
    EXPECT_TRUE(durable);
  }
  std::vector<std::string> Said() {
    std::vector<std::string> said;
    const Time now = clock_.Now();
    const auto rows =
        life_.history->Read("pump-7/state", now, now + std::chrono::hours(1), 99).value();
    for (const auto& row : rows) said.emplace_back(life_.pipeline->TextOf(row.value).value_or("?"));
    return said;
  }

  static constexpr auto kRecursive = std::filesystem::copy_options::recursive;
  storage::TemporaryFolder folder_;
  ManualClock clock_{FromMicros(1'700'000'000'000'000)};
  TestSite site_;
  PointId state_ = site_.Add("pump-7", "state", things::ValueType::kString).id;
  NoNotes notes_;
  Life life_;
};

TEST_F(TextPipelineTest, TextsComeBackAfterACrash) {
  Begin("1");
  Say(state_, "running", 1);
  Say(state_, "stopped", 2);
  ASSERT_TRUE(life_.pipeline->Flush());
  Say(state_, "cleaning", 3);  // In the log alone.
  EXPECT_EQ(Said(), (std::vector<std::string>{"running", "stopped", "cleaning"}));
  Begin("2");
  EXPECT_EQ(Said(), (std::vector<std::string>{"running", "stopped", "cleaning"}));
}

TEST_F(TextPipelineTest, ALostTableIsFoundInTheHistory) {
  Begin("1");
  Say(state_, "running", 1);
  Say(state_, "stopped", 2);
  ASSERT_TRUE(life_.pipeline->Flush());
  life_.pipeline->Stop();
  std::filesystem::remove(folder_ / "1/texts");
  Begin("2");
  EXPECT_FALSE(life_.texts->complete());
  EXPECT_EQ(Said(), (std::vector<std::string>{"?", "?"}));
  ASSERT_TRUE(life_.history->VisitTexts(
      [&](std::string_view text) { EXPECT_TRUE(life_.texts->Learn(text)); }));
  EXPECT_EQ(Said(), (std::vector<std::string>{"running", "stopped"}));
}

TEST_F(TextPipelineTest, ARecordOfTheLogHoldsTextsOfOneMegabyteAtMost) {
  Begin("1");
  Batch batch;
  for (int i = 0; i < 600; ++i) {
    const Time at = clock_.Now() + std::chrono::milliseconds(i);
    const std::string text = std::to_string(i) + std::string(4000, 'x');
    batch.Add(state_, at, at, life_.pipeline->Intern(state_, text).value());
  }
  life_.pipeline->Write(std::move(batch));
  life_.pipeline->WaitUntilHandled();
  EXPECT_EQ(life_.log->durable_end(), 3U);
  EXPECT_EQ(life_.pipeline->ledger().stored, 600U);
}

}  // namespace
}  // namespace penstock::telemetry
