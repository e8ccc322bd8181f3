// A data product: what a site offers of its data under one name, with who owns it, what it promises
// and who may read it. Its rows are the history's product of that name; its promise is a contract.
//
// Thread rule: pure functions on snapshots; any thread.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "things/contract_directory.h"
#include "things/directory.h"

namespace penstock::things {

struct ProductField {
  std::string name;  // The property: "discharge_pressure".
  std::string kind;  // Of the Thing Model that has it: "pump"; "" without one.
  std::string title, description, unit;
  ValueType type = ValueType::kNumber;
  double sample_rate_hz = 0;
  std::string classification;       // The strictest of its points and the contract.
  Json privacy;                     // What is done to a personal value; null: it is dropped.
  std::vector<std::string> points;  // Paths.
};

struct ProductContract {
  std::string id, version, status;  // "pump", "1.2.0", "active"; no status: it is not in force.
};

enum class ProductAccess { kOpen, kOnRequest };

struct DataProduct {
  std::string name;   // "pump": as in the history.
  std::string title;  // For people.
  // As the contracts say; "" where nobody does, or they disagree.
  std::string domain, owner, team, description;
  std::vector<ProductContract> contracts;  // Of its points, by id.
  std::vector<std::string> models;         // "pump@1.2", by name.
  std::string classification;              // The strictest of its fields.
  Duration retention{0};                   // Of its samples: the longest that is promised.
  ProductAccess access = ProductAccess::kOpen;
  std::vector<std::string> readers;  // Roles, users and tokens that need no grant.
  Duration freshness{0};             // The tightest that is promised; 0: nothing promised.
  std::vector<ProductField> fields;  // By kind and name.
  std::vector<std::string> things;   // By name.
  std::unordered_map<std::string, size_t> field_of_point;  // Path -> index of `fields`.

  size_t points() const;
  const ProductField* FieldOf(std::string_view point) const;  // By a point's path.
};

// Of all points that have a product, by name; with the contracts that govern these points. Access
// is on request when a contract says so (customProperties access: request), or without any contract
// in force when a field is confidential or personal. `retention`: where no contract says another.
std::vector<DataProduct> ProductsOf(const Snapshot& snapshot, const ContractSet& contracts,
                                    Duration retention);

// 0 "public" to 3 "personal"; an unknown word counts as confidential.
int StrictnessOf(std::string_view classification);

}  // namespace penstock::things
