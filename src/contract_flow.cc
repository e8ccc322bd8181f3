#include "contract_flow.h"

#include <algorithm>

#include "base/log.h"

namespace penstock {

Result<std::unique_ptr<ContractFlow>> ContractFlow::Open(
    const std::string& site_folder, storage::Records& records, const Clock& clock,
    telemetry::QuarantineStore& quarantine, std::shared_ptr<const things::Snapshot> snapshot,
    const telemetry::Texts& texts) {
  std::unique_ptr<ContractFlow> flow(new ContractFlow(quarantine, texts));
  ASSIGN_OR_RETURN(flow->versions_, things::ContractVersionsIn(records));
  flow->directory_ =
      std::make_unique<things::ContractDirectory>(site_folder, *flow->versions_, clock);
  ASSIGN_OR_RETURN(flow->periods_, telemetry::ContractPeriods::Open(records, clock));
  flow->check_ = std::make_unique<telemetry::ContractCheck>(
      quarantine, [periods = flow->periods_.get()](const telemetry::ContractRules& rules,
                                                   uint64_t first_sequence) {
        return periods->Switch(rules, first_sequence);
      });
  flow->services_ = std::unique_ptr<api::ContractServices>(new api::ContractServices{
      *flow->directory_, *flow->versions_, *flow->periods_, *flow->check_});
  flow->Reload(std::move(snapshot));
  return flow;
}

void ContractFlow::Reload(std::shared_ptr<const things::Snapshot> snapshot) {
  for (const auto& finding : directory_->Reload(*snapshot))
    if (finding.is_error)
      LogWarn("contract not taken over: {}", finding.error.ToString());
    else
      LogInfo("{}", finding.error.ToString());
  check_->SetRules(std::make_shared<const telemetry::ContractRules>(directory_->set(),
                                                                    std::move(snapshot), &texts_));
}

void ContractFlow::Attach(telemetry::Pipeline& pipeline) { pipeline.CheckWith(*check_); }

Status ContractFlow::FinishReleases(storage::History& history) {
  ASSIGN_OR_RETURN(const auto ids, quarantine_.Interrupted());
  for (const uint64_t id : ids) {
    ASSIGN_OR_RETURN(const auto item, quarantine_.Get(id));
    ASSIGN_OR_RETURN(const telemetry::Batch rows, quarantine_.RowsOf(id));
    const double wanted = item.corrected.value_or(rows.value.front());
    ASSIGN_OR_RETURN(const auto found, history.Read(item.entry.point, item.source_time,
                                                    item.source_time + Duration(1), 1000));
    const bool stored = std::any_of(found.begin(), found.end(),
                                    [&](const auto& row) { return row.value == wanted; });
    TRY(quarantine_.Settle(id, stored));
    LogInfo("quarantine: entry {} was being released: {}", id, stored ? "it is" : "open again");
  }
  return {};
}

std::string ContractFlow::ContractOf(const things::Point& point) const {
  const auto rules = check_->rules();
  const std::string contract(rules == nullptr ? "" : rules->ContractOf(point.id));
  return contract.empty() ? point.contract : contract;
}

}  // namespace penstock
