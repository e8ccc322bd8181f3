// Whether the files beside the things have changed: contracts, models, KPIs, use cases, and which
// versions of the models are champions. (things::Directory watches the things themselves.)
//
// Thread rule: one thread at a time.
#pragma once

#include <string>

namespace penstock {

class SiteWatch {
 public:
  SiteWatch(std::string site_folder, std::string models_folder)
      : site_(std::move(site_folder)), models_(std::move(models_folder)), seen_(Stamp()) {}

  // True once for each change.
  bool Changed();

 private:
  std::string Stamp() const;

  const std::string site_, models_;
  std::string seen_;  // Names, sizes and times.
};

}  // namespace penstock
