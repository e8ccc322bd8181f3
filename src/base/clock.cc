#include "base/clock.h"

#include <array>
#include <charconv>
#include <cmath>

namespace penstock {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Reads exactly `digits` decimal digits at `position`; -1 if they are not there.
int Digits(std::string_view text, size_t position, size_t digits) {
  if (position + digits > text.size()) return -1;
  int value = 0;
  for (size_t i = position; i < position + digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

bool Is(std::string_view text, size_t position, std::string_view any) {
  return position < text.size() && any.find(text[position]) != any.npos;
}

struct UnitRow {
  std::string_view name;
  int64_t micros;
};
// Longest first where one is the prefix of another; FormatDuration takes each once, largest first.
constexpr std::array<UnitRow, 9> kUnits = {{{"y", 365LL * 86400 * 1000000},
                                            {"d", 86400LL * 1000000},
                                            {"h", 3600LL * 1000000},
                                            {"min", 60LL * 1000000},
                                            {"ms", 1000},
                                            {"us", 1},
                                            {"m", 60LL * 1000000},
                                            {"s", 1000000},
                                            {"w", 7LL * 86400 * 1000000}}};

}  // namespace

Time SystemClock::Now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

ScaledClock::ScaledClock(Time origin, double speed)
    : ScaledClock(origin, speed, SystemClock().Now()) {}

ScaledClock::ScaledClock(Time origin, double speed, Time anchor)
    : origin_(origin), speed_(speed), anchor_(anchor) {}

Time ScaledClock::Now() const {
  const double elapsed = static_cast<double>((SystemClock().Now() - anchor_).count());
  return origin_ + Duration(static_cast<int64_t>(std::llround(elapsed * speed_)));
}

std::string FormatTime(Time time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

Result<Time> ParseTime(std::string_view text) {
  const auto bad = [&](std::string_view why) -> std::unexpected<Error> {
    return InvalidArgument("not an RFC 3339 time ({}): \"{}\"", why, text.substr(0, 40));
  };
  const int year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2);
  const int hour = Digits(text, 11, 2), minute = Digits(text, 14, 2), second = Digits(text, 17, 2);
  if (year < 0 || month < 0 || day < 0 || hour < 0 || minute < 0 || second < 0 ||
      !Is(text, 4, "-") || !Is(text, 7, "-") || !Is(text, 10, "Tt ") || !Is(text, 13, ":") ||
      !Is(text, 16, ":"))
    return bad("YYYY-MM-DDThh:mm:ss expected");
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return bad("no such date or hour");
  if (year < 1970 || year > 2261) return bad("year outside 1970..2261");
  size_t at = 19;
  int64_t fraction = 0;
  if (Is(text, at, ".,")) {
    int64_t scale = 100000;
    const size_t first = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
      fraction += scale * (text[at] - '0');
    if (at == first || at - first > 9) return bad("1 to 9 fractional digits expected");
  }
  int offset_minutes = 0;
  if (Is(text, at, "Zz")) {
    ++at;
  } else if (Is(text, at, "+-")) {
    const int oh = Digits(text, at + 1, 2), om = Digits(text, at + 4, 2);
    if (oh < 0 || om < 0 || oh > 23 || om > 59 || !Is(text, at + 3, ":")) return bad("bad offset");
    offset_minutes = (text[at] == '-' ? -1 : 1) * (oh * 60 + om);
    at += 6;
  } else {
    return bad("Z or an offset expected");
  }
  if (at != text.size()) return bad("text after the end");
  return Time(std::chrono::sys_days(date)) + hours(hour) + minutes(minute - offset_minutes) +
         seconds(second) + Duration(fraction);
}

Result<Duration> ParseDuration(std::string_view text) {
  int64_t total = 0;
  size_t at = 0;
  const auto bad = [&]() -> std::unexpected<Error> {
    auto error = InvalidArgument("not a duration: \"{}\"", text.substr(0, 40));
    error.error().Fix("write a number and a unit: 250ms, 10s, 5min, 8h, 90d, 2y");
    return error;
  };
  if (text.empty()) return bad();
  while (at < text.size()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), number,
                                              std::chars_format::fixed);
    if (error != std::errc() || number < 0) return bad();
    at = static_cast<size_t>(end - text.data());
    while (Is(text, at, " ")) ++at;
    const UnitRow* unit = nullptr;
    for (const UnitRow& row : kUnits)
      if (text.substr(at).starts_with(row.name)) {
        unit = &row;
        break;
      }
    if (unit == nullptr || number * static_cast<double>(unit->micros) > 9e18) return bad();
    total += std::llround(number * static_cast<double>(unit->micros));
    if (total < 0) return bad();
    at += unit->name.size();
    while (Is(text, at, " ")) ++at;
  }
  return Duration(total);
}

std::string FormatDuration(Duration duration) {
  int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text = rest < 0 ? "-" : "";
  rest = std::abs(rest);
  constexpr UnitRow kShown[] = {{"d", 86400LL * 1000000},
                                {"h", 3600LL * 1000000},
                                {"min", 60LL * 1000000},
                                {"s", 1000000},
                                {"ms", 1000},
                                {"us", 1}};
  for (const UnitRow& row : kShown)
    if (rest >= row.micros) {
      text += fmt::format("{}{}", rest / row.micros, row.name);
      rest %= row.micros;
    }
  return text;
}

}  // namespace penstock
