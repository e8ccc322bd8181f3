// The payload is parsed on demand (simdjson): the text is indexed once by vector instructions, then
// walked together with the plan's tree of pointers; what no point asks for is skipped without being
// turned into values.
//
// Reading goes in two steps, because the time stamp may stand behind the values: first every slot
// (distinct pointer) takes what it finds, then each target becomes samples or a quarantine entry of
// its own. So one wrong field never costs the good ones beside it; only a text that is no JSON
// loses the whole payload, as nothing in it can be trusted. Every refusal names client, topic,
// pointer and value, and what to do.
//
// null is the sensor saying that it has no value: a sample of Bad_SensorFailure, not a mistake.
#include "protocols/mqtt/payload.h"

#include <charconv>
#include <cmath>
#include <deque>

#include <simdjson.h>

#include "base/check.h"
#include "base/metrics.h"
#include "telemetry/quality.h"
#include "telemetry/texts.h"

namespace penstock::protocols::mqtt {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr size_t kWaveformValuesMax = 262'144;
constexpr size_t kShownMax = 200;
// Epoch milliseconds outside 1980 to 2261 are a mistaken unit (seconds, microseconds), not a time.
constexpr double kEpochMsMin = 315'532'800'000.0, kEpochMsMax = 9'214'646'400'000.0;

struct Slot {
  enum class Kind { kMissing, kNull, kBoolean, kNumber, kText, kArray, kObject, kMixedArray, kBad };
  Kind kind = Kind::kMissing;
  double number = 0;
  std::string_view text;                   // Valid until the parser's next document.
  size_t array_begin = 0, array_size = 0;  // In Parse::numbers.
};

std::string_view KindName(Slot::Kind kind) {
  switch (kind) {
    case Slot::Kind::kMissing:
      return "nothing";
    case Slot::Kind::kNull:
      return "null";
    case Slot::Kind::kBoolean:
      return "a boolean";
    case Slot::Kind::kNumber:
      return "a number";
    case Slot::Kind::kText:
      return "a text";
    case Slot::Kind::kArray:
      return "an array";
    case Slot::Kind::kObject:
      return "an object";
    case Slot::Kind::kMixedArray:
      return "an array with something else than numbers in it, or too long";
    case Slot::Kind::kBad:
      return "a number out of range";
  }
  return "";
}

std::string_view ExpectedName(things::ValueType type) {
  switch (type) {
    case things::ValueType::kBoolean:
      return "true, false, 0 or 1";
    case things::ValueType::kInteger:
      return "a whole number between -2^53 and 2^53";
    case things::ValueType::kString:
      return "a text";
    case things::ValueType::kWaveform:
      return "an array of numbers";
    case things::ValueType::kNumber:
      break;
  }
  return "a number";
}

// Whether the slot's value is one of the point's type; `raw` receives it.
bool Fits(const Slot& slot, things::ValueType type, double& raw) {
  raw = slot.number;
  switch (type) {
    case things::ValueType::kBoolean:
      return slot.kind == Slot::Kind::kBoolean ||
             (slot.kind == Slot::Kind::kNumber && (raw == 0 || raw == 1));
    case things::ValueType::kInteger:
      return slot.kind == Slot::Kind::kNumber && telemetry::IsExactInteger(raw);
    case things::ValueType::kNumber:
    case things::ValueType::kWaveform:  // A single value is a burst of one.
      return slot.kind == Slot::Kind::kNumber;
    case things::ValueType::kString:
      break;
  }
  return false;
}

std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, kShownMax));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return shown;
}

std::string Shown(const Slot& slot) {
  switch (slot.kind) {
    case Slot::Kind::kBoolean:
      return slot.number != 0 ? "true" : "false";
    case Slot::Kind::kNumber:
      return fmt::format("{}", slot.number);
    case Slot::Kind::kText:
      return Shown(slot.text);
    default:
      return std::string(KindName(slot.kind));
  }
}

