// How it is fast: agents write the same series in the same order again and again. So the parser
// expects after each series the one that followed it last time, and in each series the fields in
// the order first seen. An expected key is confirmed by comparing its bytes, without looking for
// its end or hashing it; the comparison is with the whole key, so a wrong guess costs time and
// never truth. Numbers of up to 19 digits and small exponents are exact products of two doubles
// (Clinger, "How to read floating point numbers accurately", 1990); others go to from_chars.
//
// How it stays bounded: lines of at most 1 MiB; a text value that is open at the end of a line may
// go on over line ends (a newline in a text must not let its rest pass as lines of their own) for
// at most 64 KiB. The work is linear: what a search for a closing quote passed over in vain holds
// no opening quote either.
#include "protocols/line_protocol/line_protocol.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "protocols/line_protocol/series_cache.h"
#include "telemetry/texts.h"

namespace penstock::protocols {
namespace {

constexpr size_t kMaxLine = 1 << 20;
constexpr size_t kMaxText = 64 << 10;
constexpr size_t kShown = 200;
constexpr size_t kMaxFirstKey = 4096;                  // To guess who knows a body.
constexpr int64_t kMaxMicros = 9'214'646'400'000'000;  // 2262-01-01.

constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// Where an unescaped one of `ends` is in [at, end), else `end`. A backslash escapes the byte behind
// it.
template <typename Ends>
const char* Until(const char* at, const char* end, Ends ends) {
  for (; at < end; ++at) {
    if (*at == '\\' && at + 1 < end)
      ++at;
    else if (ends(*at))
      return at;
  }
  return end;
}

struct Value {
  enum class Kind { kReal, kInteger, kBoolean, kText } kind = Kind::kReal;
  double number = 0;
  std::string_view text;  // Between the quotes, as written.
};

class Body {
 public:
  Body(std::string_view body, Precision precision, Time ingest, SeriesCache& cache,
       telemetry::SampleSink* texts)
      : at_(body.data()),
        end_(body.data() + body.size()),
        precision_(precision),
        ingest_(ingest),
        cache_(cache),
        texts_(texts) {
    // A typical sample takes 20 to 60 bytes of text.
    const size_t guess = std::min<size_t>(body.size() / 24 + 1, 1 << 20);
    result_.batch.point.reserve(guess);
    result_.batch.value.reserve(guess);
    result_.batch.source_time.reserve(guess);
  }

