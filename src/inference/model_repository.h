// The models of a node on disk, laid out as Triton lays out its repository:
//   models/<name>/<version>/model.onnx   models/<name>/config.pbtxt   models/<name>/active
// `active` holds the champion's version; replacing it (atomically) is the switch, and the way back.
//
// Thread rule: any thread; one process writes.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "inference/model.h"

namespace penstock::inference {

struct ModelEntry {
  std::string name;
  std::vector<uint32_t> versions;  // Ascending.
  uint32_t active = 0;             // 0: none.
};

class ModelRepository {
 public:
  explicit ModelRepository(std::string folder) : folder_(std::move(folder)) {}

  Result<std::vector<ModelEntry>> List() const;
  // kNotFound says which versions there are.
  Result<std::shared_ptr<const Model>> Load(const std::string& name, uint32_t version) const;
  Result<std::shared_ptr<const Model>> Champion(const std::string& name) const;
  // The version a reference means: "champion", "challenger" (the newest above the champion), or a
  // number.
  Result<uint32_t> Resolve(const std::string& name, const std::string& alias) const;

  // Checks the bytes by loading them, writes them as the next version and returns it. Does not
  // activate.
  Result<uint32_t> Install(const std::string& name, ByteView onnx);
  Status Activate(const std::string& name, uint32_t version);

 private:
  Result<ModelEntry> Entry(const std::string& name) const;
  std::string Path(const std::string& name, uint32_t version) const;

  std::string folder_;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<std::string, uint32_t>, std::weak_ptr<const Model>> loaded_;
};

// 1 to 64 of a-z 0-9 _ -, beginning with a letter: safe as a folder name.
bool IsModelName(std::string_view name);

}  // namespace penstock::inference
