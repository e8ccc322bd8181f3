// Reload goes through the folder in four passes: files that are new or changed are read; models are
// resolved against each other; things are checked against the models and against the things already
// taken in; ids are given.
//
// Who gives way when two files contradict each other: the one that changed. Things that were
// accepted in their present form are taken in first, changed and new ones after them, each group by
// name. A file that is refused, for whatever reason, keeps the version that was accepted last,
// unless that contradicts something accepted since.
//
// A snapshot owns its things; by_id points into them, so a snapshot is never copied or changed once
// given out. What is in force is kept once: a thing that was read anew moves into the snapshot that
// first has it, and its file refers to it there.
#include "things/directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "things/model.h"
#include "things/reader.h"
#include "things/site_check.h"

namespace penstock::things {
namespace {

constexpr size_t kMaxFiles = 200'000;

struct Stamp {
  uint64_t size = 0, inode = 0;
  int64_t changed_ns = 0;
  bool operator==(const Stamp&) const = default;
};

std::optional<Stamp> StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return Stamp{static_cast<uint64_t>(info.st_size), info.st_ino,
               info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec};
}

// Things and models by the same rules: what the file says now, and what of it is in force.
template <typename T>
struct Version {
  std::shared_ptr<T> read;      // Null when the file has mistakes.
  std::shared_ptr<T> accepted;  // In force; null when never accepted.
  bool shared = false;          // `accepted` lies in a snapshot: others look at it.
  bool settled() const { return read != nullptr && read == accepted; }
};

struct File {
  Stamp stamp;
  Version<Thing> thing;
  Version<ThingModel> model;  // As written; references are resolved in `resolved`.
  std::shared_ptr<const ThingModel> resolved;
  std::vector<Finding> findings;  // Of reading this file alone.
};

bool HasError(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& f) { return f.is_error; });
}

void Append(std::vector<Finding>& all, std::vector<Finding> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// The same document read again stays the same version.
template <typename T>
void Take(Version<T>& version, std::optional<T> read) {
  version.read = nullptr;
  if (!read) return;
  if (version.accepted != nullptr && version.accepted->document == read->document)
    version.read = version.accepted;
  else
    version.read = std::make_shared<T>(std::move(*read));
}

}  // namespace

class Directory::Files {
 public:
  explicit Files(std::string folder) : folder_(std::move(folder)) {
    while (folder_.size() > 1 && folder_.ends_with('/')) folder_.pop_back();
    folder_ += "/things";
  }

  bool Changed() const {
    auto names = Names();
    if (!names) return !files_.empty();
    names->resize(std::min(names->size(), kMaxFiles));
    if (names->size() != files_.size()) return true;
    for (const std::string& name : *names) {
      const auto found = files_.find(name);
      if (found == files_.end() || StampOf(folder_ + "/" + name) != found->second.stamp)
        return true;
    }
    return false;
  }

  // Fills `findings`; true when other things or models are in force than were published.
  bool Reload(std::vector<Finding>& findings) {
    ReadFiles(findings);
    for (auto& [name, file] : files_)
      findings.insert(findings.end(), file.findings.begin(), file.findings.end());
    AcceptModels(findings);
    AcceptThings(findings);
    return InForce() != published_;
  }

  // Of all that is in force, in the order of Publish.
  std::vector<std::string> Paths() {
    std::vector<std::string> paths;
    for (const Version<Thing>* version : Things())
      for (const Property& property : version->accepted->properties)
        paths.push_back(property.point.path());
    return paths;
  }

  // What is in force, with an id for each of Paths().
  std::shared_ptr<Snapshot> Publish(const std::vector<PointId>& ids) {
    auto snapshot = std::make_shared<Snapshot>();
    const std::vector<Version<Thing>*> versions = Things();
    snapshot->things.reserve(versions.size());
    for (Version<Thing>* version : versions) {
      if (version->shared)
        snapshot->things.push_back(*version->accepted);
      else
        snapshot->things.push_back(std::move(*version->accepted));
      std::shared_ptr<Thing> there(snapshot, &snapshot->things.back());
      if (version->settled()) version->read = there;
      version->accepted = std::move(there);
      version->shared = true;
    }
    for (const auto& [name, model] : models_) snapshot->models.push_back(model);
    published_ = InForce();
    Number(*snapshot, ids);
    return snapshot;
  }

 private:
  Result<std::vector<std::string>> Names() const {
    ASSIGN_OR_RETURN(std::vector<std::string> names, ListFiles(folder_, ".td.json"));
    ASSIGN_OR_RETURN(const std::vector<std::string> models, ListFiles(folder_, ".tm.json"));
    names.insert(names.end(), models.begin(), models.end());
    return names;
  }

