#include "value/kpi_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/file.h"
#include "value/file_reading.h"

namespace penstock::value {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

// "06:00" .. "24:00"
Result<Duration> TimeOfDayAt(const Json& object, std::string_view key, const std::string& base) {
  ASSIGN_OR_RETURN(const auto text, GetString(object, key, base));
  int hour = 0, minute = 0;
  const bool shaped = text.size() == 5 && text[2] == ':' && std::ranges::all_of(text, [](char c) {
                        return c == ':' || (c >= '0' && c <= '9');
                      });
  if (shaped) {
    hour = (text[0] - '0') * 10 + text[1] - '0';
    minute = (text[3] - '0') * 10 + text[4] - '0';
  }
  if (!shaped || minute > 59 || hour * 60 + minute > 24 * 60) {
    return Mistake(fmt::format("{}/{}", base, key), fmt::format("no time of day: \"{}\"", text),
                   "write \"06:00\" (in quotes), UTC, up to \"24:00\"");
  }
  return std::chrono::minutes(hour * 60 + minute);
}

Result<PlannedWindow> WindowFrom(const Json& entry, const std::string& base) {
  if (!entry.is_object())
    return Mistake(base, "no object", "{days: [sun], from: \"06:00\", to: \"14:00\"}");
  TRY(CheckKeys(entry, {"days", "from", "to", "reason"}, base));
  PlannedWindow window;
  ASSIGN_OR_RETURN(window.from, TimeOfDayAt(entry, "from", base));
  ASSIGN_OR_RETURN(window.to, TimeOfDayAt(entry, "to", base));
  if (window.to <= window.from) {
    return Mistake(base + "/to", "the window ends before it begins",
                   "split it at midnight: to \"24:00\", from \"00:00\"");
  }
  ASSIGN_OR_RETURN(window.reason, TextAt(entry, "reason", base, false));
  if (window.reason.empty()) window.reason = "planned";
  ASSIGN_OR_RETURN(const auto days, TextsAt(entry, "days", base));
  if (days.empty()) return window;
  window.days = 0;
  for (size_t i = 0; i < days.size(); ++i) {
    const auto day = std::ranges::find(kDays, days[i]);
    if (day == kDays.end()) {
      return Mistake(fmt::format("{}/days/{}", base, i), fmt::format("day unknown: {}", days[i]),
                     fmt::format("one of {}", fmt::join(kDays, ", ")));
    }
    window.days = static_cast<uint8_t>(window.days | (1U << (day - kDays.begin())));
  }
  return window;
}

class Reader {
 public:
  Reader(const Json& document, const things::Snapshot* snapshot)
      : document_(document), snapshot_(snapshot) {}

  Result<KpiFile> Read() {
    if (!document_.is_object())
      return Mistake("", "the file is no object", "begin with kpis: NAME");
    TRY(CheckKeys(document_, {"kpis", "title", "asset", "machines", "producer", "states", "count",
                              "ideal-rate", "energy", "calendar", "period", "prices"}));
    ASSIGN_OR_RETURN(file_.name, TextAt(document_, "kpis", "", true));
    ASSIGN_OR_RETURN(file_.title, TextAt(document_, "title", "", false));
    if (file_.title.empty()) file_.title = file_.name;
    ASSIGN_OR_RETURN(file_.asset, TextAt(document_, "asset", "", true));
    TRY(ReadMachines());
    TRY(ReadStates());
    TRY(ReadCounters());
    TRY(ReadIdealRate());
    TRY(ReadCalendar());
    ASSIGN_OR_RETURN(file_.period, DurationAt(document_, "period", "", file_.period));
    TRY(ReadPrices());
    return std::move(file_);
  }

 private:
  Status ReadMachines() {
    ASSIGN_OR_RETURN(file_.machines, TextsAt(document_, "machines", ""));
    if (file_.machines.empty())
      return Mistake("/machines", "no machines", "machines: [pump-7, filler-1]");
    for (size_t i = 0; i < file_.machines.size(); ++i) {
      TRY(CheckThing(snapshot_, file_.machines[i], fmt::format("/machines/{}", i)));
    }
    ASSIGN_OR_RETURN(file_.producer, TextAt(document_, "producer", "", false));
    if (file_.producer.empty()) file_.producer = file_.machines.back();
    if (std::ranges::find(file_.machines, file_.producer) == file_.machines.end()) {
      return Mistake("/producer",
                     fmt::format("the producer {} is none of the machines", file_.producer),
                     fmt::format("one of {}", fmt::join(file_.machines, ", ")));
    }
    return {};
  }

