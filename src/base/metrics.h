// Our own health: counters and gauges by name and labels, printed in the Prometheus text format
// 0.0.4.
//
// Thread-safe. Take a reference once (static or member); adding is one relaxed atomic operation.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

class Metric {
 public:
  void Add(uint64_t by = 1) {
    value_.fetch_add(static_cast<int64_t>(by), std::memory_order_relaxed);
  }
  void Set(int64_t to) { value_.store(to, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// `labels` as printed: `protocol="modbus",reason="crc"`. The same name and labels give the same
// metric. At most 10,000 series; beyond, one overflow series takes the rest.
Metric& Counter(std::string_view name, std::string_view help, std::string_view labels = "");
Metric& Gauge(std::string_view name, std::string_view help, std::string_view labels = "");
std::string PrometheusText();

}  // namespace penstock
