// Trends and aggregates. A bucket is made of the coarsest steps that lie wholly
// within it: hours, then minutes and seconds where a file has them, then rows
// at its ends. The answer is that of the rows themselves; only of days whose
// rows are deleted a step counts where it begins.
#include <algorithm>
#include <thread>

#include "storage/history_reader.h"
#include "storage/history_rollup.h"

namespace penstock::storage {
namespace {

constexpr size_t kBucketsMax = 100'000;
constexpr size_t kRowsPerStep = 16;  // A step of a rollup costs as much as so many rows.
constexpr size_t kThreadsMax = 4, kPointsPerThread = 500;

// The parts of `spans` in [from, to], widened to whole minutes so that steps
// stay whole.
std::vector<TimeSpan> Clip(std::span<const TimeSpan> spans, Time from, Time to) {
  std::vector<TimeSpan> clipped;
  const Time begin = FloorTo(std::max(from, Time{}), kMinuteStep);
  const Time end = FloorTo(std::min(to, Time::max() - kHourStep), kMinuteStep) + kMinuteStep;
  for (const TimeSpan& span : spans) {
    const TimeSpan part{std::max(span.from, from < Time{} ? from : begin),
                        std::min(span.to, std::max(end, to))};
    if (part.from < part.to) clipped.push_back(part);
  }
  return clipped;
}

// How the buckets of a query are made of steps.
struct Plan {
  std::vector<TimeSpan> spans;         // All, apart by bucket.
  std::vector<TimeSpan> hours, ends;   // Whole hours of them, and the rest.
  std::vector<TimeSpan> from_hours;    // To be read from rollups by hours.
  std::vector<TimeSpan> before;        // Of those, what is before all that is finer.
  std::vector<TimeSpan> from_minutes;  // From rollups by minutes of days without rows.
};

Plan PlanOf(const TrendFold& fold, const Catalog& catalog, std::span<const std::string> products) {
  Plan plan{.spans = fold.Spans()};
  SplitSpans(plan.spans, kHourStep, plan.hours, plan.ends);
  Time begin = Time::max();  // Before it nothing finer than hours is left.
  const auto take = [&](const std::string& product, const std::string& day) {
    if (std::find(products.begin(), products.end(), product) != products.end())
      begin = std::min(begin, DayBegin(day).value_or(Time::min()));
  };
  for (const auto& file : catalog.files) take(file->info.product, file->info.day);
  for (const auto& rollup : catalog.rollups)
    if (!rollup->info.hours) take(rollup->info.product, rollup->info.period);
  plan.from_hours = plan.hours;
  for (const TimeSpan& span : plan.spans)
    if (span.from < begin) plan.before.push_back({span.from, std::min(span.to, begin)});
  for (const TimeSpan& end : plan.ends)
    if (end.from < begin) plan.from_hours.push_back({end.from, std::min(end.to, begin)});
  std::sort(plan.from_hours.begin(), plan.from_hours.end(),
            [](const TimeSpan& a, const TimeSpan& b) { return a.from < b.from; });
  plan.from_minutes = plan.ends;
  return plan;
}

}  // namespace

Status HistoryReader::Fold(const View& view, const Target& target, TrendFold& fold, Time from,
                           Time to) {
  const Catalog& catalog = *view.catalog;
  const auto add = [&](const Rows& rows) {
    fold.Add(rows.time, rows.value, rows.quality);
    return true;
  };
  ScanTails(view, target, from, to, add);
  if (target.products.empty()) return {};
  Plan plan = PlanOf(fold, catalog, target.products);
  const auto add_steps = [&](const Result<ParquetFilePointer>& file,
                             std::span<const TimeSpan> spans) {
    if (!file) return Result<bool>(std::unexpected(file.error()));
    const GroupAccess access{
        [&](size_t group) { return StretchOf(*file, group, target.path); },
        [&](size_t group, size_t column) { return ColumnOf(*file, group, column); }};
    return ReadSteps(**file, target.path, access, spans,
                     [&](const RollupStep& step) { fold.AddStep(step); });
  };
  for (const StoredRollupPointer& rollup : catalog.rollups) {
    const HistoryRollup& info = rollup->info;
    if (target.text || std::find(target.products.begin(), target.products.end(), info.product) ==
                           target.products.end())
      continue;
    std::vector<TimeSpan> spans =
        Clip(info.hours ? plan.from_hours : plan.from_minutes, info.first_time, info.last_time);
    if (!spans.empty()) TRY(add_steps(OpenSteps(*rollup), spans));
  }
  for (const StoredFilePointer& file : catalog.FilesOf(target.products, from, to)) {
    const HistoryFile& info = file->info;
    std::vector<TimeSpan> left = Clip(info.by_hour && !target.text ? plan.ends : plan.spans,
                                      info.first_time, info.last_time);
    for (const auto& [has, grain, path] :
         {std::tuple(info.by_minute, kMinuteStep, info.MinutesPath()),
          std::tuple(info.by_second, kSecondStep, info.SecondsPath())}) {
      if (!has || left.empty() || target.text) continue;
      std::vector<TimeSpan> whole, ends;
      SplitSpans(left, grain, whole, ends);
      if (whole.empty()) continue;
      ASSIGN_OR_RETURN(const bool found, add_steps(OpenSteps(*file, path), whole));
      if (found) left = std::move(ends);
    }
    if (!left.empty()) TRY(ScanFile(*file, target.path, left, add));
  }
  return {};
}

Result<std::vector<TrendBucket>> HistoryReader::Trend(const std::string& path, Time from, Time to,
                                                      size_t buckets) {
  TRY(CheckHistoryRange(from, to));
  if (buckets == 0 || buckets > kBucketsMax)
    return InvalidArgument("a trend has 1 to {} buckets, not {}", kBucketsMax, buckets);
  TrendFold fold(from, to, buckets);
  TRY(Fold(Look(), TargetOf(path), fold, from, to));
  return fold.Finish();
}

Result<std::vector<TrendSeries>> HistoryReader::Aggregate(std::span<const std::string> paths,
                                                          Time from, Time to, Duration every) {
  TRY(CheckHistoryRange(from, to));
  if (every < Duration(0)) return InvalidArgument("buckets of a negative length");
  const Duration step = every == Duration(0) ? to - from : every;
  const Time origin =
      every == Duration(0)
          ? from
          : from - Duration(((ToMicros(from) % step.count()) + step.count()) % step.count());
  if ((to - origin) / step > static_cast<int64_t>(kBucketsMax))
    return InvalidArgument("more than {} buckets", kBucketsMax);
  const View view = Look();
  std::vector<TrendFold> folds(paths.size(), TrendFold(from, to, origin, step));
  const Targets targets = paths.size() > kOneByOne ? TargetsOf(paths) : Targets();
  if (paths.size() <= kOneByOne || targets.texts) {
    for (size_t i = 0; i < paths.size(); ++i)
      TRY(Fold(view, TargetOf(paths[i]), folds[i], from, to));
  } else {
    TRY(FoldMany(view, targets, from, to, folds));
  }
  std::vector<TrendSeries> series;
  series.reserve(paths.size());
  for (size_t i = 0; i < paths.size(); ++i) series.push_back({paths[i], folds[i].Finish()});
  return series;
}

// A pass over each file serves all points.
Status HistoryReader::FoldMany(const View& view, const Targets& targets, Time from, Time to,
                               std::vector<TrendFold>& folds) {
  const auto fold_rows = [&](size_t place, const Rows& rows) {
    folds[place].Add(rows.time, rows.value, rows.quality);
  };
  ScanTails(view, targets, fold_rows);
  const auto& [sorted, by_id, products, texts] = targets;
  if (products.empty()) return {};
  Plan plan = PlanOf(folds.front(), *view.catalog, products);
  const auto files = view.catalog->FilesOf(products, from, to);
  // A month's steps of all points are more than an hour's rows: then rows are
  // read.
  uint64_t rows = 0, steps = 0;
  for (const auto& file : files) rows += file->info.rows;
  for (const auto& rollup : view.catalog->rollups)
    if (rollup->info.first_time < to && rollup->info.last_time >= from) steps += rollup->info.rows;
  const bool by_hours = steps * kRowsPerStep < rows;
  if (!by_hours) plan.from_hours = plan.before;
  // Some thousand points are shared among the cores: each takes a stretch of the sorted paths, so
  // that no two fold the same point or read the same rows.
  const auto fold_step = [&](size_t place, const RollupStep& step) { folds[place].AddStep(step); };
  const auto scan = [&](std::span<const SortedPath> paths) -> Status {
    for (const StoredRollupPointer& rollup : view.catalog->rollups) {
      const HistoryRollup& info = rollup->info;
      if (std::find(products.begin(), products.end(), info.product) == products.end()) continue;
      const std::vector<TimeSpan> spans =
          Clip(info.hours ? plan.from_hours : plan.from_minutes, info.first_time, info.last_time);
      if (spans.empty()) continue;
      ASSIGN_OR_RETURN(const auto file, OpenSteps(*rollup));
      TRY(ReadSteps(*file, paths, spans, fold_step, nullptr));
    }
    for (const StoredFilePointer& file : files) {
      const HistoryFile& info = file->info;
      const std::vector<TimeSpan> left =
          Clip(info.by_hour && by_hours ? plan.ends : plan.spans, info.first_time, info.last_time);
      if (left.empty()) continue;
      std::vector<bool> found(sorted.size());
      std::vector<TimeSpan> whole, ends;
      SplitSpans(left, kMinuteStep, whole, ends);
      if (info.by_minute && !whole.empty()) {
        ASSIGN_OR_RETURN(const auto minutes, OpenSteps(*file, info.MinutesPath()));
        TRY(ReadSteps(*minutes, paths, whole, fold_step, &found));
      }
      std::vector<SortedPath> by_rows, by_steps;
      for (const SortedPath& path : paths) (found[path.place] ? by_steps : by_rows).push_back(path);
      TRY(ScanMany(*file, by_rows, left, fold_rows, fold_step));
      TRY(ScanMany(*file, by_steps, ends, fold_rows, fold_step));
    }
    return {};
  };
  const size_t cores = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kThreadsMax);
  const size_t share = std::max(kPointsPerThread, (sorted.size() + cores - 1) / cores);
  std::vector<Status> done((sorted.size() + share - 1) / share);
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < done.size(); ++i)
      threads.emplace_back([&, i] {
        done[i] =
            scan(std::span(sorted).subspan(i * share, std::min(share, sorted.size() - i * share)));
      });
    done[0] = scan(std::span(sorted).first(std::min(share, sorted.size())));
  }
  for (const Status& status : done)
    if (!status) return status;
  return {};
}

}  // namespace penstock::storage
