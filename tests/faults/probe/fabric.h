// A fabric without a network: records, durable log, history and pipeline on a folder, and points
// whose n-th sample has the value n, so that whoever reads the history sees at once what is lost,
// doubled or out of order. What was acknowledged is kept in a page shared between processes, which
// a kill leaves whole.
//
// Thread rule: Send from many threads, each with its own writer.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "storage/durable_log.h"
#include "storage/history.h"
#include "storage/records.h"
#include "telemetry/pipeline.h"
#include "telemetry/testing_site.h"

namespace penstock::faults {

inline constexpr uint32_t kWriters = 8, kPointsPerWriter = 8, kPoints = kWriters * kPointsPerWriter;

// Mapped from a file; Python reads it as 64-bit numbers.
struct Ledger {
  std::atomic<uint64_t> acknowledged[kPoints];  // Samples 0 .. this - 1 of a point.
  std::atomic<uint64_t> records;                // Rows 1 .. this are committed.
  std::atomic<uint64_t> commits;                // Acknowledgements in all.

  static Ledger& Map(const std::string& file);  // Made when it is not there; CHECKs.
};

struct FabricOptions {
  bool background = true;  // Merge on a thread of its own, as a node does.
  std::chrono::milliseconds retry_for{2000};
  uint64_t segment_bytes = 1 << 20, log_bytes_max = 256 << 20;
};

class Fabric {
 public:
  static Result<std::unique_ptr<Fabric>> Open(const std::string& folder,
                                              const FabricOptions& options);
  ~Fabric();

  // The next samples of a writer's points after what the ledger says is acknowledged: always the
  // same ones, however often it is asked, as a device that got no answer sends the same again.
  static telemetry::Batch NextBatch(const Ledger& ledger, uint32_t writer, uint64_t seed);
  // Writes, waits, and books it as acknowledged.
  Status Send(Ledger& ledger, uint32_t writer, uint64_t seed);
  // Commits the next row of a table of pairs.
  Status Record(Ledger& ledger);
  Status Flush() { return pipeline_->Flush(); }

  // "" when the history has every acknowledged sample once and in order, and of the others at most
  // the one batch per writer that was on its way; else what is wrong, with numbers.
  std::string Complaint(const Ledger& ledger, uint64_t seed);
  telemetry::Pipeline& pipeline() { return *pipeline_; }

 private:
  Fabric() = default;
  Status OpenStores(const std::string& folder, const FabricOptions& options);

  telemetry::TestSite site_;
  telemetry::TestQuarantine quarantine_;
  ManualClock clock_{FromMicros(0)};
  std::unique_ptr<storage::Records> records_;
  std::unique_ptr<storage::DurableLog> log_;
  std::unique_ptr<storage::History> history_;
  std::unique_ptr<telemetry::PointLedger> books_;
  std::unique_ptr<telemetry::Pipeline> pipeline_;
};

}  // namespace penstock::faults
