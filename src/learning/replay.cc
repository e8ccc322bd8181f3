// The first rows are the past: the detector is fitted on them and then sees the rest row by row, as
// it would live. An alarm is a run of rows at p >= 0.5; runs that nearly touch are one.
#include "learning/replay.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/file.h"

namespace penstock::learning {
namespace {

constexpr size_t kBytesMax = 64 << 20, kCellsMax = 10'000'000, kColumnsMax = 1024;
constexpr size_t kGapRows = 5;

std::vector<std::string_view> Split(std::string_view line, char separator) {
  std::vector<std::string_view> cells;
  while (cells.size() <= kColumnsMax) {
    const auto end = std::find(line.begin(), line.end(), separator);
    const auto length = static_cast<size_t>(end - line.begin());
    cells.push_back(line.substr(0, length));
    if (end == line.end()) break;
    line.remove_prefix(length + 1);
  }
  return cells;
}

double ParseNumber(std::string_view cell) {
  while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
  while (!cell.empty() && cell.back() == ' ') cell.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  const bool whole =
      error == std::errc() && end == cell.data() + cell.size() && std::isfinite(value);
  return whole ? value : std::numeric_limits<double>::quiet_NaN();
}

std::string_view NextLine(std::string_view& text) {
  const auto end = std::find(text.begin(), text.end(), '\n');
  std::string_view line = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

enum class Column { kValue, kTime, kLabel, kIgnored };

Column KindOf(std::string_view name) {
  if (name == "datetime" || name == "time" || name == "timestamp") return Column::kTime;
  if (name == "anomaly" || name == "label") return Column::kLabel;
  if (name == "changepoint") return Column::kIgnored;
  return Column::kValue;
}

std::vector<std::pair<std::string, double>> TopOf(const Series& series,
                                                  const std::vector<double>& contributions) {
  std::vector<std::pair<std::string, double>> top;
  for (size_t f = 0; f < contributions.size(); ++f)
    top.emplace_back(series.columns[f], contributions[f]);
  std::stable_sort(top.begin(), top.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  top.resize(std::min<size_t>(top.size(), 3));
  return top;
}

double Share(size_t part, size_t rest) {
  return part + rest == 0 ? NAN : static_cast<double>(part) / static_cast<double>(part + rest);
}

std::unexpected<Error> Refused(Code code, std::string message, std::string fix) {
  return std::unexpected(Error{code, std::move(message), "", "", std::move(fix)});
}

// The whole file is refused: nobody can tell which of its other rows are whole by chance.
std::unexpected<Error> TornLine(size_t line, size_t cells, size_t columns) {
  return Refused(
      Code::kInvalidArgument,
      fmt::format("line {} has {} columns, the header {}", line, cells, columns),
      cells < columns
          ? fmt::format("write the missing cells of line {} as empty ones, or remove the line; "
                        "with --thing torn rows are left out and counted",
                        line)
          : fmt::format("a separator inside a cell divides it: give line {} {} cells, or remove it",
                        line, columns));
}

}  // namespace

Result<Series> ReadSeries(const std::string& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kBytesMax));
  auto series = ParseSeries(text);
  if (!series) return std::unexpected(std::move(series).error().Where(file));
  return series;
}

Result<Series> ParseSeries(std::string_view text) {
  const std::string_view header = NextLine(text);
  char separator = ',';
  for (const char candidate : {';', '\t'}) {
    if (std::count(header.begin(), header.end(), candidate) >
        std::count(header.begin(), header.end(), separator))
      separator = candidate;
  }
  const auto names = Split(header, separator);
  if (names.size() < 2 || names.size() > kColumnsMax)
    return Refused(
        Code::kInvalidArgument,
        fmt::format("the header has {} columns, 2 to {} are read", names.size(), kColumnsMax),
        "the first line names the columns, with , ; or tab between: time,flow,pressure");
  Series series;
  std::vector<Column> kinds;
  for (const std::string_view name : names) {
    kinds.push_back(KindOf(name));
    if (kinds.back() == Column::kValue) series.columns.emplace_back(name);
  }
  if (series.columns.empty())
    return Refused(Code::kInvalidArgument, "the header names no column of values",
                   "beside time and labels (anomaly, changepoint) name at least one measurement");
  size_t cells = 0;
  for (size_t line = 2; !text.empty(); ++line) {
    const std::string_view content = NextLine(text);
    if (content.empty()) continue;
    const auto row = Split(content, separator);
    if (row.size() != names.size()) return TornLine(line, row.size(), names.size());
    cells += row.size();
    if (cells > kCellsMax) return ResourceExhausted("more than {} cells", kCellsMax);
    std::vector<double> values;
    for (size_t i = 0; i < row.size(); ++i) {
      if (kinds[i] == Column::kValue) values.push_back(ParseNumber(row[i]));
      if (kinds[i] == Column::kTime) series.times.emplace_back(row[i]);
      if (kinds[i] == Column::kLabel) series.anomaly.push_back(ParseNumber(row[i]) > 0.5);
    }
    series.rows.push_back(std::move(values));
  }
  return series;
}

double ReplayReport::precision() const { return Share(true_positive, false_positive); }
double ReplayReport::recall() const { return Share(true_positive, false_negative); }
double ReplayReport::false_alarm_share() const { return Share(false_positive, true_negative); }
double ReplayReport::f1() const {
  return Share(2 * true_positive, false_positive + false_negative);
}

void ReplayReport::Add(const ReplayReport& other) {
  judged += other.judged;
  labelled = labelled || other.labelled;
  true_positive += other.true_positive;
  false_positive += other.false_positive;
  false_negative += other.false_negative;
  true_negative += other.true_negative;
  alarms.insert(alarms.end(), other.alarms.begin(), other.alarms.end());
}

Json ReplayReport::ToJson() const {
  Json list = Json::array();
  for (const ReplayAlarm& alarm : alarms) {
    Json because = Json::array();
    for (const auto& [name, value] : alarm.because)
      because.push_back({{"feature", name}, {"contribution", value}});
    list.push_back({{"from_row", alarm.from},
                    {"to_row", alarm.to},
                    {"p", alarm.p},
                    {"because", std::move(because)}});
  }
  Json json = {{"rows_judged", judged}, {"alarms", std::move(list)}};
  if (labelled) {
    json["score"] = {{"f1", NumberOrNull(f1())},
                     {"precision", NumberOrNull(precision())},
                     {"recall", NumberOrNull(recall())},
                     {"false_alarm_share", NumberOrNull(false_alarm_share())}};
  }
  return json;
}

Result<ReplayReport> ReplayDetector(const Series& series, const ReplayOptions& options) {
  if (series.rows.size() <= options.train_rows)
    return Refused(Code::kFailedPrecondition,
                   fmt::format("{} rows, of which the first {} are to learn from",
                               series.rows.size(), options.train_rows),
                   "more rows, or fewer to learn from: --train-rows");
  ASSIGN_OR_RETURN(const DetectorKind* kind, FindDetectorKind(options.kind));
  ASSIGN_OR_RETURN(const auto detector,
                   kind->create({.features = series.columns.size(),
                                 .warm_up = options.train_rows,
                                 .memory = options.memory,
                                 .false_alarm_rows = options.false_alarm_rows}));
  TRY(detector->Fit({series.rows.data(), options.train_rows}, {}));
  ReplayReport report;
  report.labelled = series.anomaly.size() == series.rows.size();
  for (size_t i = options.train_rows; i < series.rows.size(); ++i) {
    const DetectorVerdict verdict = detector->Observe(series.rows[i], true, false);
    const bool strange = verdict.ready && verdict.p >= 0.5;
    ++report.judged;
    if (report.labelled) {
      const bool is = series.anomaly[i];
      ++(strange ? (is ? report.true_positive : report.false_positive)
                 : (is ? report.false_negative : report.true_negative));
    }
    if (!strange) continue;
    if (report.alarms.empty() || i - report.alarms.back().to > kGapRows)
      report.alarms.push_back({i, i, 0, {}});
    ReplayAlarm& alarm = report.alarms.back();
    alarm.to = i;
    if (verdict.p > alarm.p) {
      alarm.p = verdict.p;
      alarm.because = TopOf(series, verdict.contributions);
    }
  }
  return report;
}

}  // namespace penstock::learning
