#include "learning/detector.h"

namespace penstock::learning {

#define DETECTOR(name) extern const DetectorKind kDetector_##name;
#include "learning/detector/kinds.def"
#undef DETECTOR

std::span<const DetectorKind> DetectorKinds() {
  static const DetectorKind kKinds[] = {
#define DETECTOR(name) kDetector_##name,
#include "learning/detector/kinds.def"
#undef DETECTOR
  };
  return kKinds;
}

Result<const DetectorKind*> FindDetectorKind(std::string_view name) {
  std::vector<std::string> names;
  for (const DetectorKind& kind : DetectorKinds()) {
    if (kind.name == name) return &kind;
    names.emplace_back(kind.name);
  }
  auto error = NotFound("detector kind unknown: {}", name);
  const std::string nearest = Nearest(name, names);
  error.error().Fix(nearest.empty() ? fmt::format("one of {}", fmt::join(names, ", ")) : nearest);
  return error;
}

}  // namespace penstock::learning
