#include "fabric.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <future>

#include "base/check.h"

namespace penstock::faults {
namespace {

using telemetry::Batch;

// Ten seconds before a day ends, so that files of two days are written.
const Time kStart = ParseTime("2026-01-31T23:59:50Z").value();
constexpr Duration kSpacing = std::chrono::milliseconds(10);

uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x7fb5d329728ea185ULL;
  x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44dULL;
  return x ^ (x >> 33);
}

std::string PathOf(uint32_t point) { return fmt::format("machine-{}/flow", point); }

}  // namespace

Ledger& Ledger::Map(const std::string& file) {
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  CHECK(fd >= 0 && ftruncate(fd, sizeof(Ledger)) == 0);
  void* page = mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(page != MAP_FAILED);
  close(fd);
  return *static_cast<Ledger*>(page);
}

Result<std::unique_ptr<Fabric>> Fabric::Open(const std::string& folder,
                                             const FabricOptions& options) {
  auto fabric = std::unique_ptr<Fabric>(new Fabric);
  for (uint32_t point = 0; point < kPoints; ++point) {
    things::Point& added = fabric->site_.Add(fmt::format("machine-{}", point), "flow");
    added.product = point % 2 == 0 ? "pump" : "gearbox";
  }
  fabric->clock_.Set(kStart + std::chrono::hours(12));
  TRY(fabric->OpenStores(folder, options));
  return fabric;
}

Status Fabric::OpenStores(const std::string& folder, const FabricOptions& options) {
  ASSIGN_OR_RETURN(records_, storage::Records::Open(folder + "/records.db"));
  TRY(records_->Migrate("probe",
                        {{1, "CREATE TABLE pairs(n INTEGER PRIMARY KEY, twin INTEGER) STRICT"}}));
  ASSIGN_OR_RETURN(
      log_, storage::DurableLog::Open(folder + "/log", {.segment_bytes = options.segment_bytes,
                                                        .max_bytes = options.log_bytes_max}));
  const storage::HistoryOptions history{.flush_every = std::chrono::hours(1),
                                        .merge_files = 3,
                                        .merge_in_background = options.background};
  ASSIGN_OR_RETURN(history_, storage::History::Open(folder + "/history", history));
  ASSIGN_OR_RETURN(books_, telemetry::PointLedger::Open(folder + "/books", 1));
  telemetry::PipelineOptions pipeline;
  pipeline.ledger = books_.get();
  pipeline.retry_for = options.retry_for;
  pipeline.flush_every = std::chrono::hours(1);
  pipeline.retain = std::chrono::days(36'500);
  pipeline_ =
      std::make_unique<telemetry::Pipeline>(*log_, *history_, quarantine_, clock_, pipeline);
  pipeline_->SetSnapshot(site_.Snapshot());
  return pipeline_->Start();
}

Fabric::~Fabric() {
  if (pipeline_) pipeline_->Stop();
}

Batch Fabric::NextBatch(const Ledger& ledger, uint32_t writer, uint64_t seed) {
  Batch batch;
  const uint32_t first = writer * kPointsPerWriter;
  for (uint32_t point = first; point < first + kPointsPerWriter; ++point) {
    const uint64_t from = ledger.acknowledged[point];
    const uint64_t count = 1 + Mix(seed + 31 * from + point) % 12;
    for (uint64_t n = from; n < from + count; ++n) {
      const Time time = kStart + static_cast<int64_t>(n) * kSpacing;
      batch.Add(PointId{point}, time, time, static_cast<double>(n));
    }
  }
  return batch;
}

Status Fabric::Send(Ledger& ledger, uint32_t writer, uint64_t seed) {
  Batch batch = NextBatch(ledger, writer, seed);
  uint64_t rows[kPoints] = {};
  for (const PointId point : batch.point) ++rows[point.value];
  std::promise<Status> promise;
  auto answer = promise.get_future();
  pipeline_->Write(std::move(batch), [&](const Status& status) { promise.set_value(status); });
  TRY(answer.get());
  for (uint32_t point = 0; point < kPoints; ++point)
    if (rows[point] > 0) ledger.acknowledged[point] += rows[point];
  ++ledger.commits;
  return {};
}

Status Fabric::Record(Ledger& ledger) {
  ASSIGN_OR_RETURN(const auto rows, records_->Query("SELECT coalesce(max(n), 0) + 1 FROM pairs"));
  const int64_t next = rows[0].Integer(0);
  TRY(records_->Transaction([&]() -> Status {
    TRY(records_->Run("INSERT INTO pairs VALUES(?, NULL)", {next}));
    TRY(records_->Run("UPDATE pairs SET twin=n WHERE n=?", {next}));
    return {};
  }));
  ledger.records = static_cast<uint64_t>(next);
  return {};
}

std::string Fabric::Complaint(const Ledger& ledger, uint64_t seed) {
  std::vector<uint64_t> on_the_way(kPoints);
  for (uint32_t writer = 0; writer < kWriters; ++writer)
    for (const PointId point : NextBatch(ledger, writer, seed).point) ++on_the_way[point.value];
  for (uint32_t point = 0; point < kPoints; ++point) {
    const uint64_t acknowledged = ledger.acknowledged[point];
    const auto rows = history_->Read(PathOf(point), kStart, kStart + std::chrono::days(3650),
                                     acknowledged + on_the_way[point] + 1000);
    if (!rows) return fmt::format("{}: not read: {}", PathOf(point), rows.error().ToString());
    for (size_t i = 0; i < rows->size(); ++i)
      if ((*rows)[i].value != static_cast<double>(i))
        return fmt::format("{}: row {} has the value {}: lost, doubled or out of order",
                           PathOf(point), i, (*rows)[i].value);
    if (rows->size() < acknowledged)
      return fmt::format("{}: {} of {} acknowledged samples are lost", PathOf(point),
                         acknowledged - rows->size(), acknowledged);
    const auto books = books_->Points();
    const int64_t booked = point < books.size() ? books[point].stored() : 0;
    if (booked != static_cast<int64_t>(rows->size()))
      return fmt::format("{}: {} samples stored, {} in the books", PathOf(point), rows->size(),
                         booked);
    if (rows->size() != acknowledged && rows->size() != acknowledged + on_the_way[point])
      return fmt::format("{}: {} samples, {} acknowledged and {} on the way: torn", PathOf(point),
                         rows->size(), acknowledged, on_the_way[point]);
  }
  const auto pairs =
      records_->Query("SELECT coalesce(max(n), 0), count(*), count(twin) FROM pairs");
  if (!pairs) return "records: " + pairs.error().ToString();
  const auto& row = (*pairs)[0];
  if (static_cast<uint64_t>(row.Integer(0)) < ledger.records || row.Integer(0) != row.Integer(1) ||
      row.Integer(1) != row.Integer(2))
    return fmt::format("records: {} rows to number {} with {} twins, {} committed", row.Integer(1),
                       row.Integer(0), row.Integer(2), ledger.records.load());
  const telemetry::LedgerCounts total = books_->total();
  if (total.gap() != 0 || total.lost != 0)
    return fmt::format("the books' gap is {}, {} lost", total.gap(), total.lost);
  return "";
}

}  // namespace penstock::faults
