// What the files of a site say against each other: a thing and its model, two things at one
// address, two things of one name.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "things/finding.h"
#include "things/thing.h"

namespace penstock::things {

// Findings about `thing`, in its file: properties, types and units of its model that it does not
// meet, a model that the folder does not have (a doubt).
std::vector<Finding> CheckAgainstModel(const Thing& thing,
                                       const std::map<std::string, ThingModel>& models);

// The things accepted so far. Check tells what in a further thing contradicts them, or itself; Add
// takes it in.
class SiteCheck {
 public:
  std::vector<Finding> Check(const Thing& thing) const;
  void Add(const Thing& thing);

 private:
  struct Place {       // One property's source.
    std::string path;  // "pump-7/flow"
    std::string file, meaning;
    unsigned first = 0, end = 0;  // Registers; 0..1 elsewhere.
  };
  using Places =
      std::map<std::string, std::vector<Place>>;  // By endpoint and entity, node or topic.

  static void CheckForms(const Thing& thing, const Places& others, Places& own,
                         std::vector<Finding>& findings);

  std::map<std::string, std::string> files_by_id_, files_by_name_;
  std::map<std::string, std::string> paths_by_asset_;  // "asset/property" -> "path (file)"
  Places places_;
};

}  // namespace penstock::things
