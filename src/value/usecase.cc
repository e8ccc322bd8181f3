#include "value/usecase.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "base/file.h"
#include "value/file_reading.h"
#include "value/kpi/kind.h"

namespace penstock::value {
namespace {

std::string KpiNames() {
  std::vector<std::string_view> names;
  for (const KpiKind* kind : KpiKinds()) names.push_back(kind->name);
  return fmt::format("{}", fmt::join(names, ", "));
}

Status CheckKpi(const std::string& name, std::string_view pointer) {
  if (FindKpiKind(name) != nullptr) return {};
  return Mistake(pointer, fmt::format("KPI unknown: {}", name),
                 fmt::format("one of {}", KpiNames()));
}

// "-30 %" -> -0.3
Result<double> ParseChange(const std::string& text) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (begin != end && *begin == '+') ++begin;
  double percent = 0;
  const auto [rest, error] = std::from_chars(begin, end, percent);
  const std::string_view tail(rest, static_cast<size_t>(end - rest));
  if (error != std::errc() || (tail != " %" && tail != "%") || !std::isfinite(percent) ||
      percent == 0) {
    return Mistake("/kpi/target", fmt::format("no change: \"{}\"", text), "as in \"-30 %\"");
  }
  return percent / 100;
}

Result<Guard> ParseGuard(const std::string& text, const std::string& pointer) {
  // KPI, comparison, number; one space between.
  Guard guard;
  guard.text = text;
  const size_t first = text.find(' '),
               second = first == std::string::npos ? first : text.find(' ', first + 1);
  bool good = second != std::string::npos;
  if (good) {
    guard.kpi = text.substr(0, first);
    guard.comparison = text.substr(first + 1, second - first - 1);
    const auto [end, error] =
        std::from_chars(text.data() + second + 1, text.data() + text.size(), guard.limit);
    good = error == std::errc() && end == text.data() + text.size() && std::isfinite(guard.limit);
  }
  constexpr std::string_view kComparisons[] = {"<=", ">=", "<", ">"};
  if (!good || std::ranges::find(kComparisons, guard.comparison) == std::end(kComparisons)) {
    return Mistake(pointer, fmt::format("no guard: \"{}\"", text),
                   "as in \"false_alarms_per_day <= 2\"");
  }
  TRY(CheckKpi(guard.kpi, pointer));
  return guard;
}

class Reader {
 public:
  Reader(const Json& document, const things::Snapshot* snapshot)
      : document_(document), snapshot_(snapshot) {}

  Result<UseCase> Read() {
    if (!document_.is_object())
      return Mistake("", "the file is no object", "begin with usecase: NAME");
    TRY(CheckKeys(document_, {"usecase", "title", "asset", "sponsor", "kpi", "value", "needs",
                              "score", "decide", "plan"}));
    ASSIGN_OR_RETURN(use_.name, TextAt(document_, "usecase", "", true));
    ASSIGN_OR_RETURN(use_.title, TextAt(document_, "title", "", false));
    if (use_.title.empty()) use_.title = use_.name;
    ASSIGN_OR_RETURN(use_.asset, TextAt(document_, "asset", "", true));
    ASSIGN_OR_RETURN(use_.sponsor, TextAt(document_, "sponsor", "", true));
    TRY(ReadKpi());
    TRY(ReadValue());
    TRY(ReadNeeds());
    TRY(ReadScore());
    TRY(ReadDecide());
    TRY(ReadPlan());
    use_.document = document_;
    const std::string text = document_.dump(-1, ' ', false, Json::error_handler_t::replace);
    use_.digest = ToHex(Sha256Of(AsBytes(text)));
    return std::move(use_);
  }

