// A model file of a site (YAML): whatever it says, reading it gives a binding or an error with its
// place; and a detector's state (JSON) restores or is refused.
#include <cstdint>

#include "base/bytes.h"
#include "base/json.h"
#include "inference/binding.h"
#include "learning/detector.h"

using namespace penstock;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto document = ParseYaml(AsText({data, size}));
  if (!document) return 0;
  (void)inference::BindingFromJson(*document);
  const auto detector =
      learning::FindDetectorKind("mewma").value()->create({.features = 2}).value();
  if (document->is_object() && detector->Restore(*document))
    (void)detector->Observe(std::vector<double>{1, 2}, true, false);
  return 0;
}
