// A small classifier of three features for tests: p(worn) is high when vibration is.
#pragma once

#include <string>

#include "inference/model_card.h"
#include "inference/onnx_file.h"

namespace penstock::inference {

inline telemetry::FeatureSchema TestSchema() {
  return telemetry::FeatureSchema::FromJson(
             Json{{"window", "20min"},
                  {"every", "2min"},
                  {"features", {"vibration.rms", "vibration.kurtosis", "current.mean"}}})
      .value();
}

inline ModelCard TestCard() {
  ModelCard card;
  card.schema = TestSchema();
  card.classes = {"normal", "worn"};
  for (const auto& feature : card.schema.features) {
    card.profile.push_back(
        {feature.name(), 1, 2, 3, 2, 0.5, 0, {1.1, 1.3, 1.5, 1.8, 2, 2.2, 2.4, 2.6, 2.8}});
  }
  card.metrics = {{"log_loss", 0.25}};
  card.calibration["worn"] = {{0, 0.5, 200, 4}, {0.5, 1, 50, 46}};
  card.trained_at = ParseTime("2026-01-31T08:00:00Z").value();
  card.rows = 250;
  card.label_counts = {{"normal", 200}, {"worn", 50}};
  return card;
}

inline TreeForest TestForest(float scale = 1) {
  TreeForest forest{3, {0.0, 0.0}, Link::kSoftmax, true, {}};
  const auto tree = [&](uint32_t output, int32_t feature, float threshold, float below,
                        float above) {
    forest.trees.push_back(
        {output,
         {{.feature = feature, .threshold = threshold, .left = 1, .right = 2, .cover = 10},
          {.value = below * scale, .cover = 8},
          {.value = above * scale, .cover = 2}}});
  };
  tree(1, 0, 3, -1.5F, 2);
  tree(1, 1, 4, -0.5F, 1);
  tree(0, 2, 9, 0.2F, -0.3F);
  return forest;
}

inline std::string TestModel(float scale = 1) {
  return WriteOnnx(TestForest(scale), TestCard().classes, TestCard().ToMetadata()).value();
}

}  // namespace penstock::inference
