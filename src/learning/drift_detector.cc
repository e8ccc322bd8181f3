#include "learning/drift_detector.h"

#include "base/json.h"

namespace penstock::learning {

#define DRIFT_DETECTOR(name) extern const DriftDetectorKind kDriftDetector_##name;
#include "learning/drift/kinds.def"
#undef DRIFT_DETECTOR

std::span<const DriftDetectorKind> DriftDetectorKinds() {
  static const DriftDetectorKind kKinds[] = {
#define DRIFT_DETECTOR(name) kDriftDetector_##name,
#include "learning/drift/kinds.def"
#undef DRIFT_DETECTOR
  };
  return kKinds;
}

Result<const DriftDetectorKind*> FindDriftDetectorKind(std::string_view name) {
  std::vector<std::string> names;
  for (const DriftDetectorKind& kind : DriftDetectorKinds()) {
    if (kind.name == name) return &kind;
    names.emplace_back(kind.name);
  }
  auto error = NotFound("drift detector kind unknown: {}", name);
  const std::string nearest = Nearest(name, names);
  error.error().Fix(nearest.empty() ? fmt::format("one of {}", fmt::join(names, ", ")) : nearest);
  return error;
}

}  // namespace penstock::learning
