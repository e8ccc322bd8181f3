// Keeps what breaks a data contract out of storage: the contracts of a site compiled to one range
// per point. The loop that marks quality finds the rows outside of it; only these are judged.
//
// A row is judged by its contract's type, range, step and row-wise quality rules; what fails goes
// to the quarantine, durable before anybody is told so. A value that its source calls bad makes no
// promise and is not judged; one that only the range rules of its Thing Description called out of
// range is. One wrong sample takes its whole waveform burst along: a spectrum with a hole is none.
//
// Thread rule: SetRules and rules() from any thread; Begin and Judge from one (the pipeline's).
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "telemetry/batch_rows.h"
#include "telemetry/sample.h"
#include "telemetry/text_rules.h"
#include "telemetry/texts.h"
#include "telemetry/value_limits.h"
#include "telemetry/violation.h"
#include "things/contract_directory.h"

namespace penstock::telemetry {

// The contracts of a site as they are applied; immutable.
class ContractRules {
 public:
  // `texts` outlives the rules; without it texts are not judged.
  ContractRules(std::shared_ptr<const things::ContractSet> contracts,
                std::shared_ptr<const things::Snapshot> snapshot, const Texts* texts = nullptr);

  struct Breach {
    std::string_view rule;
    std::string message;
  };
  // Exactly what is wrong with the value, or nothing.
  std::optional<Breach> Judge(PointId point, double value) const;
  // "pump@1.2.0", or "" for a point that no contract has a promise about.
  std::string_view ContractOf(PointId point) const { return FieldOf(point).contract; }
  const things::ContractSet& contracts() const { return *contracts_; }

 private:
  friend class ContractCheck;
  // What is said behind a number that breaks a rule of a field.
  struct Words {
    explicit Words(const things::ContractField& field);
    std::string low, high, step;
    std::vector<std::string> rules;  // As in the field.
  };
  struct Field {
    const things::ContractField* field = nullptr;  // Owned by contracts_.
    const things::Point* point = nullptr;          // Owned by snapshot_.
    std::string_view contract;                     // These two owned by this.
    const Words* words = nullptr;
    std::unique_ptr<const TextRules> text_rules;  // Of a point of text, when there are any.
  };
  // True: rule, why, text and of_text say what is wrong. Sentences of texts are added.
  bool Find(const Field& entry, double value, Violation& what,
            std::deque<std::string>& sentences) const;
  bool FindInText(const Field& entry, double value, Violation& what,
                  std::deque<std::string>& sentences) const;
  const Field& FieldOf(PointId id) const { return fields_[field_of_[std::min(id.value, end_)]]; }

  std::shared_ptr<const things::ContractSet> contracts_;
  std::shared_ptr<const things::Snapshot> snapshot_;
  std::shared_ptr<const ValueLimits> limits_;
  std::vector<uint32_t> field_of_;  // By PointId, the last for every point beyond: into fields_.
  uint32_t end_ = 0;
  const Texts* texts_ = nullptr;
  std::vector<Field> fields_;  // The first has no contract.
  std::map<const things::DataContract*, std::string> references_;
  std::map<const things::ContractField*, Words> words_;
};

class ContractCheck final : public RowCheck {
 public:
  // Told before the first row is judged by other contracts than before; an error keeps the old
  // ones, and it is asked again with the next batch.
  using OnSwitch = std::function<Status(const ContractRules& rules, uint64_t first_sequence)>;

  // `sink` must outlive the check.
  explicit ContractCheck(ViolationSink& sink, OnSwitch on_switch = nullptr)
      : sink_(sink), on_switch_(std::move(on_switch)) {}

  void SetRules(std::shared_ptr<const ContractRules> rules);
  std::shared_ptr<const ContractRules> rules() const;

  std::shared_ptr<const ValueLimits> Begin(uint64_t next_sequence) override;
  // The others keep their order. What the sink cannot keep (full disk) stays in the batch, marked
  // at best uncertain, counted: better a wrong value that says so than a lost one.
  void Judge(Batch& batch, std::span<const uint32_t> suspects,
             std::vector<PointId>& taken) override;

 private:
  void Switch(uint64_t next_sequence);
  void Collect(Batch& batch, std::span<const uint32_t> suspects);
  bool JoinsLast(const Batch& batch, uint32_t row, const Violation& what);
  void AddFound(Batch& batch, const RowRange& range, Violation what, double value);
  void KeepFound(Batch& batch);
  void FetchAhead(const Batch& batch, std::span<const uint32_t> suspects, size_t at) const;
  void MarkInstead(Batch& batch) const;

  ViolationSink& sink_;
  OnSwitch on_switch_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ContractRules> fresh_, shown_;
  std::atomic<bool> changed_{false};

  // The pipeline's thread only.
  std::shared_ptr<const ContractRules> rules_;
  // Of the batch in hand: what is to be taken out, and what was found since the last Keep.
  std::vector<RowRange> gone_, found_rows_;
  Violations found_;
  size_t found_text_bytes_ = 0;
};

}  // namespace penstock::telemetry
