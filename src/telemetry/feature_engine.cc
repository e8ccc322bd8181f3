// How a row becomes due. Every bound point of a thing remembers its newest source time. The
// smallest of them says how far the thing is complete; the largest, less the lateness, how far we
// are willing to wait for the slowest point; the clock, less the lateness, does the same for a
// thing that has fallen silent. A row at grid time t is made as soon as one of the three has
// reached t. Offline there is no clock, and the first two depend on the data alone, so a replay
// makes the rows that the live node made, as long as nothing came later than the lateness.
//
// Between two samples that lie years apart nothing is computed: an empty window moves the grid on
// to the next sample.
#include "telemetry/feature_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/metrics.h"
#include "telemetry/batch_rows.h"
#include "telemetry/window.h"

namespace penstock::telemetry {
namespace {

constexpr Time kNever{
    Duration(INT64_MIN / 2)};  // Some way from the end, so that a lateness can be taken off.

// The first multiple of `every` that is greater than `time`.
Time GridAfter(Time time, Duration every) {
  const int64_t micros = ToMicros(time), step = every.count();
  int64_t k = micros / step;
  if (micros < 0 && micros % step != 0) --k;
  return FromMicros((k + 1) * step);
}

std::unexpected<Error> BadFeature(size_t index, const std::string& what, const std::string& fix) {
  return std::unexpected(
      Error{Code::kInvalidArgument, what, "", fmt::format("/features/{}", index), fix});
}

}  // namespace

bool ModelMatches(std::string_view pattern, std::string_view model) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == model;
  return model.size() + 1 >= pattern.size() && model.starts_with(pattern.substr(0, star)) &&
         model.ends_with(pattern.substr(star + 1));
}

std::vector<std::string> ThingsOfModel(const things::Snapshot& snapshot, std::string_view pattern) {
  std::vector<std::string> names;
  for (const auto& thing : snapshot.things) {
    if (!thing.model.empty() && ModelMatches(pattern, thing.model)) names.push_back(thing.name);
  }
  return names;
}

struct FeatureEngine::Point {
  Point(PointId point_id, std::string name, PointWindow empty)
      : id(point_id), property(std::move(name)), window(std::move(empty)) {}

  PointId id;
  std::string property;
  PointWindow window;
  std::vector<const FeatureSpec*> specs;
  std::vector<size_t> places;  // Of the specs, in the row.
  Duration every{0};
  Time newest = kNever;
  Binding* binding = nullptr;
};

struct FeatureEngine::Binding {
  std::string thing, asset;
  std::vector<std::unique_ptr<Point>> points;
  std::optional<Time> next;  // The next grid time to be made; absent while the windows are empty.
  Time done = kNever;        // The last one made.
};

struct FeatureEngine::Schema {
  std::string name;
  FeatureSchema schema;
  std::vector<std::unique_ptr<Binding>> bindings;
};

struct FeatureEngine::Scratch {
  Spectrum spectrum;
  std::vector<double> values;
};

FeatureEngine::FeatureEngine() : scratch_(std::make_unique<Scratch>()) {}
FeatureEngine::FeatureEngine(const Clock& clock) : FeatureEngine() { clock_ = &clock; }
FeatureEngine::~FeatureEngine() = default;

void FeatureEngine::SetLateness(Duration lateness) {
  const std::lock_guard lock(mutex_);
  lateness_ = lateness;
}

void FeatureEngine::OnRow(RowListener listener) { listeners_.push_back(std::move(listener)); }

Status FeatureEngine::AddSchema(const std::string& name, const FeatureSchema& schema,
                                const things::Snapshot& snapshot,
                                const std::vector<std::string>& things) {
  auto built = std::make_unique<Schema>();
  built->name = name;
  built->schema = schema;
  for (const auto& thing_name : things) {
    const things::Thing* thing = snapshot.FindThing(thing_name);
    if (thing == nullptr) return NotFound("thing unknown: {} (features of {})", thing_name, name);
    ASSIGN_OR_RETURN(auto binding, Bind(built->schema, *thing));
    built->bindings.push_back(std::move(binding));
  }
  const std::lock_guard lock(mutex_);
  auto& place = schemas_[name];
  if (place && place->schema == schema) KeepWindows(*place, *built);
  place = std::move(built);
  Index();
  return {};
}

