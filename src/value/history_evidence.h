// Evidence from the node's own rooms: samples from history, contracts from the things; labels and
// models by two functions, because their rooms have their own ways of asking.
#pragma once

#include <functional>

#include "storage/history.h"
#include "things/directory.h"
#include "value/evidence.h"

namespace penstock::value {

class HistoryEvidence final : public Evidence {
 public:
  using CountLabels = std::function<Result<uint64_t>(const std::vector<std::string>& things)>;
  using FindModel = std::function<Result<std::optional<ModelFacts>>(const std::string& name)>;

  // `history` and `directory` must outlive it.
  HistoryEvidence(storage::History& history, const things::Directory& directory, CountLabels labels,
                  FindModel model)
      : history_(history),
        directory_(directory),
        labels_(std::move(labels)),
        model_(std::move(model)) {}

  Result<PointCoverage> Coverage(const std::string& point, Time from, Time to) const override;
  Result<uint64_t> Labels(const std::vector<std::string>& things) const override {
    return labels_(things);
  }
  Result<std::optional<ModelFacts>> Model(const std::string& name) const override {
    return model_(name);
  }

 private:
  storage::History& history_;
  const things::Directory& directory_;
  CountLabels labels_;
  FindModel model_;
};

}  // namespace penstock::value
