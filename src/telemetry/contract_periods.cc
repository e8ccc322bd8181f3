#include "telemetry/contract_periods.h"

namespace penstock::telemetry {

Result<std::unique_ptr<ContractPeriods>> ContractPeriods::Open(storage::Records& records,
                                                               const Clock& clock) {
  TRY(records.Migrate("contract_periods", {{1, R"sql(
    CREATE TABLE contract_periods (
      number INTEGER PRIMARY KEY AUTOINCREMENT, contract TEXT NOT NULL, version TEXT NOT NULL,
      first_sequence INTEGER NOT NULL, since INTEGER NOT NULL);
  )sql"}}));
  std::unique_ptr<ContractPeriods> periods(new ContractPeriods(records, clock));
  ASSIGN_OR_RETURN(const auto rows,
                   records.Query("SELECT contract, version, first_sequence, since FROM "
                                 "contract_periods ORDER BY number"));
  for (const auto& row : rows)
    periods->periods_[row.Text(0)].push_back(
        {row.Text(1), static_cast<uint64_t>(row.Integer(2)), FromMicros(row.Integer(3))});
  return periods;
}

Status ContractPeriods::Switch(const ContractRules& rules, uint64_t first_sequence) {
  const auto& contracts = rules.contracts().by_id;
  std::vector<std::pair<std::string, ContractPeriod>> changes;
  const Time now = clock_.Now();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, contract] : contracts) {
      const auto known = periods_.find(id);
      if (known == periods_.end() || known->second.back().version != contract->version)
        changes.push_back({id, {contract->version, first_sequence, now}});
    }
    for (const auto& [id, periods] : periods_)
      if (!contracts.contains(id) && !periods.back().version.empty())
        changes.push_back({id, {"", first_sequence, now}});
  }
  if (changes.empty()) return {};
  TRY(records_.Transaction([&]() -> Status {
    for (const auto& [id, period] : changes)
      TRY(
          records_.Run("INSERT INTO contract_periods (contract, version, first_sequence, since) "
                       "VALUES (?, ?, ?, ?)",
                       {id, period.version, static_cast<int64_t>(period.first_sequence),
                        ToMicros(period.since)}));
    return {};
  }));
  const std::lock_guard lock(mutex_);
  for (auto& [id, period] : changes) periods_[id].push_back(std::move(period));
  return {};
}

std::vector<ContractPeriod> ContractPeriods::Of(const std::string& contract) const {
  const std::lock_guard lock(mutex_);
  const auto found = periods_.find(contract);
  return found == periods_.end() ? std::vector<ContractPeriod>() : found->second;
}

std::string ContractPeriods::VersionAt(const std::string& contract, uint64_t sequence) const {
  std::string version;
  for (const ContractPeriod& period : Of(contract))
    if (period.first_sequence <= sequence) version = period.version;
  return version;
}

std::string ContractPeriods::VersionAtTime(const std::string& contract, Time time) const {
  std::string version;
  for (const ContractPeriod& period : Of(contract))
    if (period.since <= time) version = period.version;
  return version;
}

}  // namespace penstock::telemetry
