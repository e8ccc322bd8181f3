// A contract is in force from the moment its file was accepted until another version is. Which one
// was accepted last is in the records, with its document: a file that was broken or changed against
// the rules while the node was down is treated as if the node had seen it happen.
//
// Going back to a version that was in force before, word for word, is allowed: it is what undoing a
// commit does. Any other lower number is not.
#include "things/contract_directory.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "things/reader.h"
#include "things/units.h"

namespace penstock::things {
namespace {

constexpr size_t kFilesMax = 1000, kVersionsMax = 1000;

std::string DigestOf(const Json& document) { return ToHex(Sha256Of(AsBytes(document.dump()))); }

class InMemory final : public ContractVersions {
 public:
  Result<std::optional<ContractVersion>> Latest(const std::string& id) override {
    const auto found = all_.find(id);
    if (found == all_.end()) return std::optional<ContractVersion>();
    return std::optional(found->second.back());
  }
  Result<std::vector<ContractVersion>> All(const std::string& id) override { return all_[id]; }
  Status Accept(const std::string& id, const ContractVersion& version) override {
    all_[id].push_back(version);
    return {};
  }

 private:
  std::map<std::string, std::vector<ContractVersion>> all_;
};

class InRecords final : public ContractVersions {
 public:
  explicit InRecords(storage::Records& records) : records_(records) {}

  Result<std::optional<ContractVersion>> Latest(const std::string& id) override {
    ASSIGN_OR_RETURN(auto found, Read(id, "DESC LIMIT 1"));
    if (found.empty()) return std::optional<ContractVersion>();
    return std::optional(std::move(found.front()));
  }
  Result<std::vector<ContractVersion>> All(const std::string& id) override {
    return Read(id, fmt::format("ASC LIMIT {}", kVersionsMax));
  }
  Status Accept(const std::string& id, const ContractVersion& version) override {
    TRY(
        records_.Run("INSERT INTO contract_versions (contract, version, digest, accepted_at, "
                     "document, diff) VALUES (?, ?, ?, ?, ?, ?)",
                     {id, version.version, version.digest, ToMicros(version.accepted_at),
                      version.document.dump(), version.diff.dump()}));
    return {};
  }

 private:
  Result<std::vector<ContractVersion>> Read(const std::string& id, const std::string& order) {
    ASSIGN_OR_RETURN(
        const auto rows,
        records_.Query("SELECT version, digest, accepted_at, document, diff FROM contract_versions "
                       "WHERE contract = ? ORDER BY number " +
                           order,
                       {id}));
    std::vector<ContractVersion> versions;
    for (const auto& row : rows) {
      ContractVersion version{row.Text(0), row.Text(1), FromMicros(row.Integer(2)), {}, {}};
      ASSIGN_OR_RETURN(version.document, ParseJson(row.Text(3)));
      ASSIGN_OR_RETURN(version.diff, ParseJson(row.Text(4)));
      versions.push_back(std::move(version));
    }
    return versions;
  }

  storage::Records& records_;
};

// What was accepted, as it is; nothing is added to it.
class AsTheyAre final : public ContractVersions {
 public:
  explicit AsTheyAre(storage::Records& records) : stored_(records) {}
  Result<std::optional<ContractVersion>> Latest(const std::string& id) override {
    if (auto latest = stored_.Latest(id)) return latest;
    return std::optional<ContractVersion>();
  }
  Result<std::vector<ContractVersion>> All(const std::string& id) override {
    if (auto all = stored_.All(id)) return all;
    return std::vector<ContractVersion>();
  }
  Status Accept(const std::string&, const ContractVersion&) override { return {}; }

