// The first pass is one load and two comparisons per row, without branches: nearly every row of
// nearly every batch ends there. Only when some row looks wrong (or its contract has rules that no
// range can say) the second pass judges those rows exactly and puts the reasons into words.
//
// A message and a transaction per bad sample would let one broken sensor slow the whole node:
// neighbouring rows of one point that break one rule become one violation, and all violations of a
// batch are kept in one transaction.
#include "telemetry/contract_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/batch_rows.h"
#include "telemetry/quality.h"

namespace penstock::telemetry {
namespace {

using things::ContractField;
using things::ContractRule;
using things::ValueType;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr size_t kRunRowsMax = 65'536;  // Of one violation.

// A source that says "bad" promises nothing; our own mark for a wild value is no such word.
bool Promised(Quality quality) { return !IsBad(quality) || quality == kBadOutOfRange; }

bool OnStep(double value, double step) {
  const double steps = value / step;
  return std::abs(steps - std::nearbyint(steps)) <= 1e-9 * std::max(1.0, std::abs(steps));
}

bool HasSampleRules(const ContractField& field) {
  return std::any_of(field.rules.begin(), field.rules.end(),
                     [](const ContractRule& rule) { return rule.PerSample(); });
}

std::string Unit(const ContractField& field) { return field.unit.empty() ? "" : " " + field.unit; }

ContractRules::Breach RangeBreach(const ContractField& field, double value, bool low) {
  const auto& range = field.range;
  return {low ? "minimum" : "maximum",
          fmt::format("{}{} is {} {}{}; correct it, release it as it is, or widen the contract",
                      value, Unit(field),
                      low ? (range.low_open ? "not above" : "below")
                          : (range.high_open ? "not below" : "above"),
                      low ? range.low : range.high, Unit(field))};
}

std::optional<ContractRules::Breach> RuleBreach(const ContractField& field, double value) {
  for (const ContractRule& rule : field.rules) {
    if (!rule.PerSample()) continue;
    const bool listed = std::binary_search(rule.values.begin(), rule.values.end(), value);
    if (rule.metric == ContractRule::Metric::kMissing && listed)
      return ContractRules::Breach{
          "missing_values",
          fmt::format("{} stands for a missing value ({}); see the source", value, rule.name)};
    if (rule.metric == ContractRule::Metric::kInvalid && !listed)
      return ContractRules::Breach{"invalid_values",
                                   fmt::format("{} is none of the {} valid values ({})", value,
                                               rule.values.size(), rule.name)};
  }
  return std::nullopt;
}

}  // namespace

// --- The rules

ContractRules::ContractRules(std::shared_ptr<const things::ContractSet> contracts,
                             std::shared_ptr<const things::Snapshot> snapshot, const Texts* texts)
    : contracts_(std::move(contracts)), snapshot_(std::move(snapshot)), texts_(texts) {
  const Limit free = LimitFor(-kInfinity, kInfinity, false, false);
  end_ = static_cast<uint32_t>(snapshot_->by_id.size());
  limits_.assign(end_ + size_t{1}, free);
  field_of_.assign(end_ + size_t{1}, 0);
  fields_.emplace_back();
  for (uint32_t id = 0; id < end_; ++id) {
    if (snapshot_->by_id[id] == nullptr) continue;
    const things::Point& point = snapshot_->by_id[id]->point;
    const auto contract = contracts_->Of(point);
    const ContractField* field =
        contract == nullptr ? nullptr : contract->FindField(point.property);
    if (field == nullptr || field->type != point.type || field->unit != point.unit) continue;
    field_of_[id] = static_cast<uint32_t>(fields_.size());
    fields_.push_back({field, &point, contract->reference(), nullptr});
    if (point.type == ValueType::kString) {
      if (texts_ == nullptr || !TextRules::Has(*field)) continue;
      fields_.back().text_rules = std::make_unique<const TextRules>(*field);
      limits_[id] = LimitFor(0, 0, false, true);
      continue;
    }
    const bool boolean = point.type == ValueType::kBoolean;
    limits_[id] = LimitFor(boolean ? 0 : field->range.low, boolean ? 1 : field->range.high,
                           boolean || point.type == ValueType::kInteger,
                           field->range.low_open || field->range.high_open ||
                               field->range.step > 0 || HasSampleRules(*field));
  }
}

ContractRules::Limit ContractRules::LimitFor(double low, double high, bool whole, bool closer) {
  constexpr float kEnd = std::numeric_limits<float>::infinity();
  constexpr double kLargest = std::numeric_limits<float>::max();
  const auto odd = [](float value) { return (std::bit_cast<uint32_t>(value) & 1) != 0; };
  if (closer) return {kEnd, -kEnd};
  // Values beyond what a float holds are suspects, too, unless there is no bound at all.
  Limit limit{static_cast<float>(std::clamp(low, -kLargest, kLargest)),
              static_cast<float>(std::clamp(high, -kLargest, kLargest))};
  if (static_cast<double>(limit.low) < low) limit.low = std::nextafter(limit.low, kEnd);
  if (static_cast<double>(limit.high) > high) limit.high = std::nextafter(limit.high, -kEnd);
  if (!whole && low == -kInfinity) limit.low = -kEnd;
  if (high == kInfinity) limit.high = kEnd;
  // Outward where no whole number lies between, so that 0 of 0..1 is no suspect.
  if (odd(limit.low) != whole)
    limit.low = std::nextafter(limit.low, whole && std::abs(low) < (1 << 23) ? -kEnd : kEnd);
  return limit;
}

inline bool ContractRules::Suspect(Limit limit, double value) {
  const bool inside =
      (value >= static_cast<double>(limit.low)) & (value <= static_cast<double>(limit.high));
  if ((std::bit_cast<uint32_t>(limit.low) & 1) != 0) [[unlikely]]
    return !inside || std::nearbyint(value) != value;
  return !inside;
}

const std::string& ContractRules::ContractOf(PointId point) const {
  return FieldOf(point).contract;
}

std::optional<ContractRules::Breach> ContractRules::Judge(PointId point, double value) const {
  const Field& entry = FieldOf(point);
  if (entry.field == nullptr) return std::nullopt;
  if (entry.point->type == ValueType::kString) return JudgeText(entry, value);
  const ContractField& field = *entry.field;
  const ValueType type = entry.point->type;
  if (!std::isfinite(value)) return Breach{"type", "the value is not a finite number"};
  if (type == ValueType::kBoolean) {
    if (value != 0 && value != 1) return Breach{"type", fmt::format("{} is no boolean", value)};
    return RuleBreach(field, value);
  }
  if (type == ValueType::kInteger && std::nearbyint(value) != value)
    return Breach{"type", fmt::format("{} is no whole number", value)};
  const auto& range = field.range;
  if (value < range.low || (range.low_open && value == range.low))
    return RangeBreach(field, value, true);
  if (value > range.high || (range.high_open && value == range.high))
    return RangeBreach(field, value, false);
  if (range.step > 0 && !OnStep(value, range.step))
    return Breach{"step", fmt::format("{} is no multiple of {}", value, range.step)};
  return RuleBreach(field, value);
}

std::optional<ContractRules::Breach> ContractRules::JudgeText(const Field& entry,
                                                              double value) const {
  if (entry.text_rules == nullptr) return std::nullopt;
  const auto text = texts_->Find(value);
  if (!text) return std::nullopt;  // Lost, or from before the point was one of text.
  auto breach = entry.text_rules->Judge(value, *text);
  if (!breach) return std::nullopt;
  return Breach{std::move(breach->first), std::move(breach->second)};
}

std::string ContractRules::Shown(const Field& entry, double value) const {
  const bool text = texts_ != nullptr && entry.point->type == ValueType::kString;
  const auto found = text ? texts_->Find(value) : std::nullopt;
  return found ? std::string(*found) : fmt::format("{}", value);
}

// --- The check

void ContractCheck::SetRules(std::shared_ptr<const ContractRules> rules) {
  const std::lock_guard lock(mutex_);
  fresh_ = shown_ = std::move(rules);
  changed_ = true;
}

std::shared_ptr<const ContractRules> ContractCheck::rules() const {
  const std::lock_guard lock(mutex_);
  return shown_;
}

void ContractCheck::Switch(uint64_t next_sequence) {
  std::shared_ptr<const ContractRules> fresh;
  {
    const std::lock_guard lock(mutex_);
    fresh = fresh_;
    changed_ = false;
  }
  if (fresh != nullptr && on_switch_) {
    if (const Status told = on_switch_(*fresh, next_sequence); !told) {
      LogSometimes(LogLevel::kError, "contracts", "contracts: " + told.error().ToString());
      changed_ = true;
      return;
    }
  }
  rules_ = std::move(fresh);
}

void ContractCheck::Check(Batch& batch, uint64_t next_sequence, std::vector<PointId>& taken) {
  if (changed_.load(std::memory_order_acquire)) Switch(next_sequence);
  if (rules_ == nullptr || batch.empty()) return;
  if (CountSuspects(batch) == 0) return;
  const std::vector<Violation> violations = Collect(batch);
  if (violations.empty()) return;
  if (const Status kept = sink_.Keep(violations); !kept) {
    LogSometimes(LogLevel::kError, "quarantine",
                 "quarantine keeps nothing: " + kept.error().ToString());
    return MarkInstead(batch);
  }
  Compact(batch, taken);
}

void ContractCheck::MarkInstead(Batch& batch) const {
  size_t marked = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (out_[i] == 0) continue;
    ++marked;
    if (IsGood(batch.quality[i])) batch.quality[i] = kUncertainEngineeringUnitsExceeded;
  }
  Counter("penstock_contract_unkept_total",
          "Samples that broke a contract and were stored marked, because the quarantine was full.")
      .Add(marked);
}