template <typename Value>
bool IsNull(Value& value) {
  bool is_null = false;
  return !value.is_null().get(is_null) && is_null;
}

Metric& RefusedPayloads() {
  static Metric& metric = Counter("penstock_mqtt_values_refused_total",
                                  "Values in MQTT payloads that went to quarantine.");
  return metric;
}

}  // namespace

// One payload being read.
struct PayloadMapper::Parse {
  ondemand::parser parser;
  std::vector<char> copy;  // When the payload has too little room behind it.
  std::vector<Slot> slots;
  std::vector<double> numbers;    // Of all arrays.
  std::vector<double> burst;      // One array, scaled.
  std::deque<std::string> texts;  // Of earlier walks; a deque does not move them.

  std::span<const double> ArrayOf(const Slot& slot) const {
    return std::span(numbers).subspan(slot.array_begin, slot.array_size);
  }
  simdjson::error_code Read(const TopicPlan& plan, std::string_view payload, size_t readable);
  simdjson::error_code WalkAll(const TopicPlan::Tree& tree, simdjson::padded_string_view text);
  void KeepTexts();
  simdjson::error_code Walk(const TopicPlan::Tree& tree, const TopicPlan::Node& node,
                            ondemand::value value);
  simdjson::error_code WalkChildren(const TopicPlan::Tree& tree, const TopicPlan::Node& node,
                                    ondemand::value& value);
  simdjson::error_code Take(ondemand::value& value, Slot& slot);
  simdjson::error_code TakeArray(ondemand::array array, Slot& slot);
  simdjson::error_code TakeScalar(ondemand::document& document, Slot& slot);
};

simdjson::error_code PayloadMapper::Parse::TakeArray(ondemand::array array, Slot& slot) {
  slot.kind = Slot::Kind::kArray;
  slot.array_begin = numbers.size();
  for (auto element : array) {
    ondemand::value value;
    if (const auto error = element.get(value)) return error;
    double number = 0;
    if (slot.kind == Slot::Kind::kMixedArray) continue;
    if (value.get(number) != simdjson::SUCCESS) {
      if (IsNull(value)) {
        number = std::nan("");
      } else {
        slot.kind = Slot::Kind::kMixedArray;
        continue;
      }
    }
    if (numbers.size() - slot.array_begin >= kWaveformValuesMax) {
      slot.kind = Slot::Kind::kMixedArray;
      continue;
    }
    numbers.push_back(number);
  }
  slot.array_size = numbers.size() - slot.array_begin;
  return simdjson::SUCCESS;
}

