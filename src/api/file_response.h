// A file as an answer: whole or a range of it (RFC 9110, sections 13 and 14), streamed from disk.
//
// Thread rule: pure functions; the stream belongs to its connection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/http.h"

namespace penstock::api {

struct ByteRange {
  uint64_t first = 0, last = 0;  // Both included.
};

// What "Range" asks of `size` bytes. Nothing: the whole (no range, several, another unit, or not
// well formed, as the standard has it). kOutOfRange: 416.
Result<std::optional<ByteRange>> ParseByteRange(std::string_view header, uint64_t size);
// Whether a list of entity tags (or *) holds this one; weak ones count only with `weak`.
bool MatchesEtag(std::string_view header, std::string_view etag, bool weak);

struct FileAnswer {
  std::string path;
  std::string etag;  // Without quotes; changes with the content.
  std::string content_type = "application/vnd.apache.parquet";
  std::string name;                  // Offered for saving; "" for none.
  std::shared_ptr<const void> keep;  // Lives as long as the answer: the file stays.
};

// 200, 206, 304 or 416. kNotFound when the file is gone.
Result<Response> FileResponse(const Request& request, const FileAnswer& file);

}  // namespace penstock::api