  static bool IsModel(const std::string& name) { return name.ends_with(".tm.json"); }

  void ReadFiles(std::vector<Finding>& findings) {
    auto names = Names();
    if (!names) {
      Error error = names.error();
      error.fix = "a site folder holds things/ with NAME.td.json and NAME.tm.json files";
      findings.push_back({true, std::move(error)});
      return;  // Everything stays in force: a folder that is gone for a moment stops no plant.
    }
    if (names->size() > kMaxFiles) {
      findings.push_back({true, Error{Code::kResourceExhausted,
                                      fmt::format("{} files, {} are read: \"{}\" and on are not",
                                                  names->size(), kMaxFiles, (*names)[kMaxFiles]),
                                      folder_, "", "share the things out among several nodes"}});
      names->resize(kMaxFiles);
    }
    WarnOfOthers(findings);
    std::map<std::string, File> present;
    for (const std::string& name : *names) {
      File& file = present[name];
      if (auto known = files_.extract(name)) file = std::move(known.mapped());
      // The stamp is taken before reading: a change meanwhile shows up at the next look.
      const auto stamp = StampOf(folder_ + "/" + name);
      if (!stamp || file.stamp == *stamp) continue;
      file.stamp = *stamp;
      ReadOne(name, file);
    }
    files_ = std::move(present);
  }

  std::vector<Version<Thing>*> Things() {
    std::vector<Version<Thing>*> things;
    for (auto& [name, file] : files_)
      if (file.thing.accepted != nullptr) things.push_back(&file.thing);
    std::ranges::sort(things, {}, [](const Version<Thing>* v) -> const std::string& {
      return v->accepted->name;
    });
    return things;
  }

  static void Number(Snapshot& snapshot, const std::vector<PointId>& ids) {
    uint32_t end = 0;
    for (const PointId id : ids) end = std::max(end, id.value + 1);
    snapshot.by_id.resize(end);
    snapshot.by_path.reserve(ids.size());
    auto next = ids.begin();
    for (Thing& thing : snapshot.things)
      for (Property& property : thing.properties) {
        property.point.id = *next++;
        snapshot.by_id[property.point.id.value] = &property;
        snapshot.by_path.emplace(property.point.path(), property.point.id);
      }
  }

  void WarnOfOthers(std::vector<Finding>& findings) const {
    const auto names = ListFiles(folder_, ".json");
    if (!names) return;
    for (const std::string& name : *names)
      if (!name.ends_with(".td.json") && !name.ends_with(".tm.json"))
        findings.push_back(
            {false, Error{Code::kInvalidArgument, "file is not read", folder_ + "/" + name, "",
                          "name it NAME.td.json (a thing) or NAME.tm.json (a model)"}});
  }

  void ReadOne(const std::string& name, File& file) {
    const std::string path = folder_ + "/" + name;
    file.findings.clear();
    const auto document = ReadDocument(path);
    if (!document) {
      Error error = document.error();
      error.where = path;
      file.findings.push_back({true, std::move(error)});
      file.thing.read = nullptr;
      file.model.read = nullptr;
    } else if (IsModel(name)) {
      ReadModel read = ReadThingModel(*document, path);
      file.findings = std::move(read.findings);
      Take(file.model, std::move(read.model));
    } else {
      ReadThing read = ReadThingDescription(*document, path);
      file.findings = std::move(read.findings);
      Take(file.thing, std::move(read.thing));
    }
  }

  // The model documents as written, new ones where they are good, for references between models.
  Result<Json> DocumentOf(const std::string& name) const {
    const auto found = files_.find(name);
    const auto& version = found == files_.end() ? Version<ThingModel>{} : found->second.model;
    if (version.read != nullptr) return version.read->document;
    if (version.accepted != nullptr) return version.accepted->document;
    return NotFound("no good model in \"{}\"", name);
  }

  void AcceptModels(std::vector<Finding>& findings) {
    models_.clear();
    for (auto& [name, file] : files_) {
      if (!IsModel(name)) continue;
      if (file.model.read != nullptr) AcceptModel(file, findings);
      if (file.resolved != nullptr) models_.try_emplace(file.resolved->name, *file.resolved);
    }
  }