  Status ReadStates() {
    ASSIGN_OR_RETURN(const Json states, ObjectAt(document_, "states", ""));
    TRY(CheckKeys(states,
                  {"running", "minor-stop", "shortest-repair", "unexplained-down-after",
                   "repair-within", "unknown-after"},
                  "/states"));
    StateRules& rules = file_.states;
    ASSIGN_OR_RETURN(const auto running, TextAt(states, "running", "/states", false));
    if (!running.empty()) rules.running = running;
    ASSIGN_OR_RETURN(rules.minor_stop,
                     DurationAt(states, "minor-stop", "/states", rules.minor_stop));
    ASSIGN_OR_RETURN(rules.shortest_repair,
                     DurationAt(states, "shortest-repair", "/states", rules.shortest_repair));
    ASSIGN_OR_RETURN(
        rules.unexplained_down_after,
        DurationAt(states, "unexplained-down-after", "/states", rules.unexplained_down_after));
    ASSIGN_OR_RETURN(rules.repair_within,
                     DurationAt(states, "repair-within", "/states", rules.repair_within));
    ASSIGN_OR_RETURN(rules.unknown_after,
                     DurationAt(states, "unknown-after", "/states", rules.unknown_after));
    if (rules.unexplained_down_after < rules.minor_stop) {
      return Mistake("/states/unexplained-down-after", "it is shorter than minor-stop", "25min");
    }
    for (const auto& machine : file_.machines) {
      TRY(CheckPoint(snapshot_, machine + "/" + rules.running, "/states/running"));
    }
    return {};
  }

  Status ReadCounters() {
    ASSIGN_OR_RETURN(const Json count, ObjectAt(document_, "count", ""));
    TRY(CheckKeys(count, {"good", "reject"}, "/count"));
    ASSIGN_OR_RETURN(file_.good, TextAt(count, "good", "/count", false));
    ASSIGN_OR_RETURN(file_.reject, TextAt(count, "reject", "/count", false));
    ASSIGN_OR_RETURN(file_.energy, TextAt(document_, "energy", "", false));
    if (!file_.reject.empty() && file_.good.empty()) {
      return Mistake("/count", "reject without good", "good: filler-1/good_count");
    }
    if (!file_.good.empty()) TRY(CheckPoint(snapshot_, file_.good, "/count/good"));
    if (!file_.reject.empty()) TRY(CheckPoint(snapshot_, file_.reject, "/count/reject"));
    if (!file_.energy.empty()) TRY(CheckPoint(snapshot_, file_.energy, "/energy"));
    return {};
  }

