#include "base/metrics.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>

namespace penstock {
namespace {

constexpr size_t kMaxSeries = 10000;

struct Family {
  std::string help;
  std::string_view type;
  std::map<std::string, std::unique_ptr<Metric>, std::less<>> series;
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;
  size_t series_count = 0;
};

Registry& TheRegistry() {
  static auto* registry = new Registry;  // Never destroyed: threads may count until the very end.
  return *registry;
}

Metric& Find(std::string_view name, std::string_view help, std::string_view labels,
             std::string_view type) {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  Family& family =
      registry.families.try_emplace(std::string(name), Family{std::string(help), type, {}})
          .first->second;
  if (const auto found = family.series.find(labels); found != family.series.end())
    return *found->second;
  const std::string key =
      registry.series_count < kMaxSeries ? std::string(labels) : "overflow=\"true\"";
  auto& metric = family.series[key];
  if (metric == nullptr) {
    metric = std::make_unique<Metric>();
    ++registry.series_count;
  }
  return *metric;
}

}  // namespace

Metric& Counter(std::string_view name, std::string_view help, std::string_view labels) {
  return Find(name, help, labels, "counter");
}
Metric& Gauge(std::string_view name, std::string_view help, std::string_view labels) {
  return Find(name, help, labels, "gauge");
}

std::string PrometheusText() {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  std::string text;
  for (const auto& [name, family] : registry.families) {
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, family.help, name, family.type);
    for (const auto& [labels, metric] : family.series)
      text += labels.empty() ? fmt::format("{} {}\n", name, metric->value())
                             : fmt::format("{}{{{}}} {}\n", name, labels, metric->value());
  }
  return text;
}

}  // namespace penstock