Result<std::unique_ptr<FeatureEngine::Binding>> FeatureEngine::Bind(const FeatureSchema& schema,
                                                                    const things::Thing& thing) {
  auto binding = std::make_unique<Binding>();
  binding->thing = thing.name;
  binding->asset = thing.asset;
  struct Wanted {
    const things::Point* point;
    std::vector<size_t> places;
    std::vector<std::pair<double, double>> bands;
  };
  std::vector<Wanted> wanted;
  for (size_t i = 0; i < schema.features.size(); ++i) {
    const FeatureSpec& spec = schema.features[i];
    ASSIGN_OR_RETURN(const things::Point* point, PointFor(thing, spec, i));
    auto place = std::ranges::find(wanted, point, &Wanted::point);
    if (place == wanted.end()) place = wanted.insert(wanted.end(), Wanted{point, {}, {}});
    place->places.push_back(i);
    if (spec.statistic == "band") place->bands.emplace_back(spec.band_low_hz, spec.band_high_hz);
  }
  for (auto& want : wanted) {
    const double rate =
        want.point->type == things::ValueType::kWaveform ? want.point->sample_rate_hz : 0;
    binding->points.push_back(std::make_unique<Point>(want.point->id, want.point->property,
                                                      PointWindow(rate, std::move(want.bands))));
    Point& added = *binding->points.back();
    added.binding = binding.get();
    added.every = schema.every;
    added.places = std::move(want.places);
    for (const size_t place : added.places) added.specs.push_back(&schema.features[place]);
  }
  return binding;
}

Result<const things::Point*> FeatureEngine::PointFor(const things::Thing& thing,
                                                     const FeatureSpec& spec, size_t index) {
  std::vector<std::string> names;
  for (const auto& property : thing.properties) {
    const things::Point& point = property.point;
    names.push_back(point.property);
    if (point.property != spec.property) continue;
    if (point.type == things::ValueType::kString) {
      return BadFeature(index, fmt::format("{} is text", point.path()), "use a numeric point");
    }
    if (point.type == things::ValueType::kWaveform && !(point.sample_rate_hz > 0)) {
      return BadFeature(index, fmt::format("{} is a waveform without a sample rate", point.path()),
                        "give the sample rate in its Thing Description");
    }
    if (spec.statistic != "band") return &point;
    if (point.type != things::ValueType::kWaveform) {
      return BadFeature(index, fmt::format("band of {}, which is no waveform", point.path()),
                        "use mean, deviation or slope");
    }
    if (spec.band_high_hz > point.sample_rate_hz / 2) {
      return BadFeature(index,
                        fmt::format("{} ends above half the sample rate of {} Hz", spec.name(),
                                    point.sample_rate_hz),
                        fmt::format("end the band at {} Hz", point.sample_rate_hz / 2));
    }
    return &point;
  }
  const std::string nearest = Nearest(spec.property, names);
  return BadFeature(index, fmt::format("{} has no point {}", thing.name, spec.property),
                    nearest.empty() ? fmt::format("one of {}", fmt::join(names, ", "))
                                    : fmt::format("did you mean \"{}\"?", nearest));
}

// Specs point into the schema that owns them; windows are moved over where the point is the same.
void FeatureEngine::KeepWindows(Schema& old, Schema& fresh) {
  for (auto& binding : fresh.bindings) {
    const auto before =
        std::ranges::find(old.bindings, binding->thing, [](const auto& b) { return b->thing; });
    if (before == old.bindings.end()) continue;
    binding->next = (*before)->next;
    binding->done = (*before)->done;
    for (auto& point : binding->points) {
      for (auto& known : (*before)->points) {
        if (known->id != point->id || known->property != point->property) continue;
        if (!known->window.SameShape(point->window)) continue;
        point->window = std::move(known->window);
        point->newest = known->newest;
      }
    }
  }
}

void FeatureEngine::RemoveSchema(const std::string& name) {
  const std::lock_guard lock(mutex_);
  schemas_.erase(name);
  Index();
}

void FeatureEngine::Index() {
  by_point_.clear();
  for (auto& [name, schema] : schemas_) {
    for (auto& binding : schema->bindings) {
      for (auto& point : binding->points) {
        if (by_point_.size() <= point->id.value) by_point_.resize(point->id.value + 1);
        by_point_[point->id.value].push_back(point.get());
      }
    }
  }
}