  // ideal-rate: {per: min, of: 600}, or {point: filler-1/product, per: min, of: {1: 600, 2: 420}}
  Status ReadIdealRate() {
    ASSIGN_OR_RETURN(const Json rate, ObjectAt(document_, "ideal-rate", ""));
    if (rate.empty()) return {};
    TRY(CheckKeys(rate, {"point", "per", "of"}, "/ideal-rate"));
    ASSIGN_OR_RETURN(const auto per, TextAt(rate, "per", "/ideal-rate", true));
    const double seconds = per == "s" ? 1 : per == "min" ? 60 : per == "h" ? 3600 : 0;
    if (seconds == 0)
      return Mistake("/ideal-rate/per", fmt::format("unit unknown: {}", per), "s, min or h");
    ASSIGN_OR_RETURN(file_.product, TextAt(rate, "point", "/ideal-rate", false));
    if (!file_.product.empty()) TRY(CheckPoint(snapshot_, file_.product, "/ideal-rate/point"));
    const auto of = rate.find("of");
    if (of == rate.end()) return Mistake("/ideal-rate", "no rate", "of: 600");
    if (file_.product.empty()) return AddRate(0, *of, seconds, "/ideal-rate/of");
    if (!of->is_object()) {
      return Mistake("/ideal-rate/of", "with a point there is a rate for each of its values",
                     "of: {\"1\": 600}");
    }
    for (const auto& [code, value] : of->items()) {
      const std::string pointer = "/ideal-rate/of/" + EscapePointer(code);
      int64_t product = 0;
      const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), product);
      if (error != std::errc() || end != code.data() + code.size()) {
        return Mistake(pointer, fmt::format("no product code: {}", code), "a whole number");
      }
      TRY(AddRate(product, value, seconds, pointer));
    }
    return {};
  }

  Status AddRate(int64_t product, const Json& value, double seconds, const std::string& pointer) {
    if (!value.is_number() || !(value.get<double>() > 0) || !(value.get<double>() < 1e9)) {
      return Mistake(
          pointer,
          fmt::format("no rate: {}",
                      value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40)),
          "pieces per unit of time, above 0");
    }
    file_.ideal_per_s[product] = value.get<double>() / seconds;
    return {};
  }

  Status ReadCalendar() {
    ASSIGN_OR_RETURN(const Json calendar, ObjectAt(document_, "calendar", ""));
    TRY(CheckKeys(calendar, {"planned"}, "/calendar"));
    const auto planned = calendar.find("planned");
    if (planned == calendar.end()) return {};
    if (!planned->is_array() || planned->size() > 200) {
      return Mistake("/calendar/planned", "no list of at most 200 windows",
                     "planned: [{from: \"06:00\", to: \"14:00\"}]");
    }
    for (size_t i = 0; i < planned->size(); ++i) {
      ASSIGN_OR_RETURN(auto window,
                       WindowFrom((*planned)[i], fmt::format("/calendar/planned/{}", i)));
      file_.planned.push_back(std::move(window));
    }
    return {};
  }

  Status ReadPrices() {
    ASSIGN_OR_RETURN(const Json prices, ObjectAt(document_, "prices", ""));
    for (const auto& [name, value] : prices.items()) {
      const std::string pointer = "/prices/" + EscapePointer(name);
      if (!value.is_string()) return Mistake(pointer, "no price", "as in 4200 EUR/h");
      auto price = ParsePrice(value.get<std::string>());
      if (!price) return std::unexpected(std::move(price).error().At(pointer));
      file_.prices[name] = *price;
    }
    return {};
  }

  const Json& document_;
  const things::Snapshot* snapshot_;
  KpiFile file_;
};

}  // namespace

std::string Price::text() const { return fmt::format("{} {}/{}", amount, currency, per); }

Result<Price> ParsePrice(std::string_view text) {
  // "4200 EUR/h"
  const size_t space = text.find(' '), slash = text.find('/');
  Price price;
  bool good = space != std::string_view::npos && slash != std::string_view::npos && space < slash;
  if (good) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + space, price.amount);
    price.currency = text.substr(space + 1, slash - space - 1);
    price.per = text.substr(slash + 1);
    good = error == std::errc() && end == text.data() + space && std::isfinite(price.amount) &&
           price.amount >= 0 && price.currency.size() == 3 &&
           std::ranges::all_of(price.currency, [](char c) { return c >= 'A' && c <= 'Z'; }) &&
           !price.per.empty() && price.per.size() <= 20;
  }
  if (!good) {
    auto error = InvalidArgument("no price: \"{}\"", text.substr(0, 60));
    error.error().Fix("write an amount, a currency of three letters and a unit, as in 4200 EUR/h");
    return error;
  }
  return price;
}

Result<KpiFile> KpiFileFromJson(const Json& document, const things::Snapshot* snapshot) {
  return Reader(document, snapshot).Read();
}

std::vector<KpiFile> ReadKpiFiles(const std::string& folder, const things::Snapshot* snapshot,
                                  std::vector<Error>& errors) {
  std::vector<KpiFile> files;
  std::set<std::string> names;
  const auto listed = ListFiles(folder + "/kpis", ".yaml");
  if (!listed) {
    if (listed.error().code != Code::kNotFound) errors.push_back(listed.error());
    return files;
  }
  for (const auto& name : *listed) {
    const std::string path = folder + "/kpis/" + name;
    auto document = ReadDocument(path);
    auto file = document ? KpiFileFromJson(*document, snapshot) : std::unexpected(document.error());
    if (file && !names.insert(file->name).second) {
      file = Mistake("/kpis", fmt::format("a second file names its KPIs {}", file->name),
                     "choose another name");
    }
    if (!file) {
      errors.push_back(std::move(file).error().Where(path));
      continue;
    }
    file->file = path;
    files.push_back(*std::move(file));
  }
  return files;
}

std::vector<Error> CheckKpiFiles(const std::string& folder, const things::Snapshot& snapshot) {
  std::vector<Error> errors;
  (void)ReadKpiFiles(folder, &snapshot, errors);
  return errors;
}

}  // namespace penstock::value
