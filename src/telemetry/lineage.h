// Lineage: which data was made of which, as OpenLineage run events (spec 2-0-2), kept in the
// records and offered to a sink.
//
// A flow is a job that ran between two times: samples from a device into a product, a product's
// features through a model, a training, a retention. A flow that goes on for ever is told in
// intervals, one run (START and COMPLETE) each, so the number of events depends on the number of
// flows and not of samples. The latest kEventsMax events are kept.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "storage/records.h"

namespace penstock::telemetry {

struct LineageField {
  std::string name, type, description;
  // What it was made of: a field of an input dataset; empty name: not told.
  struct Source {
    std::string dataset_namespace, dataset, field;
  };
  std::vector<Source> from;
  std::string how;  // "identity", "aggregation: rms over 60 s" ...
};

struct LineageDataset {
  std::string dataset_namespace;     // "modbus+tcp://10.0.0.7:502", else the site's.
  std::string name;                  // "pump-7", "product/line-1-process".
  std::string uri;                   // Of the data source; "" = not told.
  std::vector<LineageField> fields;  // At most kFieldsMax are told.
};

struct LineageRun {
  std::string job;   // Unique in the site: "ingest/pump-7/line-1-process".
  std::string kind;  // INGEST, FEATURES, SCORE, TRAIN, REPLAY, RETENTION, BACKUP.
  Time begin, end;
  bool good = true;  // FAIL instead of COMPLETE.
  std::string id;    // What makes the run unique; "" = a new one.
  std::vector<LineageDataset> inputs, outputs;
  Json facts = Json::object();  // Custom run facet: counts, versions, digests.
};

class Lineage {
 public:
  static constexpr size_t kEventsMax = 10'000, kFieldsMax = 200, kJobsMax = 2'000;

  // Tables "lineage_events" and "lineage_counts". `site`: "acme/cologne".
  static Result<std::unique_ptr<Lineage>> Open(storage::Records& records, const std::string& site);

  std::string site_namespace() const { return namespace_; }  // "penstock:acme/cologne"

  // Both events of each run, in one transaction. A run with an id that was told before is left
  // out. At most kJobsMax jobs at once.
  Status Tell(const std::vector<LineageRun>& runs);
  // Called with each event when it is durable.
  void SendTo(std::function<void(const Json& event)> sink);

  // What a counter stood at when its flow was told last; SetCount with the next Tell.
  std::map<std::string, uint64_t> Counts() const;
  Status SetCounts(const std::map<std::string, uint64_t>& counts);

  struct Event {
    uint64_t number = 0;
    Json body;
  };
  // Oldest first, after `after`; of one job unless it is "".
  Result<std::vector<Event>> Events(uint64_t after, size_t limit, const std::string& job = "");
  // {"nodes": [{id, type: job|dataset, namespace, name, ...}], "edges": [{from, to}]} of every
  // job's latest run.
  Result<Json> Graph();

 private:
  Lineage(storage::Records& records, std::string site_namespace)
      : records_(records), namespace_(std::move(site_namespace)) {}
  Json EventJson(const LineageRun& run, const std::string& run_id, const char* type, Time at) const;

  storage::Records& records_;
  const std::string namespace_;
  mutable std::mutex mutex_;
  std::function<void(const Json&)> sink_;
  std::map<std::string, uint64_t> counts_;
};

}  // namespace penstock::telemetry
