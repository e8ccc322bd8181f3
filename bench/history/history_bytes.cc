// What a sample costs on disk, by the shape of the values: made ones of several kinds, and with
// --data DIR the columns of numbers of every folder there. The points have a sample each at every
// tick, as a poll of a plant gives them; a flush every 50 ticks makes files, sixteen of which are
// merged. Prints bytes per sample of the files as flushed and as merged, the latter column by
// column, and the CPU of writing (history alone) and of reading all values back.
//
//   history_bytes --data DIR --points 2000 --only "two decimals"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "base/log.h"
#include "base/random.h"
#include "storage/parquet_history.h"

namespace {

using namespace penstock;
using namespace penstock::storage;
namespace fs = std::filesystem;

constexpr size_t kTicksPerFlush = 50, kFlushes = 16, kTicks = kTicksPerFlush * kFlushes;
const Time kStart = ParseTime("2026-01-05T00:00:00Z").value();

using Series = std::vector<double>;
struct Shape {
  std::string name;
  std::vector<Series> points;  // Some longer than others.
  bool events = false;         // Times of their own, a sample now and then.
};

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

template <typename T>
void Must(const Result<T>& result) {
  if (result) return;
  fmt::print(stderr, "{}\n", result.error().ToString());
  std::exit(2);
}

double Rounded(double value, int decimals) {
  const double scale = std::pow(10, decimals);
  return std::round(value * scale) / scale;
}

// `next(random, before)` gives a point's next value; `first` its first.
Shape Made(std::string name, size_t points, const std::function<double(Random&)>& first,
           const std::function<double(Random&, double)>& next) {
  Shape shape{.name = std::move(name)};
  Random random(points);
  for (size_t p = 0; p < points; ++p) {
    Series& series = shape.points.emplace_back();
    for (double value = first(random); series.size() < kTicks; value = next(random, value))
      series.push_back(value);
  }
  return shape;
}

std::vector<Shape> MadeShapes(size_t points) {
  const auto level = [](Random& r) { return Rounded(r.Uniform(0, 100), 2); };
  const auto walk = [](double deviation, int decimals) {
    return [=](Random& r, double v) {
      return Rounded(std::clamp(v + r.Normal(0, deviation), 0.0, 100.0), decimals);
    };
  };
  std::vector<Shape> shapes;
  shapes.push_back(Made("walk, two decimals, steps of 1", points, level, walk(1, 2)));
  shapes.push_back(Made("walk, two decimals, steps of 0.05", points, level, walk(0.05, 2)));
  shapes.push_back(Made(
      "walk, one decimal, steps of 0.2", points,
      [](Random& r) { return Rounded(r.Uniform(0, 100), 1); }, walk(0.2, 1)));
  shapes.push_back(Made("noise, two decimals, all of 0 to 100", points, level,
                        [&](Random& r, double) { return level(r); }));
  shapes.push_back(Made(
      "noise, three decimals, N(50, 10)", points, [](Random&) { return 50.0; },
      [](Random& r, double) { return Rounded(r.Normal(50, 10), 3); }));
  shapes.push_back(Made("held values, one change in 20", points, level, [](Random& r, double v) {
    return r.Chance(0.05) ? Rounded(v + r.Normal(), 2) : v;
  }));
  shapes.push_back(Made(
      "flags", points, [](Random&) { return 0.0; },
      [](Random& r, double v) { return r.Chance(0.02) ? 1 - v : v; }));
  shapes.push_back(Made(
      "counters", points, [](Random& r) { return std::floor(r.Uniform(0, 1e6)); },
      [](Random& r, double v) { return v + std::floor(r.Exponential(12)); }));
  shapes.push_back(Made(
      "raw doubles, walk", points, [](Random& r) { return r.Uniform(0, 100); },
      [](Random& r, double v) { return v + r.Normal(); }));
  shapes.push_back(Made(
      "raw doubles, noise", points, [](Random& r) { return r.Normal(); },
      [](Random& r, double) { return r.Normal(); }));
  shapes.push_back(Made("events, two decimals", points, level, walk(1, 2)));
  shapes.back().events = true;
  return shapes;
}

// The numbers of a line; NaN for a field that is none.
void Fields(const std::string& line, Series& fields) {
  const bool spaces = line.find_first_of(",;") == std::string::npos;
  fields.clear();
  for (size_t at = 0; at <= line.size();) {
    if (spaces) at = std::min(line.find_first_not_of(" \t\r", at), line.size());
    if (spaces && at == line.size()) break;
    const size_t end = std::min(line.find_first_of(spaces ? " \t\r" : ",;\r", at), line.size());
    double value = NAN;
    const auto [rest, error] = std::from_chars(line.data() + at, line.data() + end, value);
    fields.push_back(error == std::errc() && rest == line.data() + end ? value : NAN);
    at = end + 1;
  }
}

// Every column of numbers of a file as one point.
void TakeFile(const fs::path& path, Shape& shape) {
  std::ifstream file(path);
  std::vector<Series> columns;
  Series fields;
  size_t rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    Fields(line, fields);
    if (columns.size() < fields.size()) columns.resize(fields.size());
    for (size_t c = 0; c < fields.size(); ++c)
      if (!std::isnan(fields[c])) columns[c].push_back(fields[c]);
  }
  for (Series& column : columns)
    if (column.size() > rows / 2 && column.size() > 100) shape.points.push_back(std::move(column));
}

