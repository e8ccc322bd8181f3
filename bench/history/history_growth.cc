// How the history's cost grows: with the number of points (an hour of samples
// every ten seconds is too much for a million of them, so each gets `--rows`),
// and with the days that it holds. Prints a table, and with --json FILE the
// same as one document for a plot.
//
//   history_growth --points 1000,10000,100000,1000000 --days 1,10,100 --json
//   growth.json
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "storage/history.h"

namespace {

using namespace penstock;
using namespace penstock::storage;
namespace fs = std::filesystem;

constexpr auto kStep = std::chrono::seconds(10);
const Time kStart = ParseTime("2026-01-05T00:00:00Z").value();

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double RssMb() {
  std::ifstream statm("/proc/self/statm");
  double size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

// Median of some runs, in milliseconds.
template <typename Work>
double MedianMs(const Work& work) {
  std::vector<double> runs;
  for (int i = 0; i < 7; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work(i);
    runs.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
            .count());
  }
  std::nth_element(runs.begin(), runs.begin() + 3, runs.end());
  return runs[3];
}

uint64_t BytesBelow(const std::string& folder, bool rollups) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().lexically_relative(folder).string();
    if (name.starts_with("rollup-") == rollups) bytes += entry.file_size();
  }
  return bytes;
}

template <typename T>
void Must(const Result<T>& result) {
  if (result) return;
  fmt::print(stderr, "{}\n", result.error().ToString());
  std::exit(2);
}