// Of the rows that may be wrong.
size_t ContractCheck::CountSuspects(const Batch& batch) const {
  const ContractRules::Limit* limits = rules_->limits_.data();
  const uint32_t end = rules_->end_;
  const PointId* point = batch.point.data();
  const double* value = batch.value.data();
  size_t suspects = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    suspects += static_cast<size_t>(
        ContractRules::Suspect(limits[std::min(point[i].value, end)], value[i]));
  }
  return suspects;
}

// Judges the suspects exactly; out_ then says which rows go.
std::vector<Violation> ContractCheck::Collect(const Batch& batch) {
  out_.assign(batch.size(), 0);
  const auto suspect = [this](PointId id, double value) {
    return ContractRules::Suspect(rules_->limits_[std::min(id.value, rules_->end_)], value);
  };
  std::vector<Violation> violations;
  const auto add_rows = [&](Batch& rows, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      rows.Add(batch.point[i], batch.source_time[i], batch.ingest_time[i], batch.value[i],
               batch.quality[i]);
  };
  size_t last_end = 0;  // Of the rows of the last violation.
  for (size_t begin = 0; begin < batch.size();) {
    const auto& entry = rules_->FieldOf(batch.point[begin]);
    const bool burst = entry.point != nullptr && entry.point->type == ValueType::kWaveform;
    const size_t end = burst ? BurstEnd(batch, begin, entry.point->sample_rate_hz) : begin + 1;
    std::optional<ContractRules::Breach> breach;
    size_t at = begin;
    for (; at < end && !breach; ++at)
      if (Promised(batch.quality[at]) && suspect(batch.point[at], batch.value[at]))
        breach = rules_->Judge(batch.point[at], batch.value[at]);
    std::fill(out_.begin() + static_cast<ptrdiff_t>(begin),
              out_.begin() + static_cast<ptrdiff_t>(end), static_cast<uint8_t>(breach ? 1 : 0));
    if (breach) {
      Violation* last = violations.empty() ? nullptr : &violations.back();
      if (last != nullptr && !burst && last_end == begin && last->rule == breach->rule &&
          last->rows.point.back() == batch.point[begin] && last->rows.size() < kRunRowsMax) {
        add_rows(last->rows, begin, end);
      } else {
        violations.push_back({entry.contract,
                              entry.point->path(),
                              std::move(breach->rule),
                              rules_->Shown(entry, batch.value[at - 1]),
                              std::move(breach->message),
                              {}});
        add_rows(violations.back().rows, begin, end);
      }
      last_end = end;
    }
    begin = end;
  }
  return violations;
}

void ContractCheck::Compact(Batch& batch, std::vector<PointId>& taken) const {
  KeepRows(batch, [&](size_t row) {
    if (out_[row] != 0) taken.push_back(batch.point[row]);
    return out_[row] == 0;
  });
}

}  // namespace penstock::telemetry
