// Rows that are not in a file of the history yet are written to one of ours, at most once a second
// per product, and only when somebody asks; so every way to read sees the same Parquet files, and
// there is one format for all. A tail stays for two minutes, so that a client that reads it in
// ranges finds what it was told of.
#include "api/products.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "telemetry/texts.h"

namespace penstock::api {
namespace {

using things::DataProduct;
using things::ProductField;

constexpr auto kFresh = std::chrono::seconds(1);
constexpr auto kTailLife = std::chrono::minutes(2);
constexpr size_t kTailsMax = 32;  // Of one product.

bool IsPersonal(const ProductField& field) { return field.classification == "personal"; }

trust::PrivacyRule RuleOf(const ProductField& field) {
  if (field.privacy.is_object())
    if (const auto rule = trust::ParsePrivacyRule(field.privacy)) return *rule;
  return trust::DefaultRule("personal");
}

}  // namespace

std::shared_ptr<const void> RemoveWhenUnused(const std::string& path) {
  return std::shared_ptr<const void>(new std::string(path), [](const void* held) {
    const auto* file = static_cast<const std::string*>(held);
    (void)unlink(file->c_str());
    delete file;
  });
}

Result<std::unique_ptr<Products>> Products::Open(Parts parts) {
  std::error_code ignored;
  std::filesystem::remove_all(parts.folder, ignored);
  TRY(MakeFolders(parts.folder));
  // Made now, so that questions find it.
  if (const auto key = trust::PrivacyTransform::Open(parts.privacy_key_file); !key)
    return std::unexpected(key.error());
  return std::unique_ptr<Products>(new Products(std::move(parts)));
}

std::shared_ptr<const std::vector<DataProduct>> Products::List() const {
  auto contracts = parts_.contracts();
  auto snapshot = parts_.directory.snapshot();
  const std::lock_guard lock(mutex_);
  if (listed_ == nullptr || snapshot != listed_snapshot_ || contracts != listed_contracts_) {
    listed_ = std::make_shared<const std::vector<DataProduct>>(
        things::ProductsOf(*snapshot, *contracts, parts_.retention));
    listed_snapshot_ = std::move(snapshot);
    listed_contracts_ = std::move(contracts);
  }
  return listed_;
}

Result<DataProduct> Products::Find(const std::string& name) const {
  std::vector<std::string> known;
  const auto list = List();
  for (const DataProduct& product : *list) {
    if (product.name == name) return product;
    known.push_back(product.name);
  }
  auto error = NotFound("data product unknown: {}", name.substr(0, 100));
  if (const std::string nearest = Nearest(name, known); !nearest.empty())
    error.error().Fix("did you mean \"" + nearest + "\"?");
  return error;
}

storage::ProductSize Products::SizeOf(const std::string& name) const {
  for (const auto& size : parts_.history.Products())
    if (size.product == name) return size;
  return {.product = name};
}

bool Products::IsOwner(const trust::Principal& who, const DataProduct& product) const {
  if (who.Has(trust::Role::kAdmin)) return true;
  for (const std::string& owner : {product.owner, product.team})
    if (!owner.empty() && (owner == who.name || parts_.holds_title(who.name, owner))) return true;
  return false;
}

Result<ReadPermission> Products::MayRead(const trust::Principal& who,
                                         const DataProduct& product) const {
  if (!who.Has(trust::Role::kViewer)) return Unauthenticated("log in first");
  if (IsOwner(who, product)) return ReadPermission{.personal = true};
  ASSIGN_OR_RETURN(const auto grant,
                   parts_.access.GrantOf(product.name, who.name, parts_.clock.Now()));
  if (grant) return ReadPermission{.personal = grant->personal};
  if (product.access == things::ProductAccess::kOpen) return ReadPermission{};
  for (const std::string& reader : product.readers) {
    const auto role = trust::ParseRole(reader);
    if (reader == who.name || (role && who.Has(*role))) return ReadPermission{};
  }
  auto error = PermissionDenied("the data product {} is not open to {}", product.name, who.name);
  error.error().Fix(fmt::format(
      "ask for access: POST /api/v1/products/{}/access-requests {{\"purpose\": \"...\"}}",
      product.name));
  return error;
}

namespace {

const DataProduct* ProductOf(const std::vector<DataProduct>& list, const things::Point& point) {
  const auto product = std::ranges::find(list, point.product, &DataProduct::name);
  return product == list.end() ? nullptr : &*product;
}

}  // namespace

bool Products::Withholds(const trust::Principal& who, const things::Point& point) const {
  const auto list = List();
  const DataProduct* product = ProductOf(*list, point);
  const ProductField* field = product == nullptr ? nullptr : product->FieldOf(point.path());
  if (field == nullptr || !IsPersonal(*field) ||
      RuleOf(*field).action == trust::PrivacyAction::kKeep)
    return false;
  const auto permission = MayRead(who, *product);
  return !permission || !permission->personal;
}

Status Products::MayReadPoint(const trust::Principal& who, const things::Point& point) const {
  const auto list = List();
  const DataProduct* product = ProductOf(*list, point);
  if (product == nullptr) return {};
  TRY(MayRead(who, *product));
  if (!Withholds(who, point)) return {};
  auto error = PermissionDenied("the values of {} are personal", point.path());
  error.error().Fix(
      fmt::format("ask for them: POST /api/v1/products/{}/access-requests {{\"purpose\": \"...\", "
                  "\"personal\": true}}",
                  product->name));
  return error;
}

std::string Products::NewFile(std::string_view suffix) {
  const std::lock_guard lock(mutex_);
  return fmt::format("{}/{}{}", parts_.folder, next_file_++, suffix);
}

std::shared_ptr<const ProductFiles> Products::Recent(
    const std::string& name, std::chrono::steady_clock::duration age) const {
  const std::lock_guard lock(mutex_);
  const auto found = recent_.find(name);
  if (found == recent_.end() || found->second.empty()) return nullptr;
  const auto& newest = found->second.back();
  return std::chrono::steady_clock::now() - newest->made < age ? newest : nullptr;
}

Result<std::shared_ptr<const ProductFiles>> Products::Files(const std::string& name) {
  if (auto recent = Recent(name, kFresh)) return recent;
  const std::lock_guard making(making_);
  if (auto recent = Recent(name, kFresh)) return recent;
  auto made = std::make_shared<ProductFiles>();
  const std::string path = NewFile("-tail.parquet");
  made->made = std::chrono::steady_clock::now();
  auto rows = parts_.history.RowsOf(name, path);
  if (!rows) {
    (void)unlink(path.c_str());
    return std::unexpected(rows.error());
  }
  made->files = std::move(rows->files);
  made->tail = std::move(rows->tail);
  if (made->tail) {
    made->keep_tail = RemoveWhenUnused(path);
    const std::string file = path.substr(path.rfind('/') + 1);
    made->tail_name = "tail-" + file.substr(0, file.find('-'));
  }
  const std::lock_guard lock(mutex_);
  auto& recent = recent_[name];
  recent.push_back(made);
  while (recent.size() > kTailsMax ||
         (recent.size() > 1 && made->made - recent.front()->made > kTailLife))
    recent.pop_front();
  return made;
}

Result<std::shared_ptr<const ProductFiles>> Products::Tail(const std::string& name,
                                                           const std::string& tail_name) {
  const std::lock_guard lock(mutex_);
  if (const auto found = recent_.find(name); found != recent_.end())
    for (const auto& files : found->second)
      if (files->tail && files->tail_name == tail_name) return files;
  auto error = NotFound("no such file of {}: {}", name, tail_name.substr(0, 60));
  error.error().Fix("list the files again: its rows are in another file by now");
  return error;
}

bool Products::HidesFrom(const DataProduct& product, ReadPermission permission) {
  return !permission.personal &&
         std::any_of(product.fields.begin(), product.fields.end(), IsPersonal);
}

storage::SqlTable Products::TableOf(const DataProduct& product, ReadPermission permission,
                                    std::vector<std::string> files) {
  storage::SqlTable table;
  table.names = {product.name};
  std::string plain = product.name;
  for (char& c : plain)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  if (plain != product.name) table.names.push_back(plain);
  table.files = std::move(files);
  if (permission.personal) return table;
  for (const ProductField& field : product.fields) {
    if (!IsPersonal(field)) continue;
    const auto action = RuleOf(field).action;
    if (action == trust::PrivacyAction::kKeep) continue;
    auto& list = action == trust::PrivacyAction::kDrop ? table.without : table.private_ones;
    list.insert(list.end(), field.points.begin(), field.points.end());
  }
  return table;
}

Result<storage::SqlTable> Products::TableOf(const DataProduct& product, ReadPermission permission,
                                            Time from, Time to,
                                            std::vector<std::shared_ptr<const void>>& keep) {
  ASSIGN_OR_RETURN(const auto rows, Files(product.name));
  std::vector<std::string> files;
  const auto add = [&](const storage::HistoryFileView& file) -> Status {
    if (file.last < from || file.first >= to) return {};
    ASSIGN_OR_RETURN(const auto local, parts_.history.Local(file));
    files.push_back(local.path);
    if (local.keep != file.keep) keep.push_back(local.keep);
    return {};
  };
  for (const auto& file : rows->files) TRY(add(file));
  if (rows->tail) TRY(add(*rows->tail));
  keep.push_back(rows);
  return TableOf(product, permission, std::move(files));
}

std::string Products::PrivacyOf(std::span<const DataProduct> products) const {
  Json rules = Json::object();
  for (const DataProduct& product : products)
    for (const ProductField& field : product.fields)
      if (IsPersonal(field) && field.privacy.is_object())
        for (const std::string& point : field.points) rules[point] = field.privacy;
  if (rules.empty()) return "";
  return Json{{"key", parts_.privacy_key_file}, {"rules", std::move(rules)}}.dump();
}

Result<storage::PrivateNumber> PrivateNumberOf(const std::string& privacy) {
  ASSIGN_OR_RETURN(const Json said, ParseJson(privacy));
  ASSIGN_OR_RETURN(const std::string key, GetString(said, "key"));
  ASSIGN_OR_RETURN(auto transform, trust::PrivacyTransform::Open(key));
  std::map<std::string, trust::PrivacyRule, std::less<>> rules;
  const auto list = said.find("rules");
  if (list == said.end() || !list->is_object()) return InvalidArgument("no rules of privacy");
  for (const auto& [point, rule] : list->items()) {
    ASSIGN_OR_RETURN(rules[point], trust::ParsePrivacyRule(rule));
  }
  return [transform = std::move(transform), rules = std::move(rules)](
             std::string_view point, double value) -> std::optional<double> {
    const auto rule = rules.find(point);
    if (rule == rules.end()) return std::nullopt;
    // A coarse code of a text tells the text to whoever can guess it.
    if (telemetry::MayBeText(value) && rule->second.action == trust::PrivacyAction::kCoarsen)
      return std::nullopt;
    const size_t slash = point.rfind('/');
    return transform.Number(rule->second, point.substr(slash + 1), value);
  };
}

}  // namespace penstock::api