void FeatureEngine::Observe(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  static Metric& late =
      Counter("penstock_feature_samples_late_total", "Samples that came after their row was made.");
  for (size_t begin = 0; begin < batch.size();) {
    const size_t end = BurstEnd(batch, begin, 0);
    const PointId id = batch.point[begin];
    if (id.value < by_point_.size()) {
      for (Point* point : by_point_[id.value]) {
        point->window.Add(batch, begin, end, scratch_->spectrum);
        const auto [first, last] =
            std::minmax_element(batch.source_time.begin() + static_cast<ptrdiff_t>(begin),
                                batch.source_time.begin() + static_cast<ptrdiff_t>(end));
        point->newest = std::max(point->newest, *last);
        Binding& binding = *point->binding;
        if (*first < binding.done) late.Add(end - begin);
        if (!binding.next) binding.next = GridAfter(std::max(*first, binding.done), point->every);
      }
    }
    begin = end;
  }
  EmitDue(false);
}

void FeatureEngine::Advance() {
  const std::lock_guard lock(mutex_);
  EmitDue(false);
}

void FeatureEngine::Finish() {
  const std::lock_guard lock(mutex_);
  EmitDue(true);
}

void FeatureEngine::EmitDue(bool everything) {
  const Time now = clock_ != nullptr ? clock_->Now() : Time::max();
  for (auto& [name, schema] : schemas_) {
    const Duration lateness = lateness_.value_or(schema->schema.every);
    for (auto& binding : schema->bindings) {
      if (!binding->next) continue;
      Time complete = Time::max(), newest = kNever;
      for (const auto& point : binding->points) {
        complete = std::min(complete, point->newest);
        newest = std::max(newest, point->newest);
      }
      newest = std::min(newest, now);  // A device ahead of time hurries nobody.
      Time until = std::max(std::min(complete, now), newest - lateness);
      if (clock_ != nullptr) until = std::max(until, now - lateness);
      if (everything) until = std::max(until, newest);
      if (*binding->next <= until) Emit(*schema, *binding, until);
    }
  }
}

void FeatureEngine::Emit(Schema& schema, Binding& binding, Time until) {
  const Duration window = schema.schema.window, every = schema.schema.every;
  for (auto& point : binding.points) point->window.CloseBurst(scratch_->spectrum);
  while (binding.next && *binding.next <= until) {
    const Time at = *binding.next, from = at - window;
    for (auto& point : binding.points) point->window.Forget(from);
    const bool any =
        std::ranges::any_of(binding.points, [&](auto& p) { return p->window.Has(from, at); });
    if (any) {
      EmitRow(schema, binding, at);
      binding.done = at;
      binding.next = at + every;
      continue;
    }
    std::optional<Time> next;
    for (auto& point : binding.points) {
      const auto first = point->window.FirstAtOrAfter(at);
      if (first && (!next || *first < *next)) next = first;
    }
    // Nothing at all: the first sample that comes sets the grid anew.
    binding.next.reset();
    if (next) binding.next = GridAfter(*next, every);
  }
}

void FeatureEngine::EmitRow(Schema& schema, Binding& binding, Time at) {
  const size_t width = schema.schema.features.size();
  FeatureRow row;
  row.trace = TraceId::Random();
  row.thing = binding.thing;
  row.asset = binding.asset;
  row.at = at;
  row.window = schema.schema.window;
  row.values.assign(width, std::numeric_limits<double>::quiet_NaN());
  row.good_samples.assign(width, 0);
  row.all_samples.assign(width, 0);
  for (const auto& point : binding.points) {
    scratch_->values.resize(point->specs.size());
    const WindowCounts counts = point->window.Compute(at - row.window, at, point->specs,
                                                      schema.schema.min_samples, scratch_->values);
    for (size_t i = 0; i < point->places.size(); ++i) {
      row.values[point->places[i]] = scratch_->values[i];
      row.good_samples[point->places[i]] = counts.good;
      row.all_samples[point->places[i]] = counts.all;
    }
    row.evidence.push_back(
        {point->id, point->property, counts.good, counts.all, counts.first, counts.last});
  }
  static Metric& rows = Counter("penstock_feature_rows_total", "Feature rows made.");
  rows.Add();
  for (size_t i = 0; i + 1 < listeners_.size(); ++i) listeners_[i](schema.name, FeatureRow(row));
  if (!listeners_.empty()) listeners_.back()(schema.name, std::move(row));
}

}  // namespace penstock::telemetry
