// A model file from outside: whatever its bytes, reading it says yes or no, and what it says yes to
// runs.
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "inference/model_card.h"
#include "inference/onnx_file.h"
#include "inference/shap.h"
#include "inference/tree_ensemble.h"

using namespace penstock;             // NOLINT
using namespace penstock::inference;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = ReadOnnx({data, size});
  if (!file) return 0;
  (void)ModelCard::FromMetadata(file->metadata);
  if (!file->trees) return 0;
  const auto ensemble = TreeEnsemble::Make(*file->trees);
  if (!ensemble) return 0;
  std::vector<float> row(ensemble->features());
  for (size_t i = 0; i < row.size(); ++i) row[i] = i % 3 == 0 ? NAN : static_cast<float>(i) - 1.5F;
  std::vector<double> margins(ensemble->outputs()), probabilities(ensemble->classes());
  ensemble->Predict(row, margins);
  ensemble->Probabilities(margins, probabilities);
  const auto shap = Shap::Make(*file->trees);
  if (!shap) return 0;
  std::vector<double> parts(row.size());
  shap->Explain(row, 0, parts);
  return 0;
}
