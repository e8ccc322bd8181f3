// The load of the fabric bench: processor figures of many hosts, as the Time Series Benchmark
// Suite's "cpu-only" case draws them (ten values a host, each a random walk in 0..100 with steps of
// N(0, 1)), here with two decimals and from a seed, so that every product gets the same bytes.
//
// Thread rule: one Walk belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::bench {

inline constexpr int kFieldsMax = 100;

// "usage_user", ... for the ten of the suite; "usage_user_1", ... from the eleventh on.
std::string FieldName(int field);

struct WalkOptions {
  uint64_t seed = 1;
  int first_host = 0, hosts = 4000;  // This walk's own: [first_host, first_host + hosts).
  int64_t start_s = 0;               // Time of step 0, seconds since 1970.
  int64_t spacing_s = 10;
  int fields = 10;  // Values of each host.
};

class Walk {
 public:
  explicit Walk(const WalkOptions& options);

  // Moves all hosts on without writing: to the step where a load goes on.
  void Skip(int64_t steps);
  // Appends the lines of `count` hosts from `host` on (relative to first_host) at the present step,
  // in InfluxDB line protocol with nanoseconds:
  //   cpu,thing=host_0000,region=...,service_environment=test usage_user=58.13,...
  //   1767225600000000000
  void Lines(int host, int count, std::string& out) const;
  void Advance();

  int hosts() const { return options_.hosts; }
  int fields() const { return options_.fields; }

 private:
  WalkOptions options_;
  int64_t step_ = 0;
  std::vector<std::string> keys_;    // "cpu,thing=host_0000,...": without the space.
  std::vector<std::string> fields_;  // " usage_user=", ",usage_system=", ...
  std::vector<uint64_t> random_;     // Per host.
  std::vector<int32_t> centi_;       // Hundredths, host by host.
};

}  // namespace penstock::bench
