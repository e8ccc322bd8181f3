#include "value/production.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"

namespace penstock::value {
namespace {

constexpr std::chrono::seconds kProductionFlushEvery{5};  // Real time.
// A counter may fall a little when two messages overtake each other; only a fall below this share
// is a reset.
constexpr double kResetBelow = 0.5;

}  // namespace

void Produced::Add(const Produced& other) {
  good += other.good;
  reject += other.reject;
  ideal_s += other.ideal_s;
  energy += other.energy;
  samples += other.samples;
  energy_samples += other.energy_samples;
}

Result<std::unique_ptr<Production>> Production::Open(storage::Records& records) {
  TRY(records.Migrate("value_production", {{1, R"sql(
    CREATE TABLE value_production (
      file TEXT NOT NULL, bucket INTEGER NOT NULL, good REAL NOT NULL, reject REAL NOT NULL,
      ideal_s REAL NOT NULL, energy REAL NOT NULL,
      samples INTEGER NOT NULL, energy_samples INTEGER NOT NULL,
      PRIMARY KEY (file, bucket)) WITHOUT ROWID;
    CREATE TABLE value_counters (
      file TEXT NOT NULL, counter TEXT NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL,
      product INTEGER NOT NULL,
      PRIMARY KEY (file, counter)) WITHOUT ROWID;
  )sql"}}));
  std::unique_ptr<Production> production(new Production(records));
  TRY(production->Load());
  return production;
}

Production::~Production() {
  if (auto flushed = Flush(); !flushed) LogError("production: {}", flushed.error().ToString());
}

Status Production::Load() {
  ASSIGN_OR_RETURN(const auto buckets,
                   records_.Query("SELECT file, bucket, good, reject, ideal_s, energy, samples, "
                                  "energy_samples FROM value_production"));
  for (const auto& row : buckets) {
    lines_[row.Text(0)].buckets[row.Integer(1)] = {
        .good = row.Real(2),
        .reject = row.Real(3),
        .ideal_s = row.Real(4),
        .energy = row.Real(5),
        .samples = static_cast<uint64_t>(row.Integer(6)),
        .energy_samples = static_cast<uint64_t>(row.Integer(7))};
  }
  ASSIGN_OR_RETURN(const auto counters,
                   records_.Query("SELECT file, counter, at, value, product FROM value_counters"));
  for (const auto& row : counters) {
    Line& line = lines_[row.Text(0)];
    const std::string name = row.Text(1);
    Counter& counter = name == "good" ? line.good : name == "reject" ? line.reject : line.energy;
    counter = {true, FromMicros(row.Integer(2)), row.Real(3)};
    line.product = row.Integer(4);
  }
  return {};
}

void Production::Configure(const std::vector<KpiFile>& files, const things::Snapshot& snapshot) {
  const std::lock_guard lock(mutex_);
  uses_.clear();
  for (const auto& file : files) {
    Line& line = lines_[file.name];
    line.ideal_per_s = file.ideal_per_s;
    line.by_product = !file.product.empty();
    const auto use = [&](const std::string& path, Meaning meaning) {
      const auto* point = path.empty() ? nullptr : snapshot.FindPoint(path);
      if (point != nullptr) uses_[point->id].push_back({file.name, meaning});
    };
    use(file.good, Meaning::kGood);
    use(file.reject, Meaning::kReject);
    use(file.energy, Meaning::kEnergy);
    use(file.product, Meaning::kProduct);
  }
}

void Production::Observe(const telemetry::Batch& batch) {
  {
    const std::lock_guard lock(mutex_);
    PointId last_id;
    const std::vector<Use>* uses = nullptr;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (batch.point[i] != last_id) {
        last_id = batch.point[i];
        const auto found = uses_.find(last_id);
        uses = found == uses_.end() ? nullptr : &found->second;
      }
      if (uses == nullptr || telemetry::IsBad(batch.quality[i])) continue;
      if (batch.quality[i] == telemetry::kUncertainLastUsableValue) continue;
      for (const auto& use : *uses)
        Take(lines_[use.file], use.meaning, batch.source_time[i], batch.value[i]);
    }
  }
  const auto now = std::chrono::steady_clock::now();
  if (now < next_flush_) return;
  next_flush_ = now + kProductionFlushEvery;
  if (auto flushed = Flush(); !flushed)
    LogSometimes(LogLevel::kError, "production", flushed.error().ToString());
}

void Production::Take(Line& line, Meaning meaning, Time time, double value) {
  if (meaning == Meaning::kProduct) {
    if (std::abs(value) < 1e15) line.product = std::llround(value);
    return;
  }
  Counter& counter = meaning == Meaning::kGood     ? line.good
                     : meaning == Meaning::kReject ? line.reject
                                                   : line.energy;
  if (counter.known && time <= counter.time) return;  // Replayed, or overtaken.
  double made = 0;
  if (counter.known) {
    made = value - counter.value;
    // After a reset the counter began at zero.
    if (made < 0) made = value < kResetBelow * counter.value ? std::max(0.0, value) : 0;
  }
  counter = {true, time, value};
  const int64_t index = ToMicros(time) / kBucket.count();
  Produced& bucket = line.buckets[index];
  line.dirty.insert(index);
  if (meaning == Meaning::kEnergy) {
    bucket.energy += made;
    ++bucket.energy_samples;
    return;
  }
  (meaning == Meaning::kGood ? bucket.good : bucket.reject) += made;
  ++bucket.samples;
  const auto rate = line.ideal_per_s.find(line.by_product ? line.product : 0);
  if (rate != line.ideal_per_s.end()) bucket.ideal_s += made / rate->second;
}

Status Production::Flush() {
  const std::lock_guard lock(mutex_);
  if (std::ranges::all_of(lines_, [](const auto& entry) { return entry.second.dirty.empty(); }))
    return {};
  TRY(records_.Transaction([&]() -> Status {
    for (const auto& [file, line] : lines_) {
      for (const int64_t index : line.dirty) {
        const Produced& p = line.buckets.at(index);
        TRY(records_.Run(
            "INSERT OR REPLACE INTO value_production VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            {file, index, p.good, p.reject, p.ideal_s, p.energy, static_cast<int64_t>(p.samples),
             static_cast<int64_t>(p.energy_samples)}));
      }
      if (line.dirty.empty()) continue;
      const std::pair<const char*, const Counter*> counters[] = {
          {"good", &line.good}, {"reject", &line.reject}, {"energy", &line.energy}};
      for (const auto& [name, counter] : counters) {
        if (!counter->known) continue;
        TRY(records_.Run(
            "INSERT OR REPLACE INTO value_counters VALUES (?, ?, ?, ?, ?)",
            {file, std::string(name), ToMicros(counter->time), counter->value, line.product}));
      }
    }
    return {};
  }));
  for (auto& [file, line] : lines_) line.dirty.clear();
  return {};
}

Produced Production::Sum(const std::string& file_name, Time from, Time to) const {
  const std::lock_guard lock(mutex_);
  Produced sum;
  const auto line = lines_.find(file_name);
  if (line == lines_.end()) return sum;
  const int64_t step = kBucket.count();
  const int64_t first = (ToMicros(from) + step - 1) / step;
  for (auto bucket = line->second.buckets.lower_bound(first); bucket != line->second.buckets.end();
       ++bucket) {
    if (bucket->first * step >= ToMicros(to)) break;
    sum.Add(bucket->second);
  }
  return sum;
}

}  // namespace penstock::value
