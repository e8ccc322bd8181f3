// Stage gates: a use case goes on when every check is answered by evidence, not by opinion. Missing
// evidence fails. Now there is G1, idea -> pilot.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/records.h"
#include "value/evidence.h"
#include "value/kpis.h"
#include "value/usecase.h"

namespace penstock::value {

struct Check {
  std::string id, title;  // "1.4", "Baseline"
  bool ok = false;
  std::optional<double> value, limit;  // Where the check is about a number.
  std::string text;                    // "94 days, 97.1 % complete"
  std::string query;                   // Where the evidence is: "/api/v1/samples?point=..."
  std::string fix;                     // What to do while blocked.
  Time since{};                        // In this state.
};

struct GateResult {
  std::string usecase, gate, title;
  std::vector<Check> checks;
  size_t hold() const;
  bool open() const { return hold() == checks.size(); }
  Json ToJson() const;
};

struct Signature {
  std::string usecase, gate, role, actor, note, digest;
  Time at{};
};

class Gates {
 public:
  // All must outlive it.
  static Result<std::unique_ptr<Gates>> Open(storage::Records& records, const Clock& clock,
                                             const UseCases& usecases, const Kpis& kpis,
                                             const AlarmFacts& facts, const States& states,
                                             const Evidence& evidence);

  // kNotFound: no such use case or gate ("G1").
  Result<GateResult> Evaluate(const std::string& usecase, const std::string& gate);
  // The signature is for the file as it is now. kPermissionDenied unless `role` is the sponsor's,
  // or "admin".
  Result<Signature> Sign(const std::string& usecase, const std::string& gate,
                         const std::string& role, const std::string& actor,
                         const std::string& note);
  Result<std::vector<Signature>> Signatures(const std::string& usecase) const;
  // {"name","title","sponsor","kpi","value","gates":[{"name","title","hold","of","open"}]}
  Result<Json> Summary(const UseCase& usecase);

 private:
  Gates(storage::Records& records, const Clock& clock, const UseCases& usecases, const Kpis& kpis,
        const AlarmFacts& facts, const States& states, const Evidence& evidence)
      : records_(records),
        clock_(clock),
        usecases_(usecases),
        kpis_(kpis),
        facts_(facts),
        states_(states),
        evidence_(evidence) {}
  Status Date(GateResult& result);

  storage::Records& records_;
  const Clock& clock_;
  const UseCases& usecases_;
  const Kpis& kpis_;
  const AlarmFacts& facts_;
  const States& states_;
  const Evidence& evidence_;
};

}  // namespace penstock::value