 private:
  InRecords stored_;
};

}  // namespace

std::unique_ptr<ContractVersions> ContractVersionsOf(storage::Records& records) {
  return std::make_unique<AsTheyAre>(records);
}

std::unique_ptr<ContractVersions> ContractVersionsInMemory() {
  return std::make_unique<InMemory>();
}

Result<std::unique_ptr<ContractVersions>> ContractVersionsIn(storage::Records& records) {
  TRY(records.Migrate("contracts", {{1, R"sql(
    CREATE TABLE contract_versions (
      number INTEGER PRIMARY KEY AUTOINCREMENT, contract TEXT NOT NULL, version TEXT NOT NULL,
      digest TEXT NOT NULL, accepted_at INTEGER NOT NULL, document TEXT NOT NULL,
      diff TEXT NOT NULL);
    CREATE INDEX contract_versions_by_contract ON contract_versions (contract, number);
  )sql"}}));
  return std::unique_ptr<ContractVersions>(new InRecords(records));
}

const DataContract* ContractSet::Find(const std::string& id) const {
  const auto found = by_id.find(id);
  return found == by_id.end() ? nullptr : found->second.get();
}

std::shared_ptr<const DataContract> ContractSet::Of(const Point& point) const {
  const std::string& named = point.contract.empty() ? point.model : point.contract;
  const auto found = by_id.find(named.substr(0, named.find('@')));
  return found == by_id.end() ? nullptr : found->second;
}

ContractDirectory::ContractDirectory(std::string folder, ContractVersions& versions,
                                     const Clock& clock)
    : folder_(std::move(folder) + "/contracts"),
      versions_(versions),
      clock_(clock),
      set_(std::make_shared<ContractSet>()) {}

std::shared_ptr<const ContractSet> ContractDirectory::set() const {
  const std::lock_guard lock(mutex_);
  return set_;
}

std::optional<Error> ContractDirectory::Refusal(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = refusals_.find(id);
  return found == refusals_.end() ? std::nullopt : std::optional(found->second);
}

std::shared_ptr<const DataContract> ContractDirectory::Kept(const std::string& id,
                                                            const std::string& file) {
  if (const auto now = set(); now->by_id.contains(id)) return now->by_id.at(id);
  const auto latest = versions_.Latest(id);
  if (!latest || !latest->has_value()) return nullptr;
  ReadContract read = ReadDataContract((*latest)->document, file);
  if (!read.contract) return nullptr;
  return std::make_shared<const DataContract>(std::move(*read.contract));
}

// The version to be in force: the one read, or the one before with a finding that says why.
std::shared_ptr<const DataContract> ContractDirectory::Judge(DataContract read,
                                                             std::vector<Finding>& findings) {
  const auto refuse = [&](Error error) {
    auto kept = Kept(read.id, read.file);
    findings.push_back({true, std::move(error.Where(read.file))});
    return kept;
  };
  const auto versions = versions_.All(read.id);
  if (!versions) return refuse(versions.error());
  const std::string digest = DigestOf(read.document);
  ContractVersion accepted{read.version, digest, clock_.Now(), read.document, nullptr};
  if (!versions->empty()) {
    const ContractVersion& latest = versions->back();
    if (latest.digest == digest) return std::make_shared<const DataContract>(std::move(read));
    const ReadContract before = ReadDataContract(latest.document, read.file);
    const bool known_before =
        std::any_of(versions->begin(), versions->end(), [&](const ContractVersion& version) {
          return version.version == read.version && version.digest == digest;
        });
    if (before.contract) {
      const ContractDiff diff = CompareContracts(*before.contract, read);
      if (const Status step = CheckVersionStep(*before.contract, read, diff);
          !step && !known_before)
        return refuse(step.error());
      accepted.diff = ContractDiffJson(diff);
    }
  }
  if (const Status kept = versions_.Accept(read.id, accepted); !kept) return refuse(kept.error());
  return std::make_shared<const DataContract>(std::move(read));
}

std::vector<Finding> ContractDirectory::Reload(const Snapshot& snapshot) {
  std::vector<Finding> findings;
  auto names = ListFiles(folder_, kContractSuffix);
  if (!names) {
    if (names.error().code != Code::kNotFound) findings.push_back({true, names.error()});
    // No folder is no contracts; one that was there and cannot be read stops no promise.
    return findings;
  }
  if (names->size() > kFilesMax) {
    findings.push_back(
        {true, Error{Code::kResourceExhausted,
                     fmt::format("{} contracts, at most {}", names->size(), kFilesMax), folder_}});
    names->resize(kFilesMax);
  }
  auto next = std::make_shared<ContractSet>();
  for (const std::string& name : *names) {
    const std::string path = folder_ + "/" + name;
    ReadContract read = ReadDataContractFile(path);
    if (read.contract) {
      auto against = CheckContractAgainstThings(*read.contract, snapshot);
      if (std::any_of(against.begin(), against.end(), [](const auto& f) { return f.is_error; }))
        read.contract.reset();
      std::move(against.begin(), against.end(), std::back_inserter(read.findings));
    }
    std::move(read.findings.begin(), read.findings.end(), std::back_inserter(findings));
    const std::string id = ContractIdOf(name);
    auto contract = read.contract ? Judge(std::move(*read.contract), findings) : Kept(id, path);
    if (contract != nullptr) next->by_id.emplace(id, std::move(contract));
  }
  const std::lock_guard lock(mutex_);
  next->revision = set_->revision + 1;
  set_ = std::move(next);
  refusals_.clear();
  for (const Finding& finding : findings)
    if (finding.is_error) refusals_.try_emplace(ContractIdOf(finding.error.where), finding.error);
  return findings;
}

namespace {

// The points that a contract governs, by the name of their property.
std::map<std::string, std::vector<const Point*>> GovernedPoints(const DataContract& contract,
                                                                const Snapshot& snapshot) {
  std::map<std::string, std::vector<const Point*>> points;
  for (const Thing& thing : snapshot.things)
    for (const Property& property : thing.properties) {
      const Point& point = property.point;
      const std::string& named = point.contract.empty() ? point.model : point.contract;
      if (named.substr(0, named.find('@')) == contract.id) points[point.property].push_back(&point);
    }
  return points;
}

void CheckField(const ContractField& field, const Point& point, Findings& findings) {
  if (field.type && *field.type != point.type)
    findings.Mistake(field.pointer + "/logicalType",
                     fmt::format("{} here, {} is a {}", ValueTypeName(*field.type), point.path(),
                                 ValueTypeName(point.type)),
                     "as in its Thing Description");
  if (field.unit != point.unit)
    findings.Mistake(
        field.pointer + "/customProperties",
        fmt::format("unit \"{}\" here, {} is in \"{}\"", field.unit.empty() ? "1" : field.unit,
                    point.path(), point.unit.empty() ? "1" : point.unit),
        fmt::format("- {{property: unit, value: \"{}\"}}, with the ranges in it",
                    point.unit.empty() ? "1" : point.unit));
}

// A description that names another major version was written for other promises; told once for
// each.
void CheckPinned(const DataContract& contract, const Point& point, std::set<std::string>& told,
                 Findings& findings) {
  const size_t at = point.contract.find('@');
  if (at == std::string::npos) return;
  const auto pinned = ParseVersion3(point.contract.substr(at + 1));
  const auto own = ParseVersion3(contract.version);
  if (!pinned || !own || pinned->major == own->major || !told.insert(point.thing).second) return;
  findings.Doubt(
      "/version", fmt::format("{} was written for {}", point.thing, point.contract),
      fmt::format("\"ps:contract\": \"{}\" once it keeps the new promises", contract.reference()));
}

}  // namespace

std::vector<Finding> CheckContractAgainstThings(const DataContract& contract,
                                                const Snapshot& snapshot) {
  Findings findings(contract.file);
  const auto points = GovernedPoints(contract, snapshot);
  if (points.empty()) {
    findings.Doubt(
        "/id", fmt::format("no thing has the contract \"{}\"", contract.id),
        fmt::format("\"ps:contract\": \"{}\" in a Thing Description", contract.reference()));
    return findings.Take();
  }
  std::vector<std::string> names;
  for (const auto& [name, list] : points) names.push_back(name);
  std::set<std::string> pinned;
  for (const ContractObject& object : contract.objects)
    for (const ContractField& field : object.fields) {
      const auto found = points.find(field.name);
      if (found == points.end()) {
        if (!field.type) continue;
        const std::string nearest = Nearest(field.name, names);
        const std::string fix = nearest.empty() ? "remove it, or add the property"
                                                : fmt::format("did you mean \"{}\"?", nearest);
        const std::string message =
            fmt::format("no thing of this contract has a property \"{}\"", field.name);
        if (field.required)
          findings.Mistake(field.pointer + "/name", message, fix);
        else
          findings.Doubt(field.pointer + "/name", message, fix);
        continue;
      }
      for (const Point* point : found->second) {
        CheckField(field, *point, findings);
        CheckPinned(contract, *point, pinned, findings);
      }
    }
  return findings.Take();
}

}  // namespace penstock::things