simdjson::error_code PayloadMapper::Parse::Take(ondemand::value& value, Slot& slot) {
  slot = {};
  ondemand::json_type type;
  if (const auto error = value.type().get(type)) return error;
  switch (type) {
    case ondemand::json_type::array: {
      ondemand::array array;
      if (const auto error = value.get_array().get(array)) return error;
      return TakeArray(array, slot);
    }
    case ondemand::json_type::object:
      slot.kind = Slot::Kind::kObject;
      return simdjson::SUCCESS;
    case ondemand::json_type::string:
      slot.kind = Slot::Kind::kText;
      return value.get_string().get(slot.text);
    case ondemand::json_type::number:
      slot.kind = value.get_double().get(slot.number) ? Slot::Kind::kBad : Slot::Kind::kNumber;
      return simdjson::SUCCESS;
    case ondemand::json_type::boolean: {
      bool truth = false;
      if (const auto error = value.get_bool().get(truth)) return error;
      slot.kind = Slot::Kind::kBoolean;
      slot.number = truth ? 1 : 0;
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::null:
      break;
  }
  if (!IsNull(value)) return simdjson::N_ATOM_ERROR;
  slot.kind = Slot::Kind::kNull;
  return simdjson::SUCCESS;
}

simdjson::error_code PayloadMapper::Parse::WalkChildren(const TopicPlan::Tree& tree,
                                                        const TopicPlan::Node& node,
                                                        ondemand::value& value) {
  ondemand::json_type type;
  if (const auto error = value.type().get(type)) return error;
  const auto child_of = [&](std::string_view token) -> const TopicPlan::Node* {
    for (const auto& [name, child] : node.children) {
      if (name == token) return &tree[static_cast<size_t>(child)];
    }
    return nullptr;
  };
  if (type == ondemand::json_type::object) {
    ondemand::object object;
    if (const auto error = value.get_object().get(object)) return error;
    for (auto field : object) {
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return error;
      const TopicPlan::Node* child = child_of(key);
      if (child == nullptr) continue;
      ondemand::value below;
      if (const auto error = field.value().get(below)) return error;
      if (const auto error = Walk(tree, *child, below)) return error;
    }
  } else if (type == ondemand::json_type::array) {
    ondemand::array array;
    if (const auto error = value.get_array().get(array)) return error;
    size_t index = 0;
    char digits[20];
    for (auto element : array) {
      const auto end = std::to_chars(digits, digits + sizeof digits, index++).ptr;
      const TopicPlan::Node* child = child_of({digits, static_cast<size_t>(end - digits)});
      if (child == nullptr) continue;
      ondemand::value below;
      if (const auto error = element.get(below)) return error;
      if (const auto error = Walk(tree, *child, below)) return error;
    }
  }
  return simdjson::SUCCESS;
}

simdjson::error_code PayloadMapper::Parse::Walk(const TopicPlan::Tree& tree,
                                                const TopicPlan::Node& node,
                                                ondemand::value value) {
  if (node.slot >= 0) return Take(value, slots[static_cast<size_t>(node.slot)]);
  return WalkChildren(tree, node, value);
}

simdjson::error_code PayloadMapper::Parse::TakeScalar(ondemand::document& document, Slot& slot) {
  slot = {};
  ondemand::json_type type;
  if (const auto error = document.type().get(type)) return error;
  switch (type) {
    case ondemand::json_type::number:
      slot.kind = Slot::Kind::kNumber;
      return document.get_double().get(slot.number);
    case ondemand::json_type::boolean: {
      bool truth = false;
      if (const auto error = document.get_bool().get(truth)) return error;
      slot.kind = Slot::Kind::kBoolean;
      slot.number = truth ? 1 : 0;
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::string:
      slot.kind = Slot::Kind::kText;
      return document.get_string().get(slot.text);
    default:
      break;
  }
  if (!IsNull(document)) return simdjson::N_ATOM_ERROR;
  slot.kind = Slot::Kind::kNull;
  return simdjson::SUCCESS;
}

simdjson::error_code PayloadMapper::Parse::WalkAll(const TopicPlan::Tree& tree,
                                                   simdjson::padded_string_view text) {
  ondemand::document document;
  if (const auto error = parser.iterate(text).get(document)) return error;
  bool scalar = false;
  if (const auto error = document.is_scalar().get(scalar)) return error;
  const TopicPlan::Node& root = tree.front();
  if (scalar) {
    Slot ignored;
    return TakeScalar(document, root.slot >= 0 ? slots[static_cast<size_t>(root.slot)] : ignored);
  }
  ondemand::value value;
  if (const auto error = document.get_value().get(value)) return error;
  if (const auto error = Walk(tree, root, value)) return error;
  // Walked to its end there is nothing behind it; an object that no point looks into was not
  // walked.
  const bool walked =
      root.slot < 0 || slots[static_cast<size_t>(root.slot)].kind == Slot::Kind::kArray;
  if (walked && !document.current_location().error()) return simdjson::TRAILING_CONTENT;
  return simdjson::SUCCESS;
}

simdjson::error_code PayloadMapper::Parse::Read(const TopicPlan& plan, std::string_view payload,
                                                size_t readable) {
  slots.assign(plan.pointers().size(), {});
  numbers.clear();
  texts.clear();
  if (readable < payload.size() + simdjson::SIMDJSON_PADDING) {
    copy.resize(payload.size() + simdjson::SIMDJSON_PADDING);
    std::copy(payload.begin(), payload.end(), copy.begin());
    payload = {copy.data(), payload.size()};
    readable = copy.size();
  }
  for (const TopicPlan::Tree& tree : plan.walks()) {
    if (&tree != &plan.walks().front()) KeepTexts();
    if (const auto error = WalkAll(tree, simdjson::padded_string_view(payload, readable))) {
      return error;
    }
  }
  return simdjson::SUCCESS;
}

// The parser's texts last until its next walk.
void PayloadMapper::Parse::KeepTexts() {
  for (Slot& slot : slots) {
    if (slot.kind == Slot::Kind::kText) slot.text = texts.emplace_back(slot.text);
  }
}

PayloadMapper::PayloadMapper(const Clock& clock, telemetry::QuarantineSink& quarantine,
                             telemetry::SampleSink& sink)
    : clock_(clock), quarantine_(quarantine), sink_(sink), parse_(std::make_unique<Parse>()) {
  Use(std::make_shared<TopicRouter>(std::vector<SourcePoint>{}));
}

PayloadMapper::~PayloadMapper() = default;

void PayloadMapper::Use(std::shared_ptr<const TopicRouter> router) {
  router_ = std::move(router);
  reporter_ = std::make_unique<Reporter>(router_->points());
}

std::expected<Time, PayloadMapper::Refusal> PayloadMapper::TimeOf(const Message& message,
                                                                  int time_slot) const {
  if (time_slot < 0) return message.now;
  const Slot& slot = parse_->slots[static_cast<size_t>(time_slot)];
  std::string why;
  if (slot.kind == Slot::Kind::kNumber) {
    if (slot.number >= kEpochMsMin && slot.number <= kEpochMsMax) {
      return FromMicros(std::llround(slot.number * 1000));
    }
    why = fmt::format("{} is no time in epoch milliseconds", slot.number);
  } else if (slot.kind == Slot::Kind::kText) {
    auto time = ParseTime(slot.text);
    if (time) return *time;
    why = std::move(time.error().message);
  } else {
    why = fmt::format("the time is {}", KindName(slot.kind));
  }
  const std::string& pointer = message.plan.pointers()[static_cast<size_t>(time_slot)];
  return std::unexpected(Refusal{
      .rule = "time",
      .value = Shown(slot),
      .message =
          fmt::format("{}: {}; send RFC 3339 like 2026-01-31T08:00:00.000Z, or epoch milliseconds",
                      pointer, why)});
}

std::expected<void, PayloadMapper::Refusal> PayloadMapper::MapTarget(
    const Message& message, const TopicPlan::Target& target, telemetry::Batch& out) {
  const SourcePoint& source = router_->points()[target.point];
  const things::Point& point = source.point;
  const things::MqttForm& form = source.form.mqtt;
  const Slot& slot = parse_->slots[static_cast<size_t>(target.value_slot)];
  const auto pointer = [&]() -> std::string_view {
    if (form.value_pointer.empty()) return "the payload";
    return form.value_pointer;
  };
  if (slot.kind == Slot::Kind::kMissing) {
    return std::unexpected(Refusal{
        .rule = "missing",
        .value = Shown(message.payload),
        .message = fmt::format("{} is not there; send the field, or correct ps:value in the form",
                               pointer())});
  }
  const auto at = TimeOf(message, target.time_slot);
  if (!at) return std::unexpected(at.error());
  const Duration allowed =
      point.quality.max_clock_skew.value_or(telemetry::QualityMarker::kDefaultClockSkew);
  if (*at - message.now > allowed) {
    return std::unexpected(Refusal{
        .rule = "clock_skew",
        .value = FormatTime(*at),
        .message = fmt::format("{} s ahead of ours, at most {} allowed; set the device's clock",
                               ToSeconds(*at - message.now), FormatDuration(allowed))});
  }
  double raw = 0;
  if (slot.kind == Slot::Kind::kText && point.type == things::ValueType::kString)
    return MapText(message, target, *at, out);
  if (slot.kind == Slot::Kind::kNull) {
    reporter_->Add(target.point, *at, message.now, std::nan(""), telemetry::kBadSensorFailure, out);
  } else if (slot.kind == Slot::Kind::kArray && point.type == things::ValueType::kWaveform) {
    std::vector<double>& values = parse_->burst;
    values.clear();
    for (const double each : parse_->ArrayOf(slot))
      values.push_back(each * form.scale + form.offset);
    reporter_->AddWaveform(target.point, *at, message.now, values, telemetry::kGood, out);
  } else if (Fits(slot, point.type, raw)) {
    reporter_->Add(target.point, *at, message.now, raw * form.scale + form.offset, telemetry::kGood,
                   out);
  } else {
    return std::unexpected(Refusal{
        .rule = "type",
        .value = Shown(slot),
        .message = fmt::format("{} is {}, expected {}; correct the payload, or the property's type "
                               "in its Thing Description",
                               pointer(), KindName(slot.kind), ExpectedName(point.type))});
  }
  return {};
}

std::expected<void, PayloadMapper::Refusal> PayloadMapper::MapText(const Message& message,
                                                                   const TopicPlan::Target& target,
                                                                   Time at, telemetry::Batch& out) {
  const things::Point& point = router_->points()[target.point].point;
  const Slot& slot = parse_->slots[static_cast<size_t>(target.value_slot)];
  const auto code = sink_.Intern(point.id, slot.text);
  if (!code)
    return std::unexpected(Refusal{.rule = telemetry::TextRule(code.error()),
                                   .value = Shown(slot),
                                   .message = code.error().message});
  reporter_->Add(target.point, at, message.now, *code, telemetry::kGood, out);
  return {};
}

void PayloadMapper::Quarantine(const Message& message, const things::Point* point,
                               Refusal refusal) {
  RefusedPayloads().Add();
  quarantine_.Put({.at = message.now,
                   .source = fmt::format("mqtt client {}", message.client),
                   .point = point == nullptr ? "" : point->path(),
                   .rule = std::string(refusal.rule),
                   .value = std::move(refusal.value),
                   .message = fmt::format("topic {}: {}", message.topic, refusal.message)});
}

void PayloadMapper::FailAll(telemetry::Batch& out) {
  const Time now = clock_.Now();
  for (size_t i = 0; i < router_->points().size(); ++i) {
    reporter_->Fail(i, now, telemetry::kBadNoCommunication, out);
  }
}

void PayloadMapper::Count(size_t point, uint64_t samples) {
  if (samples == 0) return;
  const size_t thing = router_->thing_of(point);
  if (counts_.empty() || counts_.back().first != thing) counts_.emplace_back(thing, 0);
  counts_.back().second += samples;
}

size_t PayloadMapper::Map(const TopicPlan& plan, std::string_view topic, std::string_view payload,
                          size_t readable, std::string_view client, telemetry::Batch& out) {
  counts_.clear();
  const Message message{plan, topic, payload, client, clock_.Now()};
  if (const auto error = parse_->Read(plan, payload, readable)) {
    Quarantine(message, nullptr,
               {.rule = "payload",
                .value = Shown(payload),
                .message = fmt::format("payload of {} bytes is not JSON: {}; send one JSON value",
                                       payload.size(), simdjson::error_message(error))});
    return 1;
  }
  size_t refused = 0;
  for (const TopicPlan::Target& target : plan.targets()) {
    const size_t before = out.size();
    if (auto mapped = MapTarget(message, target, out); !mapped) {
      ++refused;
      Quarantine(message, &router_->points()[target.point].point, std::move(mapped.error()));
    }
    Count(target.point, out.size() - before);
  }
  return refused;
}

}  // namespace penstock::protocols::mqtt
