// Trains the models that stories name, each once for all stories of a run.
#pragma once

#include <string>

#include "base/json.h"

namespace penstock::stories {

// The ONNX file of tests/stories/models/NAME.yaml, trained on NAME.history.yaml for the thing
// `thing` of the site.
Result<std::string> TrainedModel(const std::string& name, const std::string& site,
                                 const std::string& thing);

// The file of a binding, with THING replaced.
Result<std::string> BindingText(const std::string& name, const std::string& thing);

// Trains every model of the site on runs of the simulated plant, once for all stories, and copies
// them to `models`.
Status CopyPlantModels(const std::string& site, const std::string& models);

}  // namespace penstock::stories
