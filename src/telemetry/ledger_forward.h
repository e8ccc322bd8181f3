// Books in the gap ledger what a hub has of this node's rows, and what the log gave up before the
// hub had it. The log's consumer (the uplink, the stream) moves its cursor only when the hub calls
// rows durable, so what lies between two positions of that cursor is read from the log again and
// counted by point. The position up to which it is booked is written with the counts, and a cursor
// "ledger" keeps the log from trimming what is not yet in a written ledger: a crash at any moment
// books each row once.
//
// Thread rule: Open, Advance and Keep as said there; GaveUp on the log's writer.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "storage/durable_log.h"
#include "telemetry/ledger.h"
#include "telemetry/pipeline.h"

namespace penstock::telemetry {

class ForwardBook {
 public:
  // Before the pipeline starts; `consumer` is the cursor that follows the hub, set already. A
  // consumer that may lose records (DurableLog::MayLose) takes the book's cursor along.
  static Result<std::unique_ptr<ForwardBook>> Open(storage::DurableLog& log, PointLedger& ledger,
                                                   Pipeline& pipeline, std::string consumer,
                                                   bool may_lose);
  // For a node without such a consumer (any more): the book's cursor goes, rows from the first one
  // on that is not booked are this node's own.
  static Status Close(storage::DurableLog& log, PointLedger& ledger);

  // Books a piece of what the consumer's cursor has passed; any thread. True when there is more.
  Result<bool> Advance();
  // The log gives this record up: what the hub has of it is forwarded, else evicted.
  void GaveUp(uint64_t index, storage::LogPriority priority, ByteView record);
  // After the ledger was written (Pipeline::BeforeCursor): the log may let go of what is booked.
  Status Keep();

 private:
  static constexpr uint64_t kRecordsAtOnce = 4096, kRowsAtOnce = 1 << 18;
  ForwardBook(storage::DurableLog& log, PointLedger& ledger, Pipeline& pipeline,
              std::string consumer)
      : log_(log), ledger_(ledger), pipeline_(pipeline), consumer_(std::move(consumer)) {}

  storage::DurableLog& log_;
  PointLedger& ledger_;
  Pipeline& pipeline_;
  const std::string consumer_;
  std::mutex booking_;  // A record is booked by Advance or by GaveUp.
};

}  // namespace penstock::telemetry