 private:
  Status ReadKpi() {
    ASSIGN_OR_RETURN(const Json kpi, ObjectAt(document_, "kpi", ""));
    TRY(CheckKeys(kpi, {"primary", "unit", "target", "guard"}, "/kpi"));
    ASSIGN_OR_RETURN(use_.primary_kpi, TextAt(kpi, "primary", "/kpi", true));
    TRY(CheckKpi(use_.primary_kpi, "/kpi/primary"));
    ASSIGN_OR_RETURN(use_.unit, TextAt(kpi, "unit", "/kpi", false));
    const std::string_view own = FindKpiKind(use_.primary_kpi)->unit;
    if (!use_.unit.empty() && use_.unit != own) {
      return Mistake("/kpi/unit",
                     fmt::format("{} is in {}, not {}", use_.primary_kpi, own, use_.unit),
                     std::string(own));
    }
    use_.unit = own;
    ASSIGN_OR_RETURN(const auto target, TextAt(kpi, "target", "/kpi", false));
    if (!target.empty()) {
      ASSIGN_OR_RETURN(use_.target_change, ParseChange(target));
    }
    ASSIGN_OR_RETURN(const auto guards, TextsAt(kpi, "guard", "/kpi"));
    for (size_t i = 0; i < guards.size(); ++i) {
      ASSIGN_OR_RETURN(auto guard, ParseGuard(guards[i], fmt::format("/kpi/guard/{}", i)));
      use_.guards.push_back(std::move(guard));
    }
    return {};
  }

  Status ReadValue() {
    ASSIGN_OR_RETURN(const Json value, ObjectAt(document_, "value", ""));
    for (const auto& [kpi, price] : value.items()) {
      const std::string pointer = "/value/" + EscapePointer(kpi);
      TRY(CheckKpi(kpi, pointer));
      if (!price.is_string()) return Mistake(pointer, "no price", "as in 4200 EUR/h");
      auto parsed = ParsePrice(price.get<std::string>());
      if (!parsed) return std::unexpected(std::move(parsed).error().At(pointer));
      use_.value[kpi] = *std::move(parsed);
    }
    return {};
  }

  Status ReadNeeds() {
    ASSIGN_OR_RETURN(const Json needs, ObjectAt(document_, "needs", ""));
    TRY(CheckKeys(needs, {"points", "labels", "models"}, "/needs"));
    ASSIGN_OR_RETURN(use_.points, TextsAt(needs, "points", "/needs"));
    for (size_t i = 0; i < use_.points.size(); ++i) {
      TRY(CheckPoint(snapshot_, use_.points[i], fmt::format("/needs/points/{}", i)));
    }
    ASSIGN_OR_RETURN(const double labels, WholeAt(needs, "labels", "/needs", 0, 1e9));
    use_.labels = static_cast<uint64_t>(labels);
    ASSIGN_OR_RETURN(use_.models, TextsAt(needs, "models", "/needs"));
    return {};
  }

  static Result<double> WholeAt(const Json& object, std::string_view key, std::string_view base,
                                double low, double high) {
    if (!object.contains(key)) return 0.0;
    ASSIGN_OR_RETURN(const double value, GetNumber(object, key, base));
    if (!(value >= low && value <= high) || value != std::floor(value)) {
      return Mistake(fmt::format("{}/{}", base, key), fmt::format("{} is {}", key, value),
                     fmt::format("a whole number from {} to {}", low, high));
    }
    return value;
  }

  Status ReadScore() {
    ASSIGN_OR_RETURN(const Json score, ObjectAt(document_, "score", ""));
    TRY(CheckKeys(score, {"criticality", "actionability"}, "/score"));
    ASSIGN_OR_RETURN(const double criticality, WholeAt(score, "criticality", "/score", 1, 5));
    ASSIGN_OR_RETURN(const double actionability, WholeAt(score, "actionability", "/score", 1, 5));
    use_.criticality = static_cast<int>(criticality);
    use_.actionability = static_cast<int>(actionability);
    return {};
  }

  Status ReadDecide() {
    ASSIGN_OR_RETURN(const Json decide, ObjectAt(document_, "decide", ""));
    TRY(CheckKeys(decide, {"who", "action", "lead-time"}, "/decide"));
    ASSIGN_OR_RETURN(use_.decide_who, TextAt(decide, "who", "/decide", false));
    ASSIGN_OR_RETURN(use_.decide_action, TextAt(decide, "action", "/decide", false));
    ASSIGN_OR_RETURN(use_.lead_time, DurationAt(decide, "lead-time", "/decide", Duration(0)));
    return {};
  }