// Hosts with ten values each, two decimals, as a random walk between 0 and 100.
class Hosts {
 public:
  explicit Hosts(size_t points) : points_(points), random_(1) {
    for (size_t p = 0; p < points; ++p) {
      paths.push_back(fmt::format("host_{:06}/usage_{}", p / 10, p % 10));
      value_.push_back(random_.Uniform(0, 100));
    }
  }
  void Name(History& history) const {
    for (uint32_t p = 0; p < points_; ++p) history.NamePoint(PointId{p}, paths[p], "cpu");
  }
  // All points at one time, appended in batches.
  void Tick(History& history, Time time) {
    constexpr size_t kBatch = 50'000;
    for (size_t begin = 0; begin < points_; begin += kBatch) {
      const size_t end = std::min(points_, begin + kBatch);
      ids_.clear();
      values_.clear();
      for (size_t p = begin; p < end; ++p) {
        // The sum of four uniform steps is normal enough, and quick.
        double step = -2;
        for (int i = 0; i < 4; ++i) step += random_.Uniform(0, 1);
        value_[p] = std::clamp(value_[p] + 1.7 * step, 0.0, 100.0);
        ids_.push_back(PointId{static_cast<uint32_t>(p)});
        values_.push_back(std::round(value_[p] * 100) / 100);
      }
      times_.assign(ids_.size(), time);
      ingest_.assign(ids_.size(), time + Duration(random_.Below(300'000)));
      quality_.assign(ids_.size(), 0);
      const double before = CpuSeconds();
      Must(history.Append({ids_, times_, ingest_, values_, quality_, sequence_}));
      cpu_s += CpuSeconds() - before;
      sequence_ += ids_.size();
    }
  }
  uint64_t rows() const { return sequence_; }

  std::vector<std::string> paths;
  double cpu_s = 0;  // Of the history alone.

 private:
  const size_t points_;
  Random random_;
  std::vector<double> value_, values_;
  std::vector<PointId> ids_;
  std::vector<Time> times_, ingest_;
  std::vector<uint32_t> quality_;
  uint64_t sequence_ = 0;
};

Json Measure(const std::string& folder, size_t points, size_t ticks, size_t ticks_per_flush) {
  fs::remove_all(folder);
  HistoryOptions options{.flush_every = std::chrono::hours(99), .tail_rows_max = 8'000'000};
  options.merge_in_background = false;
  auto history = History::Open(folder, options).value();
  Hosts hosts(points);
  hosts.Name(*history);
  const double rss_before = RssMb();
  Time time = kStart;
  double rss = 0;
  for (size_t tick = 0; tick < ticks; ++tick, time += kStep) {
    hosts.Tick(*history, time);
    if (tick % ticks_per_flush + 1 < ticks_per_flush && tick + 1 < ticks) continue;
    rss = std::max(rss, RssMb());
    const double before = CpuSeconds();
    Must(history->Flush());
    hosts.cpu_s += CpuSeconds() - before;
    rss = std::max(rss, RssMb());
  }
  const auto rows = static_cast<double>(hosts.rows());
  const std::string& one = hosts.paths[hosts.paths.size() / 3];
  std::vector<std::string> some;
  for (size_t p = 3; p < hosts.paths.size() && some.size() < 4000; p += 10)
    some.push_back(hosts.paths[p]);
  const double hour_max_ms = MedianMs([&](int i) {
    const Time to = time - std::chrono::seconds(i);
    Must(history->Aggregate({&one, 1}, to - std::chrono::hours(1), to, std::chrono::minutes(5)));
  });
  const double all_ms = MedianMs([&](int i) {
    const Time to = time - std::chrono::seconds(i);
    // As a chart of 800 pixels asks: pixels of whole hours, once they are longer than one.
    const auto pixel = (to - kStart) / 799;
    const auto grain = pixel > std::chrono::hours(1) ? Duration(std::chrono::hours(1))
                                                     : Duration(std::chrono::seconds(1));
    Must(history->Aggregate({&one, 1}, kStart, to, grain * ((pixel + grain) / grain)));
  });
  const double hosts_ms = MedianMs([&](int i) {
    const Time to = time - std::chrono::seconds(i);
    Must(history->Aggregate(some, to - std::chrono::hours(1), to, Duration(0)));
  });
  history.reset();
  double open_ms = 0, last_ms = 0;
  {
    const auto begin = std::chrono::steady_clock::now();
    history = History::Open(folder, options).value();
    const auto opened = std::chrono::steady_clock::now();
    const size_t last = history->Last({}).value().size();
    if (last != points) fmt::print(stderr, "last rows of {} points, not {}\n", last, points);
    open_ms = std::chrono::duration<double, std::milli>(opened - begin).count();
    last_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - opened)
                  .count();
  }
  const History::Size size = history->size();
  history.reset();
  Json result = {{"points", points},
                 {"rows", hosts.rows()},
                 {"days", static_cast<double>(ticks) * 10 / 86'400},
                 {"rows_per_cpu_s", rows / hosts.cpu_s},
                 {"bytes_per_row", static_cast<double>(BytesBelow(folder, false)) / rows},
                 {"rollup_bytes_per_row", static_cast<double>(BytesBelow(folder, true)) / rows},
                 {"files", size.files},
                 {"one_point_hour_ms", hour_max_ms},
                 {"one_point_all_ms", all_ms},
                 {"hosts", some.size()},
                 {"hosts_hour_ms", hosts_ms},
                 {"open_ms", open_ms},
                 {"last_ms", last_ms},
                 {"rss_mb", rss},
                 {"rss_without_mb", rss_before}};
  fs::remove_all(folder);
  return result;
}

void PrintRow(const Json& r) {
  fmt::print(
      "{:>8} {:>7.2f} {:>10} {:>6.2f} {:>6.2f} {:>6.2f} {:>6} {:>8.2f} "
      "{:>8.2f} {:>8.2f} "
      "{:>8.1f} {:>7.1f} {:>6.0f}\n",
      r["points"].get<uint64_t>(), r["days"].get<double>(), r["rows"].get<uint64_t>(),
      r["rows_per_cpu_s"].get<double>() / 1e6, r["bytes_per_row"].get<double>(),
      r["rollup_bytes_per_row"].get<double>(), r["files"].get<uint64_t>(),
      r["one_point_hour_ms"].get<double>(), r["one_point_all_ms"].get<double>(),
      r["hosts_hour_ms"].get<double>(), r["open_ms"].get<double>(), r["last_ms"].get<double>(),
      r["rss_mb"].get<double>());
  std::fflush(stdout);
}

std::vector<size_t> Numbers(const char* text) {
  std::vector<size_t> numbers;
  for (const char* at = text; *at != '\0';) {
    char* end = nullptr;
    numbers.push_back(std::strtoull(at, &end, 10));
    at = *end == ',' ? end + 1 : end;
    if (end == at && *end != '\0') break;
  }
  return numbers;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<size_t> points = {1000, 10'000, 100'000, 1'000'000}, days = {1, 10, 100};
  std::string json, folder = (fs::temp_directory_path() / "penstock-history-growth").string();
  size_t rows = 60, day_points = 100;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--points") points = Numbers(argv[i + 1]);
    if (option == "--days") days = Numbers(argv[i + 1]);
    if (option == "--rows") rows = Numbers(argv[i + 1]).at(0);
    if (option == "--day-points") day_points = Numbers(argv[i + 1]).at(0);
    if (option == "--json") json = argv[i + 1];
    if (option == "--folder") folder = argv[i + 1];
  }
  penstock::SetLogLevel(penstock::LogLevel::kError);
  fmt::print(
      "{:>8} {:>7} {:>10} {:>6} {:>6} {:>6} {:>6} {:>8} {:>8} {:>8} "
      "{:>8} {:>7} {:>6}\n",
      "points", "days", "rows", "M/cpu", "B/row", "rollup", "files", "hour ms", "all ms",
      "hosts ms", "open ms", "last ms", "RSS MB");
  penstock::Json document = {{"points", penstock::Json::array()},
                             {"days", penstock::Json::array()}};
  // A flush a minute, as a node does.
  for (const size_t count : points) {
    document["points"].push_back(Measure(folder, count, rows, 6));
    PrintRow(document["points"].back());
  }
  // A flush an hour: the same files as minutes make once they are merged, in
  // less time.
  for (const size_t count : days) {
    document["days"].push_back(Measure(folder, day_points, count * 8640, 360));
    PrintRow(document["days"].back());
  }
  if (!json.empty()) std::ofstream(json) << document.dump(1) << '\n';
  return 0;
}
