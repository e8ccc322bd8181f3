// The two ends of the stream's benchmark, as processes of their own: `fill` makes an edge's durable
// log, `edge` publishes it, `hub` takes it and ends when all of it is durable. What they run is
// what the node runs. One line of JSON each.
//
//   stream_load fill FOLDER ROWS THINGS
//   stream_load edge FOLDER URL PARTITIONS REPLICAS MESSAGE_BYTES
//   stream_load hub  FOLDER URL PARTITIONS REPLICAS ROWS log|history NAME
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "base/bounded_queue.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "protocols/stream/publisher.h"
#include "protocols/stream/taker.h"
#include "storage/history.h"
#include "storage/records.h"
#include "telemetry/batch_codec.h"
#include "telemetry/pipeline.h"

namespace penstock {
namespace {

using Steady = std::chrono::steady_clock;
constexpr uint64_t kEpoch = 1;
constexpr uint32_t kPointsOfThing = 10;

double CpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

double Seconds(Steady::time_point from) {
  return std::chrono::duration<double>(Steady::now() - from).count();
}

std::vector<std::string> Paths(uint32_t things) {
  std::vector<std::string> paths;
  for (uint32_t i = 0; i < things * kPointsOfThing; ++i)
    paths.push_back(fmt::format("host-{}/value_{}", i / kPointsOfThing, i % kPointsOfThing));
  return paths;
}

storage::LogOptions LargeLog() {
  storage::LogOptions options;
  options.max_bytes = 64ULL << 30;
  return options;
}

// All points once a second, two decimals, as a walk.
Status Fill(const std::string& folder, uint64_t rows, uint32_t things) {
  ASSIGN_OR_RETURN(const auto log, storage::DurableLog::Open(folder + "/log", LargeLog()));
  Random random(7);
  const uint32_t points = things * kPointsOfThing;
  std::vector<double> values(points, 50);
  telemetry::Batch batch;
  Bytes record;
  uint64_t done = 0;
  for (int64_t second = 0; done < rows; ++second) {
    batch.Clear();
    for (uint32_t i = 0; i < points; ++i) {
      values[i] += static_cast<double>(static_cast<int64_t>(random.Below(21)) - 10) * 0.01;
      const Time at = FromMicros((1'700'000'000 + second) * 1'000'000);
      batch.Add(PointId{i}, at, at + std::chrono::milliseconds(3),
                std::round(values[i] * 100) / 100);
    }
    batch.first_sequence = done;
    batch.origin.epoch = kEpoch;
    record.clear();
    telemetry::EncodeBatch(batch, record);
    TRY(log->Append(record));
    if (second % 64 == 0) TRY(log->Sync());
    done += batch.size();
  }
  TRY(log->Sync());
  std::printf("{\"rows\": %llu, \"records\": %llu, \"bytes\": %llu}\n",
              static_cast<unsigned long long>(done),
              static_cast<unsigned long long>(log->durable_end()),
              static_cast<unsigned long long>(log->bytes()));
  return WriteFileAtomically(folder + "/things", std::to_string(things));
}

storage::StreamOptions StreamOf(char** argv) {
  storage::StreamOptions options;
  options.url = argv[0];
  options.partitions = static_cast<uint32_t>(std::stoul(argv[1]));
  options.replicas = static_cast<uint32_t>(std::stoul(argv[2]));
  return options;
}

Status Edge(const std::string& folder, char** argv) {
  ASSIGN_OR_RETURN(const auto log, storage::DurableLog::Open(folder + "/log", LargeLog()));
  ASSIGN_OR_RETURN(const std::string things, ReadFile(folder + "/things"));
  ASSIGN_OR_RETURN(const auto stream, storage::Stream::Open(StreamOf(argv)));
  const auto paths = Paths(static_cast<uint32_t>(std::stoul(things)));
  protocols::stream::PublisherOptions options;
  options.edge = "edge";
  options.epoch = kEpoch;
  options.folder = folder + "/stream";
  options.message_bytes = std::stoul(argv[3]);
  ASSIGN_OR_RETURN(const auto publisher, protocols::stream::Publisher::Open(
                                             options, {*log, *stream, [&] { return paths; }}));
  const auto start = Steady::now();
  publisher->Start();
  while (publisher->confirmed_records() < log->durable_end())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const double seconds = Seconds(start);
  publisher->Stop();
  Json report = publisher->ToJson();
  report["seconds"] = seconds;
  report["cpu_s"] = CpuSeconds();
  std::printf("%s\n", report.dump().c_str());
  return {};
}

// A hub that is only a durable log: what the stream costs without the history.
class LogSink final : public telemetry::SampleSink {
 public:
  explicit LogSink(storage::DurableLog& log) : log_(log) {
    thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  }
  ~LogSink() override {
    thread_.request_stop();
    queue_.Close();
  }
  void Write(telemetry::Batch batch, std::function<void(const Status&)> on_durable) override {
    queue_.Push({std::move(batch), std::move(on_durable)});
  }

 private:
  struct Item {
    telemetry::Batch batch;
    std::function<void(const Status&)> on_durable;
  };
  void Run(const std::stop_token& stop) {
    Bytes record;
    while (!stop.stop_requested()) {
      const auto items = queue_.PopMany(256, std::chrono::milliseconds(100));
      Status status;
      for (const Item& item : items) {
        record.clear();
        telemetry::EncodeBatch(item.batch, record);
        if (const auto appended = log_.Append(record); !appended)
          status = std::unexpected(appended.error());
      }
      if (!items.empty() && status) status = log_.Sync();
      for (const Item& item : items) item.on_durable(status);
    }
  }
  storage::DurableLog& log_;
  BoundedQueue<Item> queue_{1024};
  std::jthread thread_;
};

class NullQuarantine final : public telemetry::QuarantineSink {
  void Put(telemetry::QuarantineEntry) override {}
};

Status Hub(const std::string& folder, char** argv) {
  const uint64_t rows = std::stoull(argv[3]);
  const bool with_history = std::string_view(argv[4]) == "history";
  TRY(MakeFolders(folder));
  const SystemClock clock;
  ASSIGN_OR_RETURN(const auto records, storage::Records::Open(folder + "/records.db"));
  ASSIGN_OR_RETURN(const auto log, storage::DurableLog::Open(folder + "/log", LargeLog()));
  ASSIGN_OR_RETURN(const auto history, storage::History::Open(folder + "/history", {}));
  ASSIGN_OR_RETURN(const auto origins, telemetry::Origins::Open(*records));
  const auto ids = things::PointIdsInMemory();
  NullQuarantine quarantine;
  telemetry::PipelineOptions pipeline_options;
  pipeline_options.retain = std::chrono::days(36500);
  telemetry::Pipeline pipeline(*log, *history, quarantine, clock, pipeline_options);
  std::unique_ptr<LogSink> log_sink;
  if (with_history) {
    pipeline.SetSnapshot(std::make_shared<const things::Snapshot>());
    TRY(pipeline.Start());
  } else {
    log_sink = std::make_unique<LogSink>(*log);
  }
  telemetry::SampleSink& sink =
      with_history ? static_cast<telemetry::SampleSink&>(pipeline) : *log_sink;
  std::atomic<uint64_t> durable{0};
  struct Counting final : telemetry::SampleSink {
    Counting(telemetry::SampleSink& inner, std::atomic<uint64_t>& count)
        : inner_(inner), count_(count) {}
    void Write(telemetry::Batch batch, std::function<void(const Status&)> done) override {
      const size_t size = batch.size();
      inner_.Write(std::move(batch), [this, size, done = std::move(done)](const Status& status) {
        if (status) count_ += size;
        done(status);
      });
    }
    telemetry::SampleSink& inner_;
    std::atomic<uint64_t>& count_;
  } counting(sink, durable);
  protocols::uplink::Receiver receiver(counting, *origins, *ids);
  ASSIGN_OR_RETURN(const auto stream, storage::Stream::Open(StreamOf(argv)));
  protocols::stream::Taker taker({.hub = argv[5]}, {*stream, receiver, *origins, clock});
  taker.Start();
  while (durable == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto start = Steady::now();
  while (durable < rows) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double seconds = Seconds(start);
  Json report = {{"rows", durable.load()}, {"seconds", seconds}, {"cpu_s", CpuSeconds()}};
  std::printf("%s\n", report.dump().c_str());
  std::fflush(stdout);
  taker.Stop();
  if (with_history) pipeline.Stop();
  return {};
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  using namespace penstock;
  const std::string_view role = argc > 2 ? argv[1] : "";
  Status status = InvalidArgument("stream_load fill|edge|hub FOLDER ...");
  if (role == "fill" && argc == 5)
    status = Fill(argv[2], std::stoull(argv[3]), static_cast<uint32_t>(std::stoul(argv[4])));
  if (role == "edge" && argc == 7) status = Edge(argv[2], argv + 3);
  if (role == "hub" && argc == 9) status = Hub(argv[2], argv + 3);
  if (status) return 0;
  std::fprintf(stderr, "%s\n", status.error().ToString().c_str());
  return 1;
}