std::vector<Shape> ShapesIn(const std::string& folder) {
  std::map<std::string, Shape> shapes;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path relative = entry.path().lexically_relative(folder);
    const std::string kind = entry.path().extension().string();
    if (!entry.is_regular_file() || (kind != ".csv" && kind != ".dat" && kind != ".txt")) continue;
    Shape& shape = shapes[relative.begin()->string()];
    shape.name = "data: " + relative.begin()->string();
    TakeFile(entry.path(), shape);
  }
  std::vector<Shape> found;
  for (auto& [name, shape] : shapes)
    if (!shape.points.empty()) found.push_back(std::move(shape));
  return found;
}

struct Columns {
  uint64_t rows = 0, point = 0, times = 0, value = 0, sequence = 0, rest = 0, all = 0;
  double read_s = 0;  // CPU, of time, value and quality.
};

// What the history's files hold, and what reading them costs.
Columns Weigh(const std::string& folder) {
  Columns sum;
  std::vector<double> values;
  for (const auto& entry : fs::recursive_directory_iterator(folder + "/shape")) {
    if (!entry.is_regular_file()) continue;
    const auto file = ParquetFile::Open(entry.path().string(), RowColumns());
    Must(file);
    sum.all += entry.file_size();
    sum.rows += (*file)->rows();
    const double before = CpuSeconds();
    for (size_t g = 0; g < (*file)->groups().size(); ++g) {
      const auto& group = (*file)->groups()[g];
      for (size_t c = 0; c < group.chunks.size(); ++c) {
        (c == 0   ? sum.point
         : c <= 2 ? sum.times
         : c == 3 ? sum.value
         : c == 5 ? sum.sequence
                  : sum.rest) += group.chunks[c].bytes;
        if (c != 1 && c != 3 && c != 4) continue;
        auto reader = ParquetColumnReader::Load(**file, g, c);
        Must(reader);
        values.resize(group.rows);
        Must(reader->Read(0, group.rows, values.data()));
      }
    }
    sum.read_s += CpuSeconds() - before;
  }
  sum.rest = sum.all - sum.point - sum.times - sum.value - sum.sequence;
  return sum;
}

struct Ticks {
  std::vector<PointId> id;
  std::vector<Time> time, ingest;
  Series value;
  std::vector<uint32_t> quality;
};

// All points at tick `tick`; of events, some of them a little apart.
void Fill(const Shape& shape, size_t tick, Duration spacing, Random& random, Ticks& ticks) {
  const Time time = kStart + spacing * static_cast<int64_t>(tick);
  ticks = {};
  for (size_t p = 0; p < shape.points.size(); ++p) {
    if (tick >= shape.points[p].size() || (shape.events && random.Chance(0.5))) continue;
    const auto jitter = Duration(shape.events ? random.Below(9'000'000) : 0);  // Microseconds.
    ticks.id.push_back(PointId{static_cast<uint32_t>(p)});
    ticks.time.push_back(time + jitter);
    ticks.ingest.push_back(time + jitter + Duration(shape.events ? 2500 : 4200));
    ticks.value.push_back(shape.points[p][tick]);
  }
  ticks.quality.assign(ticks.id.size(), 0);
}

