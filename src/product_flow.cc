#include "product_flow.h"

#include <algorithm>
#include <map>

#include "base/log.h"

namespace penstock {
Result<std::unique_ptr<ProductFlow>> ProductFlow::Open(Parts parts) {
  std::unique_ptr<ProductFlow> flow(new ProductFlow(std::move(parts)));
  const Parts& p = flow->parts_;
  TRY(p.records.Migrate("product_retention",
                        {{1,
                          "CREATE TABLE product_deleted (product TEXT PRIMARY KEY, until INTEGER "
                          "NOT NULL, rows INTEGER NOT NULL, at INTEGER NOT NULL)"}}));
  ASSIGN_OR_RETURN(auto access, things::ProductAccessStore::Open(p.records));
  flow->access_ = std::make_unique<things::ProductAccessStore>(std::move(access));
  ASSIGN_OR_RETURN(flow->products_,
                   api::Products::Open({.clock = p.clock,
                                        .directory = p.directory,
                                        .history = p.history,
                                        .access = *flow->access_,
                                        .contracts = p.contracts,
                                        .holds_title = p.holds_title,
                                        .retention = p.settings.retain_raw,
                                        .folder = p.settings.data + "/products",
                                        .privacy_key_file = p.settings.data + "/privacy.key"}));
  flow->services_ = std::unique_ptr<api::ProductServices>(new api::ProductServices{
      *flow->products_, flow->feed_, flow->questions_, flow->exports_,
      [raw = flow.get()](const std::string& product) { return raw->DeletedOf(product); }});
  return flow;
}

void ProductFlow::Attach(telemetry::Pipeline& pipeline) {
  pipeline.Subscribe([this, texts = pipeline.texts()](const telemetry::Batch& batch) {
    feed_.Observe(batch, texts);
  });
}

void ProductFlow::Close() { feed_.Close(); }

storage::HistoryRetention ProductFlow::RetentionAt(Time now) const {
  const Settings& keep = parts_.settings;
  storage::HistoryRetention rules{.raw = now - keep.retain_raw,
                                  .minutes = now - std::max(keep.retain_minutes, keep.retain_raw),
                                  .hours = now - std::max(keep.retain_hours, keep.retain_raw)};
  const auto list = products_->List();
  for (const things::DataProduct& product : *list)
    if (product.retention != parts_.settings.retain_raw)
      rules.raw_of_product[product.name] = now - product.retention;
  return rules;
}

Status ProductFlow::Deleted(const std::vector<storage::HistoryDeletion>& gone) {
  std::map<std::string, storage::HistoryDeletion> by_product;  // Days of one are told together.
  for (const storage::HistoryDeletion& part : gone) {
    if (part.level != "raw" || part.rows == 0) continue;
    const auto [at, is_new] = by_product.try_emplace(part.product, part);
    if (is_new) continue;
    at->second.rows += part.rows;
    at->second.first = std::min(at->second.first, part.first);
    at->second.last = std::max(at->second.last, part.last);
  }
  for (const auto& [name, deletion] : by_product) {
    const Time until = std::chrono::floor<std::chrono::days>(deletion.last) + std::chrono::days(1);
    const Time now = parts_.clock.Now();
    TRY(parts_.records.Transaction([&]() -> Status {
      TRY(parts_.records.Run(
          "INSERT INTO product_deleted (product, until, rows, at) VALUES (?1, ?2, ?3, ?4) ON "
          "CONFLICT (product) DO UPDATE SET until = max(product_deleted.until, excluded.until), "
          "rows = product_deleted.rows + excluded.rows, at = excluded.at",
          {deletion.product, ToMicros(until), static_cast<int64_t>(deletion.rows), ToMicros(now)}));
      TRY(parts_.audit.Append("node", "product.retain", deletion.product, "",
                              {{"rows", deletion.rows},
                               {"first", FormatTime(deletion.first)},
                               {"last", FormatTime(deletion.last)}}));
      return {};
    }));
    LogInfo("data product {}: {} samples up to {} deleted, their time is over", deletion.product,
            deletion.rows, FormatTime(deletion.last));
  }
  return {};
}

// {"until", "rows", "at"}, or null.
Json ProductFlow::DeletedOf(const std::string& product) const {
  const auto rows = parts_.records.Query(
      "SELECT until, rows, at FROM product_deleted WHERE product = ?", {product});
  if (!rows || rows->empty()) return nullptr;
  return {{"until", FormatTime(FromMicros((*rows)[0].Integer(0)))},
          {"rows", (*rows)[0].Integer(1)},
          {"at", FormatTime(FromMicros((*rows)[0].Integer(2)))}};
}

}  // namespace penstock