  LineResult Parse() {
    while (at_ < end_) {
      ++line_number_;
      line_ = at_;
      const void* newline = std::memchr(at_, '\n', static_cast<size_t>(end_ - at_));
      line_end_ = newline == nullptr ? end_ : static_cast<const char*>(newline);
      next_ = line_end_ == end_ ? end_ : line_end_ + 1;
      if (line_end_ > line_ && line_end_[-1] == '\r') --line_end_;
      while (at_ < line_end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
      if (at_ < line_end_ && *at_ != '#') Line();
      at_ = next_;
    }
    result_.batch.ingest_time.assign(result_.batch.value.size(), ingest_);
    result_.batch.quality.assign(result_.batch.value.size(), telemetry::kGood);
    return std::move(result_);
  }

 private:
  // --- Errors
  // -----------------------------------------------------------------------------------------------

  LineError* NewError(const char* place, std::string_view rule) {
    ++result_.error_count;
    bad_ = true;
    if (result_.errors.size() >= LineResult::kMaxErrors) return nullptr;
    LineError& error = result_.errors.emplace_back();
    error.line = line_number_;
    error.column = static_cast<size_t>(place - line_) + 1;
    error.text.assign(line_, std::min<size_t>(static_cast<size_t>(line_end_ - line_), kShown));
    error.rule = rule;
    return &error;
  }

  bool Torn(const char* place, std::string_view message) {
    if (LineError* error = NewError(place, "syntax")) error->message = message;
    return false;
  }

  static std::string_view Show(const char* from, const char* to) {
    return {from, std::min<size_t>(static_cast<size_t>(to - from), 80)};
  }

  // --- A line
  // -----------------------------------------------------------------------------------------------

  void Line() {
    ++result_.lines;
    bad_ = false;
    const size_t first_row = result_.batch.value.size();
    Time time = ingest_;
    const bool whole = static_cast<size_t>(line_end_ - line_) > kMaxLine
                           ? Torn(line_, "line longer than 1 MiB: is a newline missing?")
                           : SeriesKey() && Fields() && Timestamp(time);
    auto& batch = result_.batch;
    if (!whole) {
      batch.point.resize(first_row);
      batch.value.resize(first_row);
    }
    batch.source_time.resize(batch.value.size(), time);
    if (!bad_) ++result_.good;
  }

  bool SeriesKey() {
    series_ = cache_.Expected(at_, line_end_);
    if (series_ != nullptr) {
      key_ = {at_, series_->key_size};
      at_ += series_->key_size;
      TakeFields();
      return true;
    }
    const char* end = Until(at_, line_end_, [](char c) { return c == ' '; });
    if (end == line_end_)
      return Torn(end, "no fields: measurement,tag=value field=value timestamp");
    key_ = {at_, static_cast<size_t>(end - at_)};
    series_ = cache_.Find(key_);
    if (series_ == nullptr) {
      std::string thing;
      if (!ReadSeries(key_, thing)) return false;
      series_ = cache_.Add(key_, thing);
    }
    at_ = end;
    TakeFields();
    return true;
  }

  // What the series has fields for, as far as it is known.
  void TakeFields() {
    field_keys_ = cache_.KeysOf(*series_);
    fields_ = cache_.FieldsOf(*series_);
    field_count_ = series_->fields;
  }

  bool ReadSeries(std::string_view key, std::string& thing) {
    const char* end = key.data() + key.size();
    const char* comma = Until(key.data(), end, [](char c) { return c == ','; });
    if (comma == key.data()) return Torn(comma, "measurement missing");
    thing = Unescaped({key.data(), static_cast<size_t>(comma - key.data())});
    while (comma < end) {
      const char* name = comma + 1;
      const char* equals = Until(name, end, [](char c) { return c == '=' || c == ','; });
      if (equals == end || *equals == ',') return Torn(name, "tag without \"=\": tag=value");
      if (equals == name) return Torn(name, "tag without a name: tag=value");
      comma = Until(equals + 1, end, [](char c) { return c == ',' || c == '='; });
      if (comma < end && *comma == '=') return Torn(comma, "second \"=\" in a tag: write \\=");
      if (comma == equals + 1) return Torn(comma, "tag without a value: tag=value");
      if (std::string_view(name, static_cast<size_t>(equals - name)) == "thing")
        thing = Unescaped({equals + 1, static_cast<size_t>(comma - equals - 1)});
    }
    return true;
  }

  void SkipSpaces() {
    while (at_ < line_end_ && *at_ == ' ') ++at_;
  }

  bool Fields() {
    SkipSpaces();
    for (size_t position = 0;; ++position) {
      const Field* field = NextField(position);
      if (field == nullptr) return false;
      const char* place = at_;
      Value value;
      if (!ReadValue(value)) return false;
      Keep(*field, value, place);
      if (at_ == line_end_ || *at_ == ' ') return true;
      if (*at_ != ',')
        return Torn(at_, fmt::format("unexpected \"{}\" behind a value", Show(at_, at_ + 1)));
      ++at_;
    }
  }

  // Eats "key=".
  const Field* NextField(size_t position) {
    if (position < field_count_) {
      const std::string& expected = field_keys_[position];
      const size_t size = expected.size();
      if (static_cast<size_t>(line_end_ - at_) > size && at_[size] == '=' &&
          std::memcmp(at_, expected.data(), size) == 0) {
        field_key_ = {at_, size};
        at_ += size + 1;
        return &fields_[position];
      }
    }
    const char* equals =
        Until(at_, line_end_, [](char c) { return c == '=' || c == ',' || c == ' '; });
    if (equals == line_end_ || *equals != '=') {
      Torn(at_, "field without \"=\": field=value");
      return nullptr;
    }
    if (equals == at_) {
      Torn(at_, "field without a name: field=value");
      return nullptr;
    }
    field_key_ = {at_, static_cast<size_t>(equals - at_)};
    at_ = equals + 1;
    const Field& field = cache_.FieldOf(*series_, field_key_, position);
    TakeFields();
    return &field;
  }

  // --- Values
  // -----------------------------------------------------------------------------------------------

  bool ReadValue(Value& value) {
    if (at_ == line_end_) return Torn(at_, "value missing: field=value");
    const char c = *at_;
    if (IsDigit(c) || c == '-' || c == '+' || c == '.') return ReadNumber(value);
    if (c == '"') return ReadText(value);
    return ReadBoolean(value);
  }

  bool EndsValue(const char* at) const { return at == line_end_ || *at == ',' || *at == ' '; }

  bool ReadNumber(Value& value) {
    const char* at = at_;
    const bool minus = *at == '-';
    if (minus || *at == '+') ++at;
    const char* digits = at;
    uint64_t mantissa = 0;
    while (at < line_end_ && IsDigit(*at))
      mantissa = mantissa * 10 + static_cast<uint64_t>(*at++ - '0');
    int64_t count = at - digits;
    if (at < line_end_ && (*at == 'i' || *at == 'u') && count > 0)
      return ReadWhole(value, at, minus, mantissa, count);
    int exponent = 0;
    if (at < line_end_ && *at == '.') {
      const char* fraction = ++at;
      while (at < line_end_ && IsDigit(*at))
        mantissa = mantissa * 10 + static_cast<uint64_t>(*at++ - '0');
      exponent = -static_cast<int>(std::min<int64_t>(at - fraction, 1000));
      count += at - fraction;
    }
    if (count == 0) return Torn(at_, "no number");
    if (count > 19 || mantissa > (1ULL << 53) || exponent < -22 || !EndsValue(at))
      return ReadAnyNumber(value);
    const double magnitude = static_cast<double>(mantissa) / kPowersOfTen[-exponent];
    value.number = minus ? -magnitude : magnitude;
    at_ = at;
    return true;
  }

  // "12i" or "12u".
  bool ReadWhole(Value& value, const char* at, bool minus, uint64_t mantissa, int64_t count) {
    if (count > 20 || (*at == 'u' && minus)) return Torn(at_, "whole number out of range");
    if (count >= 19) {  // 19 and 20 digits may or may not fit: ask again, exactly.
      const char* from = *at_ == '+' ? at_ + 1 : at_;
      int64_t whole = 0;
      const bool fits = *at == 'u' ? std::from_chars(from, at, mantissa).ec == std::errc()
                                   : std::from_chars(from, at, whole).ec == std::errc();
      if (!fits) return Torn(at_, "whole number out of range");
      if (*at == 'i')
        mantissa = static_cast<uint64_t>(minus ? -(whole + 1) : whole) + (minus ? 1 : 0);
    }
    if (!EndsValue(at + 1)) return Torn(at + 1, "text behind a whole number");
    value.kind = Value::Kind::kInteger;
    value.number = minus ? -static_cast<double>(mantissa) : static_cast<double>(mantissa);
    at_ = at + 1;
    return true;
  }

  bool ReadAnyNumber(Value& value) {
    const char* from = *at_ == '+' ? at_ + 1 : at_;
    const auto [stop, error] = std::from_chars(from, line_end_, value.number);
    if (error == std::errc::invalid_argument || !EndsValue(stop)) {
      const char* end = std::find_if(at_, line_end_, [](char c) { return c == ',' || c == ' '; });
      return Torn(at_, fmt::format("no number: \"{}\"", Show(at_, end)));
    }
    // Too large is not finite; too small is 0.
    if (error == std::errc::result_out_of_range) value.number = OutOfRange(from, stop);
    at_ = stop;
    return true;
  }

  // A number that no double holds: by its decimal magnitude either too large or as good as 0.
  static double OutOfRange(const char* from, const char* stop) {
    int64_t magnitude = 0;
    bool fraction = false, leading = true;
    const char* at = from;
    for (; at < stop && (*at | 0x20) != 'e'; ++at) {
      if (*at == '.') fraction = true;
      if (!IsDigit(*at)) continue;
      leading = leading && *at == '0';
      if (!fraction && !leading) ++magnitude;
      if (fraction && leading) --magnitude;
    }
    if (at < stop) {
      const char* digits = at + (at[1] == '+' ? 2 : 1);
      int64_t exponent = 0;
      if (std::from_chars(digits, stop, exponent).ec != std::errc())
        return *digits == '-' ? 0 : HUGE_VAL;
      magnitude += std::clamp<int64_t>(exponent, -1'000'000'000, 1'000'000'000);
    }
    return magnitude > 0 ? HUGE_VAL : 0;
  }

  bool ReadBoolean(Value& value) {
    const char* end = std::find_if(at_, line_end_, [](char c) { return c == ',' || c == ' '; });
    const std::string_view word(at_, static_cast<size_t>(end - at_));
    value.kind = Value::Kind::kBoolean;
    if (word == "t" || word == "T" || word == "true" || word == "True" || word == "TRUE")
      value.number = 1;
    else if (word != "f" && word != "F" && word != "false" && word != "False" && word != "FALSE")
      return Torn(at_,
                  fmt::format("no value: \"{}\" (numbers, 12i, t, f or \"text\")", Show(at_, end)));
    at_ = end;
    return true;
  }

  // A text is read to its end, because line ends inside it do not end the line.
  bool ReadText(Value& value) {
    const char* limit = at_ + std::min<size_t>(static_cast<size_t>(end_ - at_), kMaxText);
    const char* quote = at_ + 1;
    while (quote < limit && *quote != '"') {
      if (*quote == '\\' && quote + 1 == limit) break;
      quote += *quote == '\\' ? 2 : 1;
    }
    if (quote >= limit || *quote != '"')
      return Torn(at_, "text without its closing quote (texts of at most 64 KiB)");
    value.kind = Value::Kind::kText;
    value.text = {at_ + 1, static_cast<size_t>(quote - at_ - 1)};
    at_ = quote + 1;
    if (at_ > line_end_) Extend();
    return true;
  }

  // The text ended on a later line: that line's end is now this line's end.
  void Extend() {
    line_number_ += static_cast<size_t>(std::count(line_end_, at_, '\n'));
    const void* newline = std::memchr(at_, '\n', static_cast<size_t>(end_ - at_));
    line_end_ = newline == nullptr ? end_ : static_cast<const char*>(newline);
    next_ = line_end_ == end_ ? end_ : line_end_ + 1;
    if (line_end_ > at_ && line_end_[-1] == '\r') --line_end_;
  }

  // --- Samples
  // ----------------------------------------------------------------------------------------------

  void Keep(const Field& field, const Value& value, const char* place) {
    if (!field.id.valid()) return UnknownPoint(place);
    if (!Fits(value, field.type)) return WrongType(field, value, place);
    if (value.kind == Value::Kind::kText) return KeepText(field, value.text, place);
    result_.batch.point.push_back(field.id);
    result_.batch.value.push_back(value.number);
  }

  void KeepText(const Field& field, std::string_view text, const char* place) {
    if (text.find('\\') != text.npos) {  // Only \" and \\ stand for something else.
      plain_.clear();
      for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\'))
          ++i;
        plain_ += text[i];
      }
      text = plain_;
    }
    const auto code = texts_ != nullptr ? texts_->Intern(field.id, text)
                                        : FailedPrecondition("texts are not taken here");
    if (!code) {
      LineError* error = NewError(place, telemetry::TextRule(code.error()));
      if (error == nullptr) return;
      error->point = Path().substr(0, kShown);
      error->message = code.error().message;
      return;
    }
    result_.batch.point.push_back(field.id);
    result_.batch.value.push_back(*code);
  }

