// The directory of a site's things: reads things/*.td.json and *.tm.json, checks them against each
// other, gives every point its id, and reloads when files change.
//
// Thread rule: Snapshot() from any thread; it never changes once given. Reload() from one thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "things/finding.h"
#include "things/thing.h"

namespace penstock::things {

struct Snapshot {
  std::vector<Thing> things;       // By name.
  std::vector<ThingModel> models;  // By name.
  std::vector<const Property*>
      by_id;  // PointId.value -> property; nullptr for a point no longer there.
  std::unordered_map<std::string, PointId> by_path;  // "pump-7/discharge_pressure"
  uint64_t revision = 0;

  const Point* FindPoint(PointId id) const;
  const Point* FindPoint(const std::string& path) const;
  const Thing* FindThing(const std::string& name) const;
  const ThingModel* FindModel(const std::string& name) const;
};

// Keeps path -> id over restarts. In memory in tests; storage::Records gives the durable one.
class PointIds {
 public:
  virtual ~PointIds() = default;
  virtual Result<PointId> IdOf(
      const std::string& path) = 0;  // Same path, same id, forever; dense from 0.
  // Many at once: all or none, in one transaction where there is one.
  virtual Result<std::vector<PointId>> IdsOf(const std::vector<std::string>& paths);
};
std::unique_ptr<PointIds> PointIdsInMemory();

class Directory {
 public:
  // `folder` holds things/. `ids` must outlive the directory.
  Directory(std::string folder, PointIds& ids);
  ~Directory();

  // Reads every file. A bad file keeps its old version (first load: is left out); all findings are
  // returned, also those of files that have not changed since the last time.
  std::vector<Finding> Reload();
  // Cheap: true when a file came, went or changed (name, size, mtime) since the last Reload.
  bool Changed() const;
  std::shared_ptr<const Snapshot> snapshot() const;
  // Called after each Reload that changed anything, on the thread of Reload.
  void OnChange(std::function<void(std::shared_ptr<const Snapshot>)> listener);

 private:
  class Files;  // What was read, and of it what was accepted.

  PointIds& ids_;
  std::unique_ptr<Files> files_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<std::function<void(std::shared_ptr<const Snapshot>)>> listeners_;
};

}  // namespace penstock::things
