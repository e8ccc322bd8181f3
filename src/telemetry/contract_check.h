// Keeps what breaks a data contract out of storage: the contracts of a site compiled to one range
// per point, held against whole batches before the log takes them.
//
// A row is judged by its contract's type, range, step and row-wise quality rules; what fails goes
// to the quarantine, durable before anybody is told so. A value that its source calls bad makes no
// promise and is not judged; one that only the range rules of its Thing Description called out of
// range is. One wrong sample takes its whole waveform burst along: a spectrum with a hole is none.
//
// Thread rule: SetRules and rules() from any thread; Check from one (the pipeline's).
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "telemetry/sample.h"
#include "telemetry/text_rules.h"
#include "telemetry/texts.h"
#include "things/contract_directory.h"

namespace penstock::telemetry {

// Rows of one point that broke one rule, as they came.
struct Violation {
  std::string contract;  // "pump@1.2.0"
  std::string path;      // "pump-7/discharge_pressure"
  std::string rule;      // "minimum", "maximum", "type", "step", "invalid_values" ...
  std::string value;     // The first offending value, as text.
  std::string message;
  Batch rows;  // With the pipeline's marks; one row, a burst, or a run of rows.
};

class ViolationSink {
 public:
  virtual ~ViolationSink() = default;
  // All durable, or none and an error.
  virtual Status Keep(std::span<const Violation> violations) = 0;
};

// The contracts of a site as they are applied; immutable.
class ContractRules {
 public:
  // `texts` outlives the rules; without it texts are not judged.
  ContractRules(std::shared_ptr<const things::ContractSet> contracts,
                std::shared_ptr<const things::Snapshot> snapshot, const Texts* texts = nullptr);

  struct Breach {
    std::string rule, message;
  };
  // Exactly what is wrong with the value, or nothing.
  std::optional<Breach> Judge(PointId point, double value) const;
  // "pump@1.2.0", or "" for a point that no contract has a promise about.
  const std::string& ContractOf(PointId point) const;
  const things::ContractSet& contracts() const { return *contracts_; }

 private:
  friend class ContractCheck;
  // 8 bytes, so that 40,000 points are 320 KB: the range rounded inward, so that a suspect is
  // judged exactly and nothing wrong passes. The last bit of `low` says whole numbers only; low
  // above high: there is more than a range, every row is a suspect.
  struct Limit {
    float low, high;
  };
  static Limit LimitFor(double low, double high, bool whole, bool closer);
  static bool Suspect(Limit limit, double value);
  struct Field {
    const things::ContractField* field = nullptr;  // Owned by contracts_.
    const things::Point* point = nullptr;          // Owned by snapshot_.
    std::string contract;
    std::unique_ptr<const TextRules> text_rules;  // Of a point of text, when there are any.
  };
  std::optional<Breach> JudgeText(const Field& entry, double value) const;
  std::string Shown(const Field& entry, double value) const;  // The value, or its text.
  const Field& FieldOf(PointId id) const { return fields_[field_of_[std::min(id.value, end_)]]; }

  std::shared_ptr<const things::ContractSet> contracts_;
  std::shared_ptr<const things::Snapshot> snapshot_;
  std::vector<Limit> limits_;       // By PointId; the last for every point beyond.
  std::vector<uint32_t> field_of_;  // The same, into fields_.
  uint32_t end_ = 0;
  const Texts* texts_ = nullptr;
  std::vector<Field> fields_;  // The first has no contract.
};

class ContractCheck {
 public:
  // Told before the first row is judged by other contracts than before; an error keeps the old
  // ones, and it is asked again with the next batch.
  using OnSwitch = std::function<Status(const ContractRules& rules, uint64_t first_sequence)>;

  // `sink` must outlive the check.
  explicit ContractCheck(ViolationSink& sink, OnSwitch on_switch = nullptr)
      : sink_(sink), on_switch_(std::move(on_switch)) {}

  void SetRules(std::shared_ptr<const ContractRules> rules);
  std::shared_ptr<const ContractRules> rules() const;

  // Takes the violating rows out of the batch, keeps the others' order, and adds the point of each
  // row taken to `taken`. When the sink can keep nothing (full disk) the rows stay in the batch,
  // marked at best uncertain, counted: better a wrong value that says so than a lost one.
  // `next_sequence`: of the first row to be stored next.
  void Check(Batch& batch, uint64_t next_sequence, std::vector<PointId>& taken);

 private:
  void Switch(uint64_t next_sequence);
  size_t CountSuspects(const Batch& batch) const;
  std::vector<Violation> Collect(const Batch& batch);
  void MarkInstead(Batch& batch) const;
  void Compact(Batch& batch, std::vector<PointId>& taken) const;

  ViolationSink& sink_;
  OnSwitch on_switch_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ContractRules> fresh_, shown_;
  std::atomic<bool> changed_{false};

  // The pipeline's thread only.
  std::shared_ptr<const ContractRules> rules_;
  std::vector<uint8_t> out_;  // Of the rows of the batch in hand: to be taken out.
};

}  // namespace penstock::telemetry
