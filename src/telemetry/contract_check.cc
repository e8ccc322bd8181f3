// Nearly every row of nearly every batch is never seen here: the marking of quality, which has the
// row and its point at hand, compares it with the point's limits in the same comparison as with the
// range of its description. What is outside, or of a point with rules that no range can say, is
// judged exactly here, and the reasons are put into words.
//
// A wrong contract makes a violation of every row of a site, so each must be cheap: neighbouring
// rows of one point that break one rule become one violation, what is said of it is put into words
// once per contract and once more when somebody is shown it, and thousands are kept at once.
#include "telemetry/contract_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "base/metrics.h"

namespace penstock::telemetry {
namespace {

using things::ContractField;
using things::ContractRule;
using things::ValueType;

constexpr size_t kRunRowsMax = 65'536;  // Of one violation that is no burst.
constexpr size_t kFoundRows = 65'536, kFoundTextBytes = 4 << 20;  // So much is kept at once.

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

std::string UnitShown(const ContractField& field) {
  return field.unit.empty() ? "" : " " + field.unit;
}

std::string BeyondRange(const ContractField& field, bool low) {
  const auto& range = field.range;
  const std::string unit = UnitShown(field);
  return fmt::format(
      "{} is {} {}{}; correct it, release it as it is, or widen the contract", unit,
      low ? (range.low_open ? "not above" : "below") : (range.high_open ? "not below" : "above"),
      low ? range.low : range.high, unit);
}

constexpr std::string_view kNotFinite = " is not a finite number";
constexpr std::string_view kNoBoolean = " is no boolean";
constexpr std::string_view kNotWhole = " is no whole number";

std::string BehindRule(const ContractRule& rule) {
  if (rule.metric == ContractRule::Metric::kMissing)
    return fmt::format(" stands for a missing value ({}); see the source", rule.name);
  return fmt::format(" is none of the {} valid values ({})", rule.values.size(), rule.name);
}

// The rule's name when the value breaks it, else "".
std::string_view BrokenBy(const ContractRule& rule, double value) {
  if (!rule.PerSample()) return "";
  const bool listed = std::binary_search(rule.values.begin(), rule.values.end(), value);
  if (rule.metric == ContractRule::Metric::kMissing && listed) return "missing_values";
  if (rule.metric == ContractRule::Metric::kInvalid && !listed) return "invalid_values";
  return "";
}

}  // namespace

// --- The rules

ContractRules::Words::Words(const ContractField& field)
    : low(BeyondRange(field, true)),
      high(BeyondRange(field, false)),
      step(fmt::format(" is no multiple of {}", field.range.step)) {
  for (const ContractRule& rule : field.rules) rules.push_back(BehindRule(rule));
}

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
    const auto reference = references_.try_emplace(contract.get(), contract->reference()).first;
    const auto words = words_.try_emplace(field, *field).first;
    fields_.push_back({field, &point, reference->second, &words->second, nullptr});
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

std::optional<ContractRules::Breach> ContractRules::Judge(PointId point, double value) const {
  Violation what;
  std::deque<std::string> sentences;
  if (!Find(FieldOf(point), value, what, sentences)) return std::nullopt;
  return Breach{what.rule, MessageShown(what, value)};
}

bool ContractRules::Find(const Field& entry, double value, Violation& what,
                         std::deque<std::string>& sentences) const {
  if (entry.field == nullptr) return false;
  const ContractField& field = *entry.field;
  const ValueType type = entry.point->type;
  if (type == ValueType::kString) return FindInText(entry, value, what, sentences);
  what.of_text = false;
  const auto breaks = [&](std::string_view rule, std::string_view why) {
    what.rule = rule;
    what.why = why;
    return true;
  };
  if (!std::isfinite(value)) return breaks("type", kNotFinite);
  if (type == ValueType::kBoolean && value != 0 && value != 1) return breaks("type", kNoBoolean);
  if (type == ValueType::kInteger && std::nearbyint(value) != value)
    return breaks("type", kNotWhole);
  const auto& range = field.range;
  if (type != ValueType::kBoolean) {
    if (value < range.low || (range.low_open && value == range.low))
      return breaks("minimum", entry.words->low);
    if (value > range.high || (range.high_open && value == range.high))
      return breaks("maximum", entry.words->high);
    if (range.step > 0 && !OnStep(value, range.step)) return breaks("step", entry.words->step);
  }
  for (size_t i = 0; i < field.rules.size(); ++i)
    if (const auto rule = BrokenBy(field.rules[i], value); !rule.empty())
      return breaks(rule, entry.words->rules[i]);
  return false;
}

bool ContractRules::FindInText(const Field& entry, double value, Violation& what,
                               std::deque<std::string>& sentences) const {
  if (entry.text_rules == nullptr) return false;
  const auto text = texts_->Find(value);
  if (!text) return false;  // Lost, or from before the point was one of text.
  auto breach = entry.text_rules->Judge(value, *text);
  if (!breach) return false;
  what.of_text = true;
  what.text = *text;
  what.rule = breach->first;
  what.why = sentences.emplace_back(std::move(breach->second));
  return true;
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
  gone_.clear();
  Collect(batch, suspects);
  KeepFound(batch);
  for (const RowRange& range : gone_)
    taken.insert(taken.end(), batch.point.begin() + static_cast<ptrdiff_t>(range.begin),
                 batch.point.begin() + static_cast<ptrdiff_t>(range.end));
  RemoveRows(batch, gone_);
}

void ContractCheck::KeepFound(Batch& batch) {
  if (found_.list.empty()) return;
  if (const Status kept = sink_.Keep(found_); kept) {
    gone_.insert(gone_.end(), found_rows_.begin(), found_rows_.end());
  } else {
    LogSometimes(LogLevel::kError, "quarantine",
                 "quarantine keeps nothing: " + kept.error().ToString());
    MarkInstead(batch);
  }
  found_.Clear();
  found_rows_.clear();
  found_text_bytes_ = 0;
}

void ContractCheck::MarkInstead(Batch& batch) const {
  size_t marked = 0;
  for (const RowRange& range : found_rows_)
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

// Judges the suspects exactly, and keeps what breaks its contract, much at a time.
void ContractCheck::Collect(Batch& batch, std::span<const uint32_t> suspects) {
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
    Violation what;
    size_t at = range.begin;
    while (at < range.end && !(Promised(batch.quality[at]) &&
                               rules_->Find(entry, batch.value[at], what, found_.sentences)))
      ++at;
    if (at == range.end || (!burst && JoinsLast(batch, begin, what))) continue;
    what.contract = entry.contract;
    what.thing = entry.point->thing;
    what.property = entry.point->property;
    what.offending = static_cast<uint32_t>(at - range.begin);
    AddFound(batch, range, what, batch.value[at]);
  }
}

// A row like the one before it makes no violation of its own; but each wrong text is shown.
bool ContractCheck::JoinsLast(const Batch& batch, uint32_t row, const Violation& what) {
  if (found_.list.empty() || found_rows_.back().end != row ||
      found_.rows.point.back() != batch.point[row])
    return false;
  Violation& last = found_.list.back();
  if (last.rule != what.rule || last.rows >= kRunRowsMax ||
      (what.of_text && found_.rows.value.back() != batch.value[row]))
    return false;
  ++last.rows;
  AddRows(found_.rows, batch, {row, row + size_t{1}});
  ++found_rows_.back().end;
  if (what.of_text) found_.sentences.pop_back();  // It says what the last one says.
  return true;
}

// As one violation; a very long burst as several that all say the same.
void ContractCheck::AddFound(Batch& batch, const RowRange& range, Violation what, double value) {
  const bool several = range.end - range.begin > kViolationRowsMax;
  const std::string text = several ? ValueShown(what, value) : "",
                    why = several ? MessageShown(what, value) : "";
  for (size_t begin = range.begin; begin < range.end;) {
    const RowRange piece{begin, std::min(range.end, begin + kViolationRowsMax)};
    if (several) {
      what.of_text = true;
      what.text = found_.sentences.emplace_back(text);
      what.why = found_.sentences.emplace_back(why);
      what.offending = 0;
    }
    what.rows = static_cast<uint32_t>(piece.end - piece.begin);
    found_.list.push_back(what);
    if (what.of_text) found_text_bytes_ += what.text.size() + what.why.size();
    AddRows(found_.rows, batch, piece);
    if (!found_rows_.empty() && found_rows_.back().end == piece.begin)
      found_rows_.back().end = piece.end;
    else
      found_rows_.push_back(piece);
    begin = piece.end;
    if (found_.list.size() >= kViolationsMax || found_.rows.size() >= kFoundRows ||
        found_text_bytes_ >= kFoundTextBytes)
      KeepFound(batch);
  }
}

}  // namespace penstock::telemetry
