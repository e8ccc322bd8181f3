// A model is loaded once and shared while anyone holds it; the map keeps weak references, so that a
// replaced version leaves memory with its last prediction. config.pbtxt is written for other
// servers; we read the card.
#include "inference/model_repository.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/file.h"
#include "inference/onnx_file.h"

namespace penstock::inference {
namespace {

namespace fs = std::filesystem;

uint32_t ParseVersion(std::string_view text) {
  uint32_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  return error == std::errc() && end == text.data() + text.size() ? version : 0;
}

std::string TritonConfig(const Model& model, const OnnxFile& file) {
  return fmt::format(
      "name: \"{}\"\nbackend: \"onnxruntime\"\nmax_batch_size: 64\n"
      "input [ {{ name: \"{}\" data_type: TYPE_FP32 dims: [ {} ] }} ]\n"
      "output [ {{ name: \"{}\" data_type: TYPE_FP32 dims: [ {} ] }} ]\n",
      model.name(), file.inputs.empty() ? "" : file.inputs.front(),
      model.card().schema.features.size(), file.outputs.empty() ? "" : file.outputs.back(),
      model.card().classes.size());
}

}  // namespace

bool IsModelName(std::string_view name) {
  if (name.empty() || name.size() > 64 || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

std::string ModelRepository::Path(const std::string& name, uint32_t version) const {
  return fmt::format("{}/{}/{}/model.onnx", folder_, name, version);
}

Result<ModelEntry> ModelRepository::Entry(const std::string& name) const {
  if (!IsModelName(name))
    return InvalidArgument("\"{}\" is no model name: a-z, 0-9, _ and -, at most 64", name);
  ModelEntry entry{name, {}, 0};
  std::error_code error;
  for (const auto& item : fs::directory_iterator(fs::path(folder_) / name, error)) {
    const uint32_t version = ParseVersion(item.path().filename().string());
    if (version > 0 && fs::exists(item.path() / "model.onnx", error))
      entry.versions.push_back(version);
  }
  std::sort(entry.versions.begin(), entry.versions.end());
  if (auto active = ReadFile(fmt::format("{}/{}/active", folder_, name), 64)) {
    while (!active->empty() && active->back() == '\n') active->pop_back();
    entry.active = ParseVersion(*active);
  }
  return entry;
}

Result<std::vector<ModelEntry>> ModelRepository::List() const {
  std::vector<ModelEntry> entries;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder_, error)) {
    const std::string name = item.path().filename().string();
    if (!IsModelName(name)) continue;
    ASSIGN_OR_RETURN(auto entry, Entry(name));
    if (!entry.versions.empty()) entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

Result<std::shared_ptr<const Model>> ModelRepository::Load(const std::string& name,
                                                           uint32_t version) const {
  ASSIGN_OR_RETURN(const ModelEntry entry, Entry(name));
  if (std::find(entry.versions.begin(), entry.versions.end(), version) == entry.versions.end()) {
    auto error = NotFound("model {}@{}: {} has versions [{}]", name, version, name,
                          fmt::join(entry.versions, ", "));
    error.error()
        .Where(Path(name, version))
        .Fix("penstock learn train, or name a version that exists");
    return error;
  }
  const std::lock_guard lock(mutex_);
  std::weak_ptr<const Model>& known = loaded_[{name, version}];
  if (auto model = known.lock()) return model;
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(Path(name, version), kModelBytesMax));
  auto model = Model::Load(name, version, AsBytes(bytes));
  if (!model) return std::unexpected(std::move(model).error().Where(Path(name, version)));
  known = *model;
  return model;
}

Result<uint32_t> ModelRepository::Resolve(const std::string& name, const std::string& alias) const {
  ASSIGN_OR_RETURN(const ModelEntry entry, Entry(name));
  if (const uint32_t version = ParseVersion(alias); version > 0) return version;
  if (alias == "champion" || alias.empty()) {
    if (entry.active > 0) return entry.active;
    auto error = NotFound("model {} has no champion among versions [{}]", name,
                          fmt::join(entry.versions, ", "));
    error.error()
        .Where(fmt::format("{}/{}/active", folder_, name))
        .Fix(fmt::format("penstock learn train --model {}", name));
    return error;
  }
  if (alias == "challenger") {
    if (!entry.versions.empty() && entry.versions.back() > entry.active)
      return entry.versions.back();
    return NotFound("model {} has no version above its champion {}", name, entry.active);
  }
  return InvalidArgument("\"{}\" is no version: champion, challenger or a number", alias);
}

Result<std::shared_ptr<const Model>> ModelRepository::Champion(const std::string& name) const {
  ASSIGN_OR_RETURN(const uint32_t version, Resolve(name, "champion"));
  return Load(name, version);
}

Result<uint32_t> ModelRepository::Install(const std::string& name, ByteView onnx) {
  ASSIGN_OR_RETURN(const ModelEntry entry, Entry(name));
  const uint32_t version = entry.versions.empty() ? 1 : entry.versions.back() + 1;
  ASSIGN_OR_RETURN(const auto model, Model::Load(name, version, onnx));
  ASSIGN_OR_RETURN(const OnnxFile file, ReadOnnx(onnx));
  TRY(MakeFolders(fmt::format("{}/{}/{}", folder_, name, version)));
  TRY(WriteFileAtomically(Path(name, version), AsText(onnx)));
  TRY(WriteFileAtomically(fmt::format("{}/{}/config.pbtxt", folder_, name),
                          TritonConfig(*model, file)));
  return version;
}

Status ModelRepository::Activate(const std::string& name, uint32_t version) {
  TRY(Load(name, version));
  return WriteFileAtomically(fmt::format("{}/{}/active", folder_, name),
                             fmt::format("{}\n", version));
}

}  // namespace penstock::inference
