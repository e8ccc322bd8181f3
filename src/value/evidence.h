// What the gates ask the rest of the program; wired up by the node from storage, things, learning
// and inference.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::value {

struct PointCoverage {
  bool known = false;    // A Thing Description has this point.
  std::string contract;  // "pump@1.2.0", "" = none.
  uint64_t samples = 0, bad = 0;
  uint64_t minutes_present = 0;     // Minutes with at least one good sample.
  std::optional<Time> first, last;  // Absent without samples.
  // Distance of two reports when all is well, as the samples themselves show it or the form says; 0
  // = not known. Completeness counts steps of this, but of at least a minute.
  Duration report_interval{0};
};

struct ModelFacts {
  std::string name;
  uint32_t version = 0;
  uint64_t rows = 0;  // It was trained on.
  Time trained_at{};
  std::map<std::string, double>
      metrics;  // "macro_f1", "recall", "precision" ... as the training reported.
};

class Evidence {
 public:
  virtual ~Evidence() = default;
  // Samples of one point ("pump-7/vibration_de") in [from, to).
  virtual Result<PointCoverage> Coverage(const std::string& point, Time from, Time to) const = 0;
  // Labels that a human gave on these things.
  virtual Result<uint64_t> Labels(const std::vector<std::string>& things) const = 0;
  // The version in use; nullopt when there is none.
  virtual Result<std::optional<ModelFacts>> Model(const std::string& name) const = 0;
};

}  // namespace penstock::value
