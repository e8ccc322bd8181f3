// Nearly every row of nearly every batch is never seen here: the marking of quality, which has the
// row and its point at hand, compares it with the point's limits in the same comparison as with the
// range of its description. What is outside, or of a point with rules that no range can say, is
// judged exactly here, and the reasons are put into words.
//
// A message and a transaction per bad sample would let one broken sensor slow the whole node:
// neighbouring rows of one point that break one rule become one violation, and all violations of a
// batch are kept in one transaction.
#include "telemetry/contract_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/quality.h"

namespace penstock::telemetry {
namespace {

using things::ContractField;
using things::ContractRule;
using things::ValueType;

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
  end_ = static_cast<uint32_t>(snapshot_->by_id.size());
  auto limits = std::make_shared<ValueLimits>(end_);
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
      limits->Set(PointId{id}, ValueLimit::For(0, 0, false, true));
      continue;
    }
    const bool boolean = point.type == ValueType::kBoolean;
    limits->Set(PointId{id},
                ValueLimit::For(boolean ? 0 : field->range.low, boolean ? 1 : field->range.high,
                                boolean || point.type == ValueType::kInteger,
                                field->range.low_open || field->range.high_open ||
                                    field->range.step > 0 || HasSampleRules(*field)));
  }
  limits_ = std::move(limits);
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

std::shared_ptr<const ValueLimits> ContractCheck::Begin(uint64_t next_sequence) {
  if (changed_.load(std::memory_order_acquire)) Switch(next_sequence);
  return rules_ == nullptr ? nullptr : rules_->limits_;
}

void ContractCheck::Judge(Batch& batch, std::span<const uint32_t> suspects,
                          std::vector<PointId>& taken) {
  if (rules_ == nullptr || suspects.empty()) return;
  const std::vector<Violation> violations = Collect(batch, suspects);
  if (violations.empty()) return;
  if (const Status kept = sink_.Keep(violations); !kept) {
    LogSometimes(LogLevel::kError, "quarantine",
                 "quarantine keeps nothing: " + kept.error().ToString());
    return MarkInstead(batch);
  }
  for (const RowRange& range : gone_)
    taken.insert(taken.end(), batch.point.begin() + static_cast<ptrdiff_t>(range.begin),
                 batch.point.begin() + static_cast<ptrdiff_t>(range.end));
  RemoveRows(batch, gone_);
}

void ContractCheck::MarkInstead(Batch& batch) const {
  size_t marked = 0;
  for (const RowRange& range : gone_)
    for (size_t i = range.begin; i < range.end; ++i) {
      ++marked;
      if (IsGood(batch.quality[i])) batch.quality[i] = kUncertainEngineeringUnitsExceeded;
    }
  Counter("penstock_contract_unkept_total",
          "Samples that broke a contract and were stored marked, because the quarantine was full.")
      .Add(marked);
}

// Wrong rows are far apart, and so is what is known of their points.
inline void ContractCheck::FetchAhead(const Batch& batch, std::span<const uint32_t> suspects,
                                      size_t at) const {
  const auto field_of = [&](size_t suspect) -> const ContractRules::Field& {
    return rules_->FieldOf(batch.point[suspects[suspect]]);
  };
  if (at + 8 < suspects.size()) __builtin_prefetch(&field_of(at + 8));
  if (at + 4 >= suspects.size()) return;
  const things::Point* point = field_of(at + 4).point;
  if (point == nullptr) return;
  __builtin_prefetch(&point->type);
  __builtin_prefetch(&point->thing);
  __builtin_prefetch(&point->property);
}

// Judges the suspects exactly; gone_ then says which rows go.
std::vector<Violation> ContractCheck::Collect(const Batch& batch,
                                              std::span<const uint32_t> suspects) {
  gone_.clear();
  std::vector<Violation> violations;
  const auto add_rows = [&](Batch& rows, const RowRange& range) {
    for (size_t i = range.begin; i < range.end; ++i)
      rows.Add(batch.point[i], batch.source_time[i], batch.ingest_time[i], batch.value[i],
               batch.quality[i]);
  };
  size_t judged = 0;  // Rows below are.
  for (size_t i = 0; i < suspects.size(); ++i) {
    FetchAhead(batch, suspects, i);
    const uint32_t begin = suspects[i];
    if (begin < judged) continue;
    const ContractRules::Field& entry = rules_->FieldOf(batch.point[begin]);
    const bool burst = entry.point != nullptr && entry.point->type == ValueType::kWaveform;
    const RowRange range{
        begin, burst ? BurstEnd(batch, begin, entry.point->sample_rate_hz) : begin + size_t{1}};
    judged = range.end;
    std::optional<ContractRules::Breach> breach;
    size_t at = range.begin;
    for (; at < range.end && !breach; ++at)
      if (Promised(batch.quality[at])) breach = rules_->Judge(batch.point[at], batch.value[at]);
    if (!breach) continue;
    Violation* last = violations.empty() ? nullptr : &violations.back();
    // Each wrong text is shown by itself.
    const bool alike = entry.point->type != ValueType::kString ||
                       (last != nullptr && last->rows.value.back() == batch.value[begin]);
    if (last != nullptr && alike && !burst && gone_.back().end == begin &&
        last->rule == breach->rule && last->rows.point.back() == batch.point[begin] &&
        last->rows.size() < kRunRowsMax) {
      add_rows(last->rows, range);
    } else {
      violations.push_back({entry.contract,
                            entry.point->path(),
                            std::move(breach->rule),
                            rules_->Shown(entry, batch.value[at - 1]),
                            std::move(breach->message),
                            {}});
      add_rows(violations.back().rows, range);
    }
    gone_.push_back(range);
  }
  return violations;
}

}  // namespace penstock::telemetry
