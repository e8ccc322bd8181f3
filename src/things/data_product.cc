// The points of a snapshot gathered by product, kind and property; the contracts that govern them
// laid over. A product may hold things of several kinds, each with a contract of its own: what they
// agree on is said of the product, of promises the one that keeps most.
#include "things/data_product.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace penstock::things {
namespace {

constexpr std::array<std::string_view, 4> kClasses = {"public", "internal", "confidential",
                                                      "personal"};

// The value of a customProperties entry, or null.
Json Custom(const Json& holder, std::string_view property) {
  const auto list = holder.find("customProperties");
  if (list == holder.end() || !list->is_array()) return nullptr;
  for (const Json& entry : *list)
    if (entry.is_object() && StringOr(entry, "property", "") == property)
      return entry.value("value", Json());
  return nullptr;
}

// The field's own entry in the contract's document.
Json FieldOf(const DataContract& contract, std::string_view field) {
  for (const Json& object : contract.document.value("schema", Json::array())) {
    if (!object.is_object()) continue;
    for (const Json& property : object.value("properties", Json::array()))
      if (property.is_object() && StringOr(property, "name", "") == field) return property;
  }
  return Json::object();
}

void MakeStricter(std::string& classification, std::string_view other) {
  if (!other.empty() &&
      (classification.empty() || StrictnessOf(other) > StrictnessOf(classification)))
    classification = other;
}

std::string AreaOf(const std::string& asset) {
  // enterprise/site/area/line/name
  size_t begin = 0;
  for (int i = 0; i < 2; ++i) {
    begin = asset.find('/', begin);
    if (begin == std::string::npos) return "";
    ++begin;
  }
  return asset.substr(begin, asset.find('/', begin) - begin);
}

// What a product is made of while the points come.
struct Gathered {
  struct Field {
    ProductField field;
    std::shared_ptr<const DataContract> contract;
  };
  std::map<std::pair<std::string, std::string>, Field> fields;  // By kind and name.
  std::map<std::string, std::shared_ptr<const DataContract>> contracts;
  std::map<std::string, std::string> named;  // Contracts that are named but not in force: versions.
  std::set<std::string> things, models, areas;
};

void Gather(const Property& property, const ContractSet& contracts, Gathered& product) {
  const Point& point = property.point;
  product.things.insert(point.thing);
  product.areas.insert(AreaOf(point.asset));
  if (!point.model.empty()) product.models.insert(point.model);
  const std::string kind = point.model.substr(0, point.model.find('@'));
  auto& [field, contract] = product.fields[{kind, point.property}];
  contract = contracts.Of(point);
  if (contract != nullptr) {
    product.contracts[contract->id] = contract;
  } else if (const size_t sign = point.contract.find('@'); !point.contract.empty()) {
    product.named[point.contract.substr(0, sign)] =
        sign == std::string::npos ? "" : point.contract.substr(sign + 1);
  }
  field.name = point.property;
  field.kind = kind;
  field.title = point.title;
  field.unit = point.unit;
  field.type = point.type;
  field.sample_rate_hz = point.sample_rate_hz;
  field.points.push_back(point.path());
  MakeStricter(field.classification, point.classification);
  if (field.description.empty()) field.description = property.description;
}

void LayOver(const DataContract& contract, ProductField& field) {
  const ContractField* promised = contract.FindField(field.name);
  if (promised == nullptr) return;
  MakeStricter(field.classification, promised->classification);
  if (!promised->personal.empty()) MakeStricter(field.classification, "personal");
  field.privacy = Custom(FieldOf(contract, field.name), "privacy");
}

std::set<std::string> ReadersOf(const DataContract& contract) {
  std::set<std::string> readers;
  for (const Json& role : contract.document.value("roles", Json::array()))
    if (role.is_object() && StringOr(role, "access", "read").find("read") != std::string::npos)
      if (const std::string name = StringOr(role, "role", ""); !name.empty()) readers.insert(name);
  return readers;
}

void LayOver(const DataContract& contract, bool first, DataProduct& product) {
  const auto agree = [first](std::string& said, const std::string& says) {
    said = first || said == says ? says : "";
  };
  product.contracts.push_back({contract.id, contract.version, contract.status});
  agree(product.domain, contract.domain);
  agree(product.owner, contract.owner);
  agree(product.team, contract.team);
  agree(product.description, contract.purpose);
  if (const auto fresh = contract.SlaOf(ContractSla::Kind::kFreshness, ""))
    product.freshness =
        product.freshness.count() == 0 ? fresh->limit : std::min(product.freshness, fresh->limit);
  if (Custom(contract.document, "access") == "request") product.access = ProductAccess::kOnRequest;
  const auto readers = ReadersOf(contract);
  if (first) product.readers.assign(readers.begin(), readers.end());
  std::erase_if(product.readers, [&](const std::string& name) { return !readers.contains(name); });
}

// Titles of its Thing Models: what it holds, when no contract says it.
std::string ModelTitles(const Snapshot& snapshot, const std::set<std::string>& models) {
  std::string titles;
  for (const std::string& name : models)
    if (const ThingModel* model = snapshot.FindModel(name))
      titles += (titles.empty() ? "" : ", ") + model->title;
  return titles;
}

DataProduct Finish(const std::string& name, Gathered&& gathered, const Snapshot& snapshot,
                   Duration retention) {
  DataProduct product{.name = name, .title = name, .retention = retention};
  product.things.assign(gathered.things.begin(), gathered.things.end());
  product.models.assign(gathered.models.begin(), gathered.models.end());
  bool first = true;
  Duration longest{0};
  for (const auto& [id, contract] : gathered.contracts) {
    LayOver(*contract, std::exchange(first, false), product);
    const auto kept = contract->SlaOf(ContractSla::Kind::kRetention, "");
    longest = std::max(longest, kept ? kept->limit : retention);
  }
  if (longest.count() > 0) product.retention = longest;
  for (const auto& [id, version] : gathered.named)
    if (!gathered.contracts.contains(id)) product.contracts.push_back({id, version, ""});
  const std::string titles = ModelTitles(snapshot, gathered.models);
  if (gathered.models.size() == 1 && !titles.empty()) product.title = titles;
  if (product.description.empty() && gathered.models.size() > 1) product.description = titles;
  if (product.domain.empty() && gathered.contracts.empty() && gathered.areas.size() == 1)
    product.domain = *gathered.areas.begin();
  for (auto& [key, entry] : gathered.fields) {
    if (entry.contract != nullptr) LayOver(*entry.contract, entry.field);
    MakeStricter(product.classification, entry.field.classification);
    for (const std::string& point : entry.field.points)
      product.field_of_point.emplace(point, product.fields.size());
    product.fields.push_back(std::move(entry.field));
  }
  if (gathered.contracts.empty() && StrictnessOf(product.classification) >= 2)
    product.access = ProductAccess::kOnRequest;
  return product;
}

}  // namespace

size_t DataProduct::points() const {
  size_t count = 0;
  for (const ProductField& field : fields) count += field.points.size();
  return count;
}

const ProductField* DataProduct::FieldOf(std::string_view point) const {
  const auto found = field_of_point.find(std::string(point));
  return found == field_of_point.end() ? nullptr : &fields[found->second];
}

int StrictnessOf(std::string_view classification) {
  const auto* const found = std::find(kClasses.begin(), kClasses.end(), classification);
  return found == kClasses.end() ? 2 : static_cast<int>(found - kClasses.begin());
}

std::vector<DataProduct> ProductsOf(const Snapshot& snapshot, const ContractSet& contracts,
                                    Duration retention) {
  std::map<std::string, Gathered> products;
  for (const Thing& thing : snapshot.things)
    for (const Property& property : thing.properties)
      if (!property.point.product.empty())
        Gather(property, contracts, products[property.point.product]);
  std::vector<DataProduct> all;
  for (auto& [name, gathered] : products)
    all.push_back(Finish(name, std::move(gathered), snapshot, retention));
  return all;
}

}  // namespace penstock::things