void Measure(const Shape& shape, const std::string& folder) {
  fs::remove_all(folder);
  HistoryOptions options{
      .flush_every = std::chrono::hours(99), .tail_rows_max = 20'000'000, .merge_files = kFlushes};
  options.merge_in_background = false;
  auto history = History::Open(folder, options).value();
  size_t longest = 0;
  for (uint32_t p = 0; p < shape.points.size(); ++p) {
    history->NamePoint(PointId{p}, fmt::format("machine-{:04}/value_{}", p / 8, p % 8), "shape");
    longest = std::max(longest, shape.points[p].size());
  }
  Random random(3);
  Ticks ticks;
  uint64_t sequence = 0;
  double cpu_s = 0, merge_cpu_s = 0;
  Columns fresh;
  // Data may be longer than what is made: its flushes are longer too.
  const size_t ticks_per_flush = (longest + kFlushes - 1) / kFlushes;
  // All within a day, so that all is merged.
  const Duration spacing =
      longest < 8000 ? Duration(std::chrono::seconds(10)) : Duration(80'000'000 / longest * 1000);
  for (size_t tick = 0; tick < longest; ++tick) {
    Fill(shape, tick, spacing, random, ticks);
    double before = CpuSeconds();
    Must(history->Append(
        {ticks.id, ticks.time, ticks.ingest, ticks.value, ticks.quality, sequence}));
    cpu_s += CpuSeconds() - before;
    sequence += ticks.id.size();
    const size_t flush = tick / ticks_per_flush;
    if (tick % ticks_per_flush + 1 < ticks_per_flush && tick + 1 < longest) continue;
    before = CpuSeconds();
    if (flush + 1 == kFlushes) {
      fresh = Weigh(folder);
      before = CpuSeconds();
    }
    Must(history->Flush());
    (flush + 1 == kFlushes ? merge_cpu_s : cpu_s) += CpuSeconds() - before;
  }
  history.reset();
  const Columns merged = Weigh(folder);
  fs::remove_all(folder);
  const auto per = [](uint64_t bytes, const Columns& of) {
    return static_cast<double>(bytes) / static_cast<double>(std::max<uint64_t>(of.rows, 1));
  };
  const auto ns = [](double seconds, const Columns& of) {
    return 1e9 * seconds / static_cast<double>(std::max<uint64_t>(of.rows, 1));
  };
  fmt::print(
      "{:<38} {:>8} {:>6.2f} {:>6.2f} | {:>6.3f} {:>6.3f} {:>6.3f} {:>6.3f} {:>6.3f} | {:>6.0f} "
      "{:>6.0f} {:>6.1f} {:>6.1f}\n",
      shape.name, merged.rows, per(fresh.all, fresh), per(merged.all, merged),
      per(merged.point, merged), per(merged.times, merged), per(merged.value, merged),
      per(merged.sequence, merged), per(merged.rest, merged), ns(cpu_s, fresh),
      ns(merge_cpu_s, merged), ns(fresh.read_s, fresh), ns(merged.read_s, merged));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::string data, only, folder = (fs::temp_directory_path() / "penstock-history-bytes").string();
  size_t points = 2000;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--data") data = argv[i + 1];
    if (option == "--points") points = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--only") only = argv[i + 1];
    if (option == "--folder") folder = argv[i + 1];
  }
  if (!data.empty() && !fs::is_directory(data)) {
    fmt::print(stderr, "no folder \"{}\": --data wants one with CSV files\n", data);
    return 2;
  }
  penstock::SetLogLevel(penstock::LogLevel::kError);
  std::vector<Shape> shapes = MadeShapes(points);
  if (!data.empty())
    for (Shape& shape : ShapesIn(data)) shapes.push_back(std::move(shape));
  fmt::print(
      "{:<38} {:>8} {:>13} | {:^34} | {:^27}\n{:<38} {:>8} {:>6} {:>6} | {:>6} {:>6} {:>6} {:>6} "
      "{:>6} | {:>6} {:>6} {:>6} {:>6}\n",
      "", "", "bytes/sample", "merged, by column", "CPU ns/sample", "shape", "rows", "fresh",
      "merged", "point", "times", "value", "seq", "rest", "write", "merge", "read", "read m");
  for (const Shape& shape : shapes)
    if (shape.name.find(only) != std::string::npos) Measure(shape, folder);
  return 0;
}
