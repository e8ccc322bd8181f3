// What the routes of data products speak with beside the Services.
#pragma once

#include "api/product_feed.h"
#include "api/products.h"
#include "api/router.h"
#include "api/services.h"

namespace penstock::api {

struct ProductServices {
  Products& products;
  ProductFeed& feed;
  storage::SqlRunner& questions;  // Asked by people.
  storage::SqlRunner& exports;    // Ranges of a product as CSV, lines or Parquet.
  // What retention has deleted of a product: until when, and how many rows.
  std::function<Json(const std::string& product)> deleted;
};

// Catalogue, files, data, live samples. Both outlive the router.
void AddProductRoutes(Router& router, const Services& services, const ProductServices& products);
// Requests for access and what is decided about them.
void AddProductAccessRoutes(Router& router, const Services& services,
                            const ProductServices& products);
void AddSqlRoutes(Router& router, const Services& services, const ProductServices& products);

// A product that this request may read, or the problem.
Result<std::pair<things::DataProduct, ReadPermission>> ReadableProduct(
    const ProductServices& products, const Request& request);

// A question's answer as a body. Problems that come before the first bytes are answered as such.
Response AnswerResponse(storage::SqlRunner& runner, storage::SqlJob job, Duration limit,
                        std::vector<std::shared_ptr<const void>> keep);
// The same as a Parquet file, made when the header is due and served in ranges; `key` names the
// question, so that the ranges of one client find one file.
Response ParquetResponse(storage::SqlRunner& runner, Products& products, const Request& request,
                         storage::SqlJob job, Duration limit, const std::string& key,
                         const std::string& name, std::vector<std::shared_ptr<const void>> keep);

struct AnswerFormat {
  storage::SqlFormat format;
  std::string_view name, content_type;
};
// ?format= or Accept (RFC 9110, 12.5.1); `otherwise` when neither says. kInvalidArgument for an
// unknown format; nothing when nothing that is accepted can be given (406).
Result<std::optional<AnswerFormat>> FormatOf(const Request& request, std::string_view otherwise);
Response NotAcceptable(const Request& request);

}  // namespace penstock::api
