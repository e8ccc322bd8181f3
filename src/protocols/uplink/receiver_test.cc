#include "protocols/uplink/receiver.h"

#include <gtest/gtest.h>

#include "protocols/uplink/edge_things.h"
#include "storage/temporary_folder.h"
#include "telemetry/texts.h"

namespace penstock::protocols::uplink {
namespace {

using telemetry::Batch;

// Keeps what is written; tells "durable" when the test says so.
class HeldSink final : public telemetry::SampleSink {
 public:
  void Write(Batch batch, std::function<void(const Status&)> on_durable) override {
    batches.push_back(std::move(batch));
    waiting.push_back(std::move(on_durable));
  }
  void Answer(const Status& status) {
    for (const auto& callback : std::exchange(waiting, {})) callback(status);
  }
  std::vector<Batch> batches;
  std::vector<std::function<void(const Status&)>> waiting;
};

std::string Frames(uint64_t first, size_t rows, const std::string& edge = "edge-7") {
  Batch batch;
  for (size_t i = 0; i < rows; ++i)
    batch.Add(PointId{0}, FromMicros(static_cast<int64_t>(first + i)), Time(),
              static_cast<double>(first + i));
  Bytes bytes;
  telemetry::FrameEncoder().Encode(batch, 0, rows, {"pump-7/flow"}, {edge, 5, first}, bytes);
  return std::string(AsText(bytes));
}

class ReceiverTest : public testing::Test {
 protected:
  // The last answer; nothing while there is none.
  void Take(const std::string& bytes, size_t offset = 0, size_t total = 0, bool torn = false,
            const std::string& id = "a") {
    answer_.reset();
    receiver_.Take("edge-7", id, offset, total == 0 ? bytes.size() : total, bytes, torn,
                   [this](Result<Json> answer) { answer_ = std::move(answer); });
  }
  std::unique_ptr<storage::Records> records_ =
      std::move(storage::Records::Open(":memory:").value());
  std::unique_ptr<telemetry::Origins> origins_ =
      std::move(telemetry::Origins::Open(*records_).value());
  std::unique_ptr<things::PointIds> ids_ = things::PointIdsInMemory();
  HeldSink sink_;
  Receiver receiver_{
      sink_, *origins_, *ids_, {.block_bytes_max = 1 << 16, .partials_max = 2, .threads = 0}};
  std::optional<Result<Json>> answer_;
};

TEST_F(ReceiverTest, AnswersWhenItIsDurableAndNotBefore) {
  Take(Frames(0, 10));
  EXPECT_FALSE(answer_);
  ASSERT_EQ(sink_.batches.size(), 1U);
  EXPECT_EQ(sink_.batches[0].origin.edge, "edge-7");
  EXPECT_EQ(sink_.batches[0].origin.epoch, 5U);
  EXPECT_EQ(sink_.batches[0].point[0], ids_->IdOf("edge-7_pump-7/flow").value());
  sink_.Answer({});
  ASSERT_TRUE(answer_ && *answer_);
  EXPECT_EQ((*answer_)->at("durable"), 10);
  EXPECT_TRUE((*answer_)->at("missing").empty());
}

TEST_F(ReceiverTest, AppliesOnceWhatComesAgain) {
  Take(Frames(0, 10));
  Take(Frames(5, 10));  // Five of them are on their way.
  ASSERT_EQ(sink_.batches.size(), 2U);
  EXPECT_EQ(sink_.batches[1].origin.first, 10U);
  EXPECT_EQ(sink_.batches[1].value.front(), 10);
  sink_.Answer({});
  Take(Frames(0, 15));
  EXPECT_EQ(sink_.batches.size(), 2U);
  ASSERT_TRUE(answer_ && *answer_);
  EXPECT_TRUE((*answer_)->at("missing").empty());
}

TEST_F(ReceiverTest, CallsNothingDurableThatTheLogRefused) {
  Take(Frames(0, 10));
  sink_.Answer(ResourceExhausted("disk full"));
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->error().code, Code::kResourceExhausted);
  Take(Frames(0, 10));
  EXPECT_EQ(sink_.batches.size(), 2U);  // It may come again.
  sink_.Answer({});
  EXPECT_TRUE(*answer_);
}

TEST_F(ReceiverTest, JoinsABlockThatWasCut) {
  const std::string block = Frames(0, 1000);
  const size_t cut = block.size() / 3;
  Take(block.substr(0, cut), 0, block.size(), true);
  EXPECT_EQ(receiver_.KeptBytes("edge-7", "a"), cut);
  EXPECT_EQ(receiver_.KeptBytes("edge-8", "a"), 0U);
  Take(block.substr(cut - 1), cut - 1, block.size());
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->error().code, Code::kFailedPrecondition);
  EXPECT_EQ(answer_->error().fix, fmt::format("send from byte {} on", cut));
  Take(block.substr(cut, 10), cut, block.size(), true);  // Cut again.
  EXPECT_EQ(receiver_.KeptBytes("edge-7", "a"), cut + 10);
  Take(block.substr(cut + 10), cut + 10, block.size());
  ASSERT_EQ(sink_.batches.size(), 1U);
  EXPECT_EQ(sink_.batches[0].size(), 1000U);
  EXPECT_EQ(receiver_.KeptBytes("edge-7", "a"), 0U);
}

