// Data products in a node: the catalogue over things, contracts and history; grants; questions in
// SQL; live samples; and what retention takes away by product.
//
// Thread rule: Housekeep from one thread; the rest as its parts say.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/routes_products.h"
#include "base/site.h"
#include "telemetry/pipeline.h"

namespace penstock {

class ProductFlow {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    const things::Directory& directory;
    storage::History& history;
    storage::Records& records;
    trust::AuditLog& audit;
    std::function<std::shared_ptr<const things::ContractSet>()> contracts;
    std::function<bool(const std::string& name, const std::string& title)> holds_title;
  };
  // All of `parts` must outlive it.
  static Result<std::unique_ptr<ProductFlow>> Open(Parts parts);

  // Before the pipeline's Start.
  void Attach(telemetry::Pipeline& pipeline);
  void Close();  // Live listeners go, for shutdown.
  // What is over at this time: each product's samples by its own retention, rollups of minutes
  // after two years.
  storage::HistoryRetention RetentionAt(Time now) const;
  // Writes down what was deleted: audit "product.retain", and until when for the product's page.
  Status Deleted(const std::vector<storage::HistoryDeletion>& gone);

  const api::ProductServices& services() const { return *services_; }

 private:
  explicit ProductFlow(Parts parts) : parts_(std::move(parts)), feed_(parts_.directory) {}
  Json DeletedOf(const std::string& product) const;

  const Parts parts_;
  std::unique_ptr<things::ProductAccessStore> access_;
  std::unique_ptr<api::Products> products_;
  api::ProductFeed feed_;
  storage::SqlRunner questions_, exports_;
  std::unique_ptr<api::ProductServices> services_;
};

}  // namespace penstock
