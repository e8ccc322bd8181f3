// The directory of a site's things: reads things/*.td.json and *.tm.json, checks them against each other,
// gives every point its id, and reloads when files change.
//
// Thread rule: Snapshot() from any thread; it never changes once given. Reload() from one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "things/thing.h"

namespace penstock::things {

// One mistake or doubt found in a file.
struct Finding {
  bool is_error = true;
  Error error;  // where, pointer, message, fix.
};

struct Snapshot {
  std::vector<Thing> things;  // By name.
  std::vector<const Property*> by_id;  // PointId.value -> property; nullptr for a point no longer there.
  std::unordered_map<std::string, PointId> by_path;  // "pump-7/discharge_pressure"
  uint64_t revision = 0;

  const Point* FindPoint(PointId id) const;
  const Point* FindPoint(const std::string& path) const;
  const Thing* FindThing(const std::string& name) const;
};

// Keeps path -> id over restarts. In memory in tests; storage::Records gives the durable one.
class PointIds {
 public:
  virtual ~PointIds() = default;
  virtual Result<PointId> IdOf(const std::string& path) = 0;  // Same path, same id, forever; dense from 0.
};
std::unique_ptr<PointIds> PointIdsInMemory();

class Directory {
 public:
  // `folder` holds things/. `ids` must outlive the directory.
  Directory(std::string folder, PointIds& ids);

  // Reads every file. A bad file keeps its old version (first load: is left out); all findings are returned.
  std::vector<Finding> Reload();
  // Cheap: true when a file came, went or changed (name, size, mtime) since the last Reload.
  bool Changed() const;
  std::shared_ptr<const Snapshot> snapshot() const;
  // Called after each Reload that changed anything, on the thread of Reload.
  void OnChange(std::function<void(std::shared_ptr<const Snapshot>)> listener);

 private:
  struct FileState;
  std::string folder_;
  PointIds& ids_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::map<std::string, std::shared_ptr<FileState>> files_;
  std::vector<std::function<void(std::shared_ptr<const Snapshot>)>> listeners_;
};

}  // namespace penstock::things
