// Training from a plant's labelled history: the simulated plant is the source of the example's
// history, the rest is what a site would do with its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/site.h"

namespace penstock::commands {

struct PlantHistory {
  uint64_t first_seed = 1001;
  int runs = 60;
  double hours = 10;  // Plant hours of each run.
};

// Trains every model of the site's models/*.yaml (or only `model`) and writes it as a new version
// below `models_folder`. `progress` gets one line per step. Returns one report per model.
Result<Json> TrainFromPlant(const Settings& settings, const std::string& models_folder,
                            const std::string& model, const PlantHistory& history,
                            const std::function<void(const std::string&)>& progress);

// The same from the site's own history (DATA/history) and the labels that verdicts made. The node
// may run: files are only read.
Result<Json> TrainFromSite(const Settings& settings, const std::string& models_folder,
                           const std::string& model,
                           const std::function<void(const std::string&)>& progress);

// TrainFromPlant, in a process of its own, if the folder has no version yet of some model of the
// site.
Status EnsureDemoModels(const Settings& settings, const std::string& models_folder);

}  // namespace penstock::commands