TEST_F(ReceiverTest, KeepsFewCutBlocks) {
  for (const char* id : {"a", "b", "c"}) Take("x", 0, 100, true, id);
  EXPECT_EQ(receiver_.KeptBytes("edge-7", "a"), 0U);
  EXPECT_EQ(receiver_.KeptBytes("edge-7", "c"), 1U);
}

TEST_F(ReceiverTest, SaysWhatIsWrongWithABlock) {
  Take(Frames(0, 10, "edge-8"));
  EXPECT_EQ(answer_->error().code, Code::kPermissionDenied);
  Take("nonsense");
  EXPECT_NE(answer_->error().message.find("at byte 0 of the block"), std::string::npos);
  Take(Frames(0, 10), 0, 1 << 20);
  EXPECT_EQ(answer_->error().code, Code::kOutOfRange);
  Take("abc", 0, 10);
  EXPECT_NE(answer_->error().message.find("3 bytes, its range says 10"), std::string::npos);
  EXPECT_TRUE(sink_.batches.empty());
}

TEST_F(ReceiverTest, WritesDownWhatWillNeverCome) {
  const Time now = FromMicros(1);
  const Json hello = {{"epoch", "5"}, {"begin", 7}, {"next", 20}, {"reason", "evicted"}};
  const Json heard = std::move(receiver_.Hello("edge-7", hello, now).value());
  EXPECT_EQ(heard["gone"], 7);
  EXPECT_EQ(heard["durable"], 7);
  EXPECT_FALSE(receiver_.Hello("edge-7", {{"epoch", "x"}, {"begin", 0}, {"next", 0}}, now));
  EXPECT_FALSE(receiver_.Hello("edge-7", {{"epoch", "5"}, {"begin", 9}, {"next", 3}}, now));
}

Json Description(const std::string& id) {
  return {
      {"@context", {"https://www.w3.org/2022/wot/td/v1.1", Json{{"ps", "urn:penstock:v1#"}}}},
      {"id", id},
      {"title", "Pump 7"},
      {"ps:asset", "acme/cologne/lab/line-1/pump-7"},
      {"securityDefinitions", {{"nosec_sc", {{"scheme", "nosec"}}}}},
      {"security", "nosec_sc"},
      {"properties",
       {{"flow",
         {{"type", "number"},
          {"unit", "1"},
          {"readOnly", true},
          {"observable", true},
          {"forms", {{{"href", "modbus+tcp://10.0.0.9:502/1/30001"}, {"op", "readproperty"}}}}}}}}};
}

