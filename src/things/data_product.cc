// The points of a snapshot gathered by product and property; the contract laid over it. A contract
// belongs to a product when an object of it has the product's name (physical or logical), or its id
// is that name, or it was made from the product's Thing Model.
#include "things/data_product.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace penstock::things {
namespace {

constexpr std::array<std::string_view, 4> kClasses = {"public", "internal", "confidential",
                                                      "personal"};

const DataContract* ContractOf(const ContractSet& contracts, const DataProduct& product) {
  for (const auto& [id, contract] : contracts.by_id)
    for (const ContractObject& object : contract->objects)
      if (object.physical_name == product.name || object.name == product.name)
        return contract.get();
  for (const auto& [id, contract] : contracts.by_id)
    if (id == product.name ||
        (!contract->thing_model.empty() && contract->thing_model == product.model))
      return contract.get();
  return nullptr;
}

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

void LayOver(const DataContract& contract, DataProduct& product) {
  product.contract = contract.id;
  product.contract_version = contract.version;
  product.contract_status = contract.status;
  if (!contract.name.empty()) product.title = contract.name;
  if (!contract.domain.empty()) product.domain = contract.domain;
  if (!contract.purpose.empty()) product.description = contract.purpose;
  product.owner = contract.owner;
  product.team = contract.team;
  MakeStricter(product.classification, contract.classification);
  if (const auto kept = contract.SlaOf(ContractSla::Kind::kRetention, ""))
    product.retention = kept->limit;
  if (const auto fresh = contract.SlaOf(ContractSla::Kind::kFreshness, ""))
    product.freshness = fresh->limit;
  const Json access = Custom(contract.document, "access");
  if (access.is_string())
    product.access = access == "request" ? ProductAccess::kOnRequest : ProductAccess::kOpen;
  for (const Json& role : contract.document.value("roles", Json::array()))
    if (role.is_object() && StringOr(role, "access", "read").find("read") != std::string::npos)
      if (const std::string name = StringOr(role, "role", ""); !name.empty())
        product.readers.push_back(name);
  for (ProductField& field : product.fields) {
    const ContractField* promised = contract.FindField(field.name);
    if (promised == nullptr) continue;
    MakeStricter(field.classification, promised->classification);
    if (!promised->personal.empty()) MakeStricter(field.classification, "personal");
    field.privacy = Custom(FieldOf(contract, field.name), "privacy");
  }
}

DataProduct& ProductAt(std::map<std::string, DataProduct>& products, const Point& point,
                       const Snapshot& snapshot) {
  const auto [at, is_new] = products.try_emplace(point.product);
  DataProduct& product = at->second;
  if (!is_new) return product;
  product.name = point.product;
  product.title = point.product;
  product.model = point.model;
  product.domain = AreaOf(point.asset);
  if (const ThingModel* model = snapshot.FindModel(point.model)) {
    product.title = model->title;
    product.description = StringOr(model->document, "description", "");
  }
  const size_t sign = point.contract.find('@');
  product.contract = point.contract.substr(0, sign);
  if (sign != std::string::npos) product.contract_version = point.contract.substr(sign + 1);
  return product;
}

}  // namespace

size_t DataProduct::points() const {
  size_t count = 0;
  for (const ProductField& field : fields) count += field.points.size();
  return count;
}

const ProductField* DataProduct::FindField(std::string_view field) const {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const ProductField& f) { return f.name == field; });
  return found == fields.end() ? nullptr : &*found;
}

int StrictnessOf(std::string_view classification) {
  const auto* const found = std::find(kClasses.begin(), kClasses.end(), classification);
  return found == kClasses.end() ? 2 : static_cast<int>(found - kClasses.begin());
}

std::vector<DataProduct> ProductsOf(const Snapshot& snapshot, const ContractSet& contracts,
                                    Duration retention) {
  std::map<std::string, DataProduct> products;
  std::map<std::string, std::map<std::string, ProductField>> fields;
  std::map<std::string, std::set<std::string>> things;
  for (const Thing& thing : snapshot.things)
    for (const Property& property : thing.properties) {
      const Point& point = property.point;
      if (point.product.empty()) continue;
      ProductAt(products, point, snapshot);
      things[point.product].insert(point.thing);
      ProductField& field = fields[point.product][point.property];
      field.name = point.property;
      field.title = point.title;
      field.unit = point.unit;
      field.type = point.type;
      field.sample_rate_hz = point.sample_rate_hz;
      field.points.push_back(point.path());
      MakeStricter(field.classification, point.classification);
      const auto documents = thing.document.find("properties");
      if (field.description.empty() && documents != thing.document.end() &&
          documents->contains(point.property))
        field.description = StringOr((*documents)[point.property], "description", "");
    }
  std::vector<DataProduct> all;
  for (auto& [name, product] : products) {
    product.retention = retention;
    product.things.assign(things[name].begin(), things[name].end());
    for (auto& [field_name, field] : fields[name]) product.fields.push_back(std::move(field));
    if (const DataContract* contract = ContractOf(contracts, product)) LayOver(*contract, product);
    for (const ProductField& field : product.fields)
      MakeStricter(product.classification, field.classification);
    const bool said =
        product.access == ProductAccess::kOnRequest || !product.contract_status.empty();
    if (!said && StrictnessOf(product.classification) >= 2)
      product.access = ProductAccess::kOnRequest;
    all.push_back(std::move(product));
  }
  return all;
}

}  // namespace penstock::things