  Status ReadPlan() {
    ASSIGN_OR_RETURN(const Json plan, ObjectAt(document_, "plan", ""));
    TRY(CheckKeys(plan, {"method", "controls", "baseline"}, "/plan"));
    ASSIGN_OR_RETURN(use_.method, TextAt(plan, "method", "/plan", false));
    constexpr std::string_view kMethods[] = {"", "before-after", "difference-in-differences"};
    if (std::ranges::find(kMethods, use_.method) == std::end(kMethods)) {
      return Mistake("/plan/method", fmt::format("method unknown: {}", use_.method),
                     "before-after or difference-in-differences");
    }
    ASSIGN_OR_RETURN(use_.controls, TextsAt(plan, "controls", "/plan"));
    for (size_t i = 0; i < use_.controls.size(); ++i) {
      TRY(CheckThing(snapshot_, use_.controls[i], fmt::format("/plan/controls/{}", i)));
    }
    ASSIGN_OR_RETURN(use_.baseline, DurationAt(plan, "baseline", "/plan", Duration(0)));
    return {};
  }

  const Json& document_;
  const things::Snapshot* snapshot_;
  UseCase use_;
};

}  // namespace

bool Guard::Holds(double value) const {
  if (comparison == "<=") return value <= limit;
  if (comparison == ">=") return value >= limit;
  return comparison == "<" ? value < limit : value > limit;
}

Result<UseCase> UseCaseFromJson(const Json& document, const things::Snapshot* snapshot) {
  return Reader(document, snapshot).Read();
}

std::vector<UseCase> ReadUseCaseFiles(const std::string& folder, const things::Snapshot* snapshot,
                                      std::vector<Error>& errors) {
  std::vector<UseCase> cases;
  const auto listed = ListFiles(folder + "/usecases", ".yaml");
  if (!listed) {
    if (listed.error().code != Code::kNotFound) errors.push_back(listed.error());
    return cases;
  }
  for (const auto& name : *listed) {
    const std::string path = folder + "/usecases/" + name;
    auto document = ReadDocument(path);
    auto use = document ? UseCaseFromJson(*document, snapshot) : std::unexpected(document.error());
    if (use && std::ranges::find(cases, use->name, &UseCase::name) != cases.end()) {
      use = Mistake("/usecase", fmt::format("a second file is about {}", use->name),
                    "choose another name");
    }
    if (!use) {
      errors.push_back(std::move(use).error().Where(path));
      continue;
    }
    use->file = path;
    cases.push_back(*std::move(use));
  }
  return cases;
}

std::vector<Error> CheckUseCaseFiles(const std::string& folder, const things::Snapshot& snapshot) {
  std::vector<Error> errors;
  (void)ReadUseCaseFiles(folder, &snapshot, errors);
  return errors;
}

std::vector<Error> UseCases::Reload(const std::string& folder, const things::Snapshot& snapshot) {
  std::vector<Error> errors;
  auto cases = ReadUseCaseFiles(folder, &snapshot, errors);
  std::map<std::string, std::shared_ptr<const UseCase>> fresh;
  for (auto& use : cases) {
    std::string name = use.name;
    fresh[std::move(name)] = std::make_shared<const UseCase>(std::move(use));
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [name, old] : by_name_) {
    const bool bad = std::ranges::find(errors, old->file, &Error::where) != errors.end();
    if (bad && !fresh.contains(name)) fresh[name] = old;
  }
  by_name_ = std::move(fresh);
  return errors;
}

std::vector<std::shared_ptr<const UseCase>> UseCases::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const UseCase>> list;
  for (const auto& [name, use] : by_name_) list.push_back(use);
  return list;
}

Result<std::shared_ptr<const UseCase>> UseCases::Get(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, use] : by_name_) names.push_back(known);
  auto error = NotFound("use case unknown: {}", name);
  const std::string nearest = Nearest(name, names);
  if (!nearest.empty()) error.error().Fix(fmt::format("did you mean \"{}\"?", nearest));
  return error;
}

}  // namespace penstock::value
