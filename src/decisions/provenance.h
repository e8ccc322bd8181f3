// The chain behind a trace id: what each stage did, in the order it happened. Every room's result
// is written here by whoever made it; `penstock explain` only reads.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"
#include "storage/records.h"

namespace penstock::decisions {

// Stages in the order of the data's way: samples features model alarm verdict label kpi gate.
struct Step {
  Time at;
  std::string stage;
  std::string text;  // One line for people, with values and units.
  Json detail;       // The record itself.
};

class Provenance {
 public:
  static Result<std::unique_ptr<Provenance>> Open(storage::Records& records);
  Status Add(const TraceId& trace, const Step& step);
  Result<std::vector<Step>> Of(const TraceId& trace) const;
  static Json ToJson(const std::vector<Step>& steps);

 private:
  explicit Provenance(storage::Records& records) : records_(records) {}
  storage::Records& records_;
};

}  // namespace penstock::decisions
