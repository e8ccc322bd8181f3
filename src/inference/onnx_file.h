// A model as an ONNX file: what is in it for us, and how our own trees become one. Format:
// docs/formats/model.md.
//
// The bytes come from outside: sizes are bounded, every index is checked, an error says which
// attribute.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "inference/tree_ensemble.h"

namespace penstock::inference {

inline constexpr size_t kModelBytesMax = 512 << 20;

struct OnnxFile {
  std::map<std::string, std::string> metadata;  // metadata_props
  std::vector<std::string> inputs, outputs;     // Names, initializers left out.
  std::vector<std::string> classes;             // Labels of a tree classifier; empty when not told.
  std::optional<TreeForest> trees;  // When the graph is one tree ensemble that our kernel can run.
  std::string not_trees;            // Else why not: ONNX Runtime has to run it.
};

// kInvalidArgument: no ONNX, or a tree ensemble that contradicts itself.
Result<OnnxFile> ReadOnnx(ByteView bytes);

// A TreeEnsembleClassifier (link softmax, one output per class) or, without classes, a
// TreeEnsembleRegressor. Input "features" [rows, n] float32; outputs "label" and "probabilities",
// or "value". Same input, same bytes.
Result<std::string> WriteOnnx(const TreeForest& forest, const std::vector<std::string>& classes,
                              const std::map<std::string, std::string>& metadata);

}  // namespace penstock::inference