  void AcceptModel(File& file, std::vector<Finding>& findings) {
    ThingModel model = *file.model.read;
    auto whole =
        ResolveModel(model.document, [&](const std::string& name) { return DocumentOf(name); });
    if (!whole) {
      findings.push_back({true, whole.error().Where(model.file)});
      return;
    }
    if (*whole != model.document) {
      ReadModel checked = ReadThingModel(*whole, model.file);
      const bool bad = HasError(checked.findings);
      Append(findings, std::move(checked.findings));
      if (bad) return;
    }
    if (const auto same = models_.find(model.name); same != models_.end()) {
      findings.push_back(
          {true, Error{Code::kAlreadyExists,
                       fmt::format("model \"{}\" is in {} already", model.name, same->second.file),
                       model.file, "/ps:model", "raise the version of one, or remove one"}});
      file.resolved = nullptr;
      return;
    }
    file.model.accepted = file.model.read;
    model.document = std::move(*whole);
    if (file.resolved == nullptr || file.resolved->document != model.document)
      file.resolved = std::make_shared<const ThingModel>(std::move(model));
  }

  void AcceptThings(std::vector<Finding>& findings) {
    SiteCheck site;
    for (const bool settled : {true, false})
      for (auto& [name, file] : files_)
        if (!IsModel(name) && file.thing.settled() == settled)
          AcceptThing(file.thing, site, findings);
  }

  void AcceptThing(Version<Thing>& version, SiteCheck& site, std::vector<Finding>& findings) {
    if (version.read != nullptr) {
      auto found = CheckAgainstModel(*version.read, models_);
      Append(found, site.Check(*version.read));
      const bool bad = HasError(found);
      Append(findings, std::move(found));
      if (!bad) {
        if (!version.settled()) version.shared = false;
        version.accepted = version.read;
        return site.Add(*version.accepted);
      }
    }
    if (version.accepted == nullptr) return;
    if (HasError(site.Check(*version.accepted)))
      version.accepted = nullptr;
    else
      site.Add(*version.accepted);
  }

  // Identities of all that is in force; owning, so that no address comes back as another version.
  std::vector<std::shared_ptr<const void>> InForce() const {
    std::vector<std::shared_ptr<const void>> all;
    for (const auto& [name, file] : files_) {
      if (file.thing.accepted != nullptr) all.push_back(file.thing.accepted);
      if (file.resolved != nullptr) all.push_back(file.resolved);
    }
    return all;
  }

  std::string folder_;
  std::map<std::string, File> files_;  // By name inside things/.
  std::map<std::string, ThingModel> models_;
  std::vector<std::shared_ptr<const void>> published_;
};

Directory::Directory(std::string folder, PointIds& ids)
    : ids_(ids),
      files_(std::make_unique<Files>(std::move(folder))),
      snapshot_(std::make_shared<Snapshot>()) {}

Directory::~Directory() = default;

std::vector<Finding> Directory::Reload() {
  std::vector<Finding> findings;
  const bool changed = files_->Reload(findings);
  if (!changed) return findings;
  const auto ids = ids_.IdsOf(files_->Paths());
  if (!ids) {
    findings.push_back({true, ids.error()});
    return findings;
  }
  auto next = files_->Publish(*ids);
  std::vector<std::function<void(std::shared_ptr<const Snapshot>)>> listeners;
  std::shared_ptr<const Snapshot> published;
  {
    const std::lock_guard lock(mutex_);
    next->revision = snapshot_->revision + 1;
    published = snapshot_ = std::move(next);
    listeners = listeners_;
  }
  LogInfo("things: revision {}, {} things, {} points, {} findings", published->revision,
          published->things.size(), published->by_path.size(), findings.size());
  for (const auto& listener : listeners) listener(published);
  return findings;
}

bool Directory::Changed() const { return files_->Changed(); }

std::shared_ptr<const Snapshot> Directory::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

void Directory::OnChange(std::function<void(std::shared_ptr<const Snapshot>)> listener) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

const Point* Snapshot::FindPoint(PointId id) const {
  if (id.value >= by_id.size() || by_id[id.value] == nullptr) return nullptr;
  return &by_id[id.value]->point;
}

const Point* Snapshot::FindPoint(const std::string& path) const {
  const auto found = by_path.find(path);
  return found == by_path.end() ? nullptr : FindPoint(found->second);
}

const Thing* Snapshot::FindThing(const std::string& name) const {
  const auto found =
      std::lower_bound(things.begin(), things.end(), name,
                       [](const Thing& thing, const std::string& n) { return thing.name < n; });
  return found == things.end() || found->name != name ? nullptr : &*found;
}

const ThingModel* Snapshot::FindModel(const std::string& name) const {
  for (const ThingModel& model : models)
    if (model.name == name) return &model;
  return nullptr;
}

}  // namespace penstock::things
