// Rows are held back in two blocks: when both are full they are sorted by time and the older half
// goes out. A file in order costs nothing by that, a file with rows swapped nearby comes out right,
// and a row that is older than what went out already is counted and left out, because history and
// windows expect time to go forward.
#include "protocols/replay/replay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>

#include "base/json.h"
#include "telemetry/texts.h"

namespace penstock::protocols {
namespace {

constexpr std::array<std::string_view, 5> kTimeNames = {"datetime", "time", "timestamp", "date",
                                                        "ts"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return lower;
}

std::optional<size_t> IndexOf(const std::vector<std::string>& header, std::string_view name) {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) return std::nullopt;
  return static_cast<size_t>(found - header.begin());
}

}  // namespace

Result<std::unique_ptr<CsvReplay>> CsvReplay::Open(const std::string& path,
                                                   const things::Thing& thing,
                                                   const ReplayOptions& options,
                                                   telemetry::QuarantineSink* quarantine) {
  auto stream = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!stream->is_open()) {
    auto error = NotFound("cannot open the CSV file");
    error.error().Where(path).Fix("give the path of a file that can be read");
    return error;
  }
  return FromStream(std::move(stream), path, thing, options, quarantine);
}

Result<std::unique_ptr<CsvReplay>> CsvReplay::FromStream(std::unique_ptr<std::istream> stream,
                                                         const std::string& name,
                                                         const things::Thing& thing,
                                                         const ReplayOptions& options,
                                                         telemetry::QuarantineSink* quarantine) {
  auto reader = CsvReader::Open(std::move(stream), options.separator);
  if (!reader) return std::unexpected(reader.error().Where(name));
  std::unique_ptr<CsvReplay> replay(new CsvReplay(std::move(*reader), name, options, quarantine));
  if (Status mapped = replay->Map(thing, options); !mapped)
    return std::unexpected(mapped.error().Where(name));
  return replay;
}

CsvReplay::CsvReplay(CsvReader reader, std::string name, const ReplayOptions& options,
                     telemetry::QuarantineSink* quarantine)
    : reader_(std::move(reader)),
      name_(std::move(name)),
      block_rows_(std::max<size_t>(options.block_rows, 1)),
      quarantine_(quarantine),
      texts_(options.texts),
      decimal_comma_(reader_.separator() != ',') {}

Status CsvReplay::FindTime(const std::string& wanted) {
  const auto& header = reader_.header();
  if (!wanted.empty()) {
    const auto index = IndexOf(header, wanted);
    if (index) {
      time_column_ = *index;
      return {};
    }
    const std::string nearest = Nearest(wanted, header);
    auto error = InvalidArgument("no time column \"{}\"", wanted.substr(0, 80));
    error.error().Fix(
        nearest.empty() ? fmt::format("the columns are {}", fmt::join(header, ", ")).substr(0, 500)
                        : fmt::format("the nearest column is \"{}\"", nearest));
    return error;
  }
  for (const std::string_view name : kTimeNames)
    for (size_t i = 0; i < header.size(); ++i)
      if (Lower(header[i]) == name) {
        time_column_ = i;
        return {};
      }
  auto error = InvalidArgument("no time column: none of {}", fmt::join(kTimeNames, ", "));
  error.error().Fix("say which column holds the time");
  return error;
}

Status CsvReplay::Map(const things::Thing& thing, const ReplayOptions& options) {
  TRY(FindTime(options.time_column));
  const auto& header = reader_.header();
  std::vector<bool> used(header.size(), false);
  used[time_column_] = true;
  std::vector<std::string> missing;
  const auto miss = [&](std::string_view what, const std::string& column) {
    const std::string nearest = Nearest(column, header);
    missing.push_back(
        fmt::format("\"{}\" ({}{})", column.substr(0, 80), what,
                    nearest.empty() ? "" : fmt::format("; nearest: \"{}\"", nearest)));
  };
  for (const std::string& name : options.exclude) {
    const auto index = IndexOf(header, name);
    if (!index) {
      miss("to be excluded", name);
      continue;
    }
    used[*index] = true;
    labels_.push_back(*index);
  }
  for (const things::Property& property : thing.properties) {
    const std::string& column = property.column.empty() ? property.point.property : property.column;
    const auto index = IndexOf(header, column);
    if (!index) {
      miss(property.point.path(), column);
      continue;
    }
    used[*index] = true;
    columns_.push_back({*index, property.point.id, property.point.type, property.point.path()});
  }
  if (!missing.empty()) {
    auto error = InvalidArgument("column{} missing: {}", missing.size() == 1 ? "" : "s",
                                 fmt::format("{}", fmt::join(missing, ", ")).substr(0, 2000));
    error.error().Fix("rename the column, or set ps:column in the Thing Description");
    return error;
  }
  if (columns_.empty())
    return InvalidArgument("the thing {} has no property to replay", thing.name);
  for (size_t i = 0; i < header.size(); ++i)
    if (!used[i]) report_.unused.push_back(header[i]);
  return {};
}

