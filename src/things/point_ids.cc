#include "things/point_ids.h"

#include <mutex>
#include <unordered_map>

namespace penstock::things {
namespace {

class MemoryPointIds final : public PointIds {
 public:
  Result<PointId> IdOf(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    return PointId{ids_.try_emplace(path, static_cast<uint32_t>(ids_.size())).first->second};
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, uint32_t> ids_;
};

class DurablePointIds final : public PointIds {
 public:
  explicit DurablePointIds(storage::Records& records) : records_(records) {}

  Status Load() {
    TRY(records_.Migrate(
        "things",
        {{1, "CREATE TABLE things_points (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE)"}}));
    ASSIGN_OR_RETURN(const auto rows,
                     records_.Query("SELECT id, path FROM things_points ORDER BY id"));
    for (const storage::SqlRow& row : rows) {
      const auto id = static_cast<uint32_t>(row.Integer(0));
      if (id != ids_.size())
        return DataLoss("point ids are not dense: {} where {} should be", id, ids_.size());
      ids_.emplace(row.Text(1), id);
    }
    return {};
  }

  Result<PointId> IdOf(const std::string& path) override {
    ASSIGN_OR_RETURN(const std::vector<PointId> ids, IdsOf({path}));
    return ids[0];
  }

  Result<std::vector<PointId>> IdsOf(const std::vector<std::string>& paths) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> added;
    for (const std::string& path : paths)
      if (ids_.try_emplace(path, static_cast<uint32_t>(ids_.size())).second) added.push_back(path);
    if (const Status stored = Store(added); !stored) {
      for (const std::string& path : added) ids_.erase(path);
      return std::unexpected(stored.error());
    }
    std::vector<PointId> ids;
    for (const std::string& path : paths) ids.push_back(PointId{ids_.at(path)});
    return ids;
  }

 private:
  // One transaction for all, because each costs an fsync.
  Status Store(const std::vector<std::string>& added) {
    if (added.empty()) return {};
    return records_.Transaction([&]() -> Status {
      for (const std::string& path : added)
        TRY(records_.Run("INSERT INTO things_points (id, path) VALUES (?, ?)",
                         {int64_t{ids_.at(path)}, path}));
      return {};
    });
  }

  storage::Records& records_;
  std::mutex mutex_;
  std::unordered_map<std::string, uint32_t> ids_;
};

}  // namespace

Result<std::vector<PointId>> PointIds::IdsOf(const std::vector<std::string>& paths) {
  std::vector<PointId> ids;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(const PointId id, IdOf(path));
    ids.push_back(id);
  }
  return ids;
}

std::unique_ptr<PointIds> PointIdsInMemory() { return std::make_unique<MemoryPointIds>(); }

Result<std::vector<std::string>> PathsIn(storage::Records& records) {
  ASSIGN_OR_RETURN(const auto rows, records.Query("SELECT path FROM things_points ORDER BY id"));
  std::vector<std::string> paths;
  paths.reserve(rows.size());
  for (const storage::SqlRow& row : rows) paths.push_back(row.Text(0));
  return paths;
}

Result<std::unique_ptr<PointIds>> PointIdsIn(storage::Records& records) {
  auto ids = std::make_unique<DurablePointIds>(records);
  TRY(ids->Load());
  return ids;
}

}  // namespace penstock::things