TEST(EdgeThingsTest, DescribesAThingUnderItsNameOnTheHub) {
  const auto here = EdgeThings::OnHub("edge-7", Description("urn:dev:acme:pump-7"));
  ASSERT_TRUE(here) << here.error().ToString();
  EXPECT_EQ((*here)["id"], "urn:dev:acme:edge-7_pump-7");
  EXPECT_EQ((*here)["properties"]["flow"]["forms"][0]["href"], "http://local/write");
  EXPECT_FALSE(EdgeThings::OnHub("edge-7", Description("urn:dev:acme:" + std::string(60, 'x'))));
  EXPECT_FALSE(EdgeThings::OnHub("edge-7", Json(5)));
}

TEST(EdgeThingsTest, WritesOnlyWhatChangedAndRefusesEachByName) {
  storage::TemporaryFolder folder;
  EdgeThings things(folder.path());
  const Json body = {
      {"things", {Description("urn:dev:acme:pump-7"), Description("urn:x:../Evil")}}};
  const auto first = things.Take("edge-7", body).value();
  EXPECT_EQ(first.changed, 1U);
  ASSERT_EQ(first.refused.size(), 1U);
  EXPECT_EQ(first.refused[0].thing, "urn:x:../Evil");
  EXPECT_EQ(things.Take("edge-7", body).value().changed, 0U);
  EXPECT_FALSE(things.Take("../x", body));
}

TEST(ReceiverTextTest, TextsOfAnEdgeBecomeTextsHere) {
  storage::TemporaryFolder folder;
  const auto edge_texts = telemetry::Texts::Open(folder / "edge").value();
  const auto hub_texts = telemetry::Texts::Open(folder / "hub", {.texts_of_point = 1}).value();
  class TextHub final : public telemetry::SampleSink {
   public:
    explicit TextHub(telemetry::Texts& texts) : texts_(texts) {}
    void Write(Batch batch, std::function<void(const Status&)> on_durable) override {
      batches.push_back(std::move(batch));
      on_durable({});
    }
    Result<double> Intern(PointId point, std::string_view text) override {
      return texts_.Intern(point, text);
    }
    std::vector<Batch> batches;

   private:
    telemetry::Texts& texts_;
  } sink(*hub_texts);
  const auto records = std::move(storage::Records::Open(":memory:").value());
  const auto origins = std::move(telemetry::Origins::Open(*records).value());
  const auto ids = things::PointIdsInMemory();
  Receiver receiver(sink, *origins, *ids, {.threads = 0});

  Batch batch;
  for (const char* text : {"running", "stopped", "running"})
    batch.Add(PointId{0}, FromMicros(static_cast<int64_t>(batch.size())), Time(),
              edge_texts->Intern(PointId{0}, text).value());
  batch.Add(PointId{1}, FromMicros(9), Time(), 4.5);
  telemetry::FrameEncoder encoder;
  encoder.TakeTexts(edge_texts.get());
  Bytes bytes;
  encoder.Encode(batch, 0, 4, {"pump-7/state", "pump-7/flow"}, {"edge-7", 5, 0}, bytes);
  bool durable = false;
  receiver.Take("edge-7", "a", 0, bytes.size(), std::string(AsText(bytes)), false,
                [&](const Result<Json>& answer) { durable = answer.has_value(); });
  EXPECT_TRUE(durable);
  ASSERT_EQ(sink.batches.size(), 1U);
  EXPECT_EQ(sink.batches[0].value, batch.value);
  EXPECT_EQ(hub_texts->Find(batch.value[0]), "running");
  EXPECT_FALSE(hub_texts->Find(batch.value[1])) << "beyond the bound of this hub";
  EXPECT_EQ(sink.batches[0].quality,
            (std::vector<telemetry::Quality>{telemetry::kGood, telemetry::kUncertain,
                                             telemetry::kGood, telemetry::kGood}));
}

}  // namespace
}  // namespace penstock::protocols::uplink