  static bool Fits(const Value& value, things::ValueType type) {
    using things::ValueType;
    switch (value.kind) {
      case Value::Kind::kReal:
        if (!std::isfinite(value.number)) return false;
        if (type == ValueType::kNumber) return true;
        if (type == ValueType::kInteger) return telemetry::IsExactInteger(value.number);
        return type == ValueType::kBoolean && (value.number == 0 || value.number == 1);
      case Value::Kind::kInteger:
        if (type == ValueType::kNumber) return true;
        if (type == ValueType::kInteger) return telemetry::IsExactInteger(value.number);
        return type == ValueType::kBoolean && (value.number == 0 || value.number == 1);
      case Value::Kind::kBoolean:
        return type == ValueType::kBoolean;
      case Value::Kind::kText:
        return type == ValueType::kString;
    }
    return false;
  }

  // Of the field in hand.
  std::string Path() { return ThingName() + "/" + Unescaped(field_key_); }
  std::string ThingName() {
    std::string thing;
    ReadSeries(key_, thing);
    return thing;
  }

  void UnknownPoint(const char* place) {
    LineError* error = NewError(place - field_key_.size() - 1, "unknown_point");
    if (error == nullptr) return;
    error->point = Path().substr(0, kShown);
    const std::string thing = ThingName();
    const bool thing_known = cache_.snapshot().FindThing(thing) != nullptr;
    error->message =
        thing_known
            ? fmt::format("thing {} has no property \"{}\": add it to its Thing Description",
                          thing.substr(0, 80), Unescaped(field_key_).substr(0, 80))
            : fmt::format(
                  "no thing \"{}\": add its Thing Description, or name it in the tag \"thing\"",
                  thing.substr(0, 80));
  }