void CsvReplay::Quarantine(Time at, const std::string& point, std::string_view rule,
                           std::string_view value, std::string message) {
  if (quarantine_ == nullptr) return;
  quarantine_->Put({at, "replay " + name_, point, std::string(rule),
                    std::string(value.substr(0, 200)),
                    fmt::format("line {}: {}", reader_.line(), message)});
}

void CsvReplay::TornRow(std::string_view why) {
  ++report_.torn_rows;
  if (report_.torn_lines.size() < ReplayReport::kMaxLines)
    report_.torn_lines.push_back(reader_.line());
  Quarantine(given_ == Time::min() ? Time() : given_, "", "torn_row", "", std::string(why));
}

double CsvReplay::Value(const Column& column, std::string_view cell, Time at) {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  if (IsMissing(cell)) {
    ++report_.missing;
    return kNothing;
  }
  if (column.type == things::ValueType::kString) return TextValue(column, cell, at);
  const auto number = ParseCell(cell, decimal_comma_);
  const bool boolean = column.type == things::ValueType::kBoolean;
  if (number && !(boolean && *number != 0 && *number != 1) &&
      !(column.type == things::ValueType::kInteger && !telemetry::IsExactInteger(*number)))
    return *number;
  if (boolean && !number) {
    const std::string word = Lower(cell);
    if (word == "true" || word == "on") return 1;
    if (word == "false" || word == "off") return 0;
  }
  ++report_.refused;
  Quarantine(at, column.path, "type", cell,
             number ? fmt::format("{} where {} is {}", *number, column.path,
                                  boolean ? "a boolean" : "a whole number between -2^53 and 2^53")
                    : number.error().message);
  return kNothing;
}

double CsvReplay::TextValue(const Column& column, std::string_view cell, Time at) {
  const Result<double> code = texts_ != nullptr ? texts_->Intern(column.id, cell)
                                                : FailedPrecondition("texts are not taken here");
  if (code) return *code;
  ++report_.refused;
  Quarantine(at, column.path, telemetry::TextRule(code.error()), cell, code.error().message);
  return std::numeric_limits<double>::quiet_NaN();
}

void CsvReplay::Take(const std::vector<std::string_view>& cells) {
  const auto at = ParseCellTime(cells[time_column_]);
  if (!at) return TornRow(at.error().message);
  if (*at < given_) {
    ++report_.late_rows;
    return Quarantine(*at, "", "time_order", cells[time_column_],
                      "older than rows given out already: sort the file by time");
  }
  Row row{*at, {}};
  row.values.reserve(columns_.size() + labels_.size());
  for (const Column& column : columns_)
    row.values.push_back(Value(column, cells[column.index], *at));
  for (const size_t label : labels_)
    row.values.push_back(
        ParseCell(cells[label], decimal_comma_).value_or(std::numeric_limits<double>::quiet_NaN()));
  held_.push_back(std::move(row));
  ++report_.rows;
}

void CsvReplay::Fill() {
  std::vector<std::string_view> cells;
  while (held_.size() < 2 * block_rows_) {
    const CsvReader::Row kind = reader_.Next(cells);
    if (kind == CsvReader::Row::kEnd) break;
    if (kind == CsvReader::Row::kTorn)
      TornRow(reader_.torn());
    else
      Take(cells);
  }
  std::stable_sort(held_.begin(), held_.end(),
                   [](const Row& a, const Row& b) { return a.at < b.at; });
}

ReplayBlock CsvReplay::Next() {
  Fill();
  ReplayBlock block;
  block.labels.resize(labels_.size());
  const size_t count = std::min(held_.size(), block_rows_);
  block.batch.Reserve(count * columns_.size());
  for (size_t r = 0; r < count; ++r) {
    const Row& row = held_[r];
    block.rows.push_back(row.at);
    for (size_t c = 0; c < columns_.size(); ++c)
      if (!std::isnan(row.values[c]))
        block.batch.Add(columns_[c].id, row.at, row.at, row.values[c]);
    for (size_t l = 0; l < labels_.size(); ++l)
      block.labels[l].push_back(row.values[columns_.size() + l]);
  }
  held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(count));
  if (count == 0) return block;
  given_ = block.rows.back();
  if (!report_.first) report_.first = block.rows.front();
  report_.last = given_;
  report_.samples += block.batch.size();
  return block;
}

}  // namespace penstock::protocols