  void WrongType(const Field& field, const Value& value, const char* place) {
    const bool finite = value.kind != Value::Kind::kReal || std::isfinite(value.number);
    LineError* error = NewError(place, finite ? "type" : "not_finite");
    if (error == nullptr) return;
    error->point = Path().substr(0, kShown);
    if (!finite) {
      error->message = "number too large for a double";
      return;
    }
    constexpr std::string_view kKinds[] = {"a number", "a whole number", "a boolean", "a text"};
    constexpr std::string_view kTypes[] = {"a number", "a whole number between -2^53 and 2^53",
                                           "a boolean", "a text", "a waveform"};
    error->message = fmt::format("{} where {} is {}", kKinds[static_cast<size_t>(value.kind)],
                                 error->point, kTypes[static_cast<size_t>(field.type)]);
  }

  bool Timestamp(Time& time) {
    SkipSpaces();
    if (at_ == line_end_) return true;
    const char* place = at_;
    int64_t stamp = 0;
    const auto [stop, error] = std::from_chars(at_, line_end_, stamp);
    at_ = stop;
    while (at_ < line_end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
    if (error == std::errc::invalid_argument || at_ != line_end_)
      return Torn(place, fmt::format("no timestamp: \"{}\"", Show(place, line_end_)));
    if (error == std::errc() && ToMicroseconds(stamp)) {
      time = FromMicros(stamp);
      return true;
    }
    if (LineError* e = NewError(place, "time"))
      e->message = fmt::format(
          "timestamp {} is not of 1970..2261 in this precision: set ?precision= to ns, us, ms or s",
          Show(place, stop));
    return false;
  }

  bool ToMicroseconds(int64_t& stamp) const {
    if (stamp < 0) return false;
    switch (precision_) {
      case Precision::kNanoseconds:
        stamp /= 1000;
        break;
      case Precision::kMicroseconds:
        break;
      case Precision::kMilliseconds:
        if (stamp > kMaxMicros / 1000) return false;
        stamp *= 1000;
        break;
      case Precision::kSeconds:
        if (stamp > kMaxMicros / 1'000'000) return false;
        stamp *= 1'000'000;
        break;
    }
    return stamp <= kMaxMicros;
  }

  const char* at_;
  const char* const end_;
  const Precision precision_;
  const Time ingest_;
  SeriesCache& cache_;
  telemetry::SampleSink* const texts_;
  std::string plain_;  // A text without its escapes.
  LineResult result_;
  // The line in hand: its series, that one's key as written and fields, and the field in hand.
  Series* series_ = nullptr;
  std::string_view key_, field_key_;
  const std::string* field_keys_ = nullptr;
  const Field* fields_ = nullptr;
  size_t field_count_ = 0;
  size_t line_number_ = 0;
  const char* line_ = nullptr;  // The present line, without its end.
  const char* line_end_ = nullptr;
  const char* next_ = nullptr;
  bool bad_ = false;
};

}  // namespace

LineParser::LineParser() : cache_(std::make_unique<SeriesCache>()) {}
LineParser::~LineParser() = default;

LineResult LineParser::Parse(std::string_view body, Precision precision,
                             const things::Snapshot& snapshot, Time ingest,
                             telemetry::SampleSink* texts) {
  cache_->Begin(snapshot);
  return Body(body, precision, ingest, *cache_, texts).Parse();
}

void LineParser::Use(std::shared_ptr<const PointTable> table) { cache_->Use(std::move(table)); }

bool LineParser::KnowsFirstOf(std::string_view body) const {
  const char* begin = body.data();
  const char* end = begin + std::min(body.size(), kMaxFirstKey);
  const char* stop = Until(begin, end, [](char c) { return c == ' ' || c == '\n'; });
  return stop != end && cache_->Has({begin, static_cast<size_t>(stop - begin)});
}

size_t LineParser::series() const { return cache_->size(); }

LineResult ParseLines(std::string_view body, Precision precision, const things::Snapshot& snapshot,
                      Time ingest, telemetry::SampleSink* texts) {
  return LineParser().Parse(body, precision, snapshot, ingest, texts);
}

Result<Precision> ParsePrecision(std::string_view text) {
  if (text.empty() || text == "ns" || text == "n") return Precision::kNanoseconds;
  if (text == "us" || text == "u") return Precision::kMicroseconds;
  if (text == "ms") return Precision::kMilliseconds;
  if (text == "s") return Precision::kSeconds;
  auto error = InvalidArgument("precision \"{}\"", text.substr(0, 20));
  error.error().Fix("ns, us, ms or s");
  return error;
}

}  // namespace penstock::protocols
