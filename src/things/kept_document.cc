#include "things/kept_document.h"

#include <zstd.h>

#include "base/check.h"

namespace penstock::things {
namespace {

constexpr int kFast = 1;

}  // namespace

KeptDocument::KeptDocument(const Json& document) {
  const std::string text = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  const size_t size = ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), kFast);
  CHECK(ZSTD_isError(size) == 0);
  packed_.assign(packed, 0, size);  // A copy, because shrinking may leave the room where it is.
}

std::string KeptDocument::Text() const {
  if (packed_.empty()) return "null";
  std::string text(ZSTD_getFrameContentSize(packed_.data(), packed_.size()), '\0');
  CHECK(ZSTD_decompress(text.data(), text.size(), packed_.data(), packed_.size()) == text.size());
  return text;
}

Json KeptDocument::Parse() const { return Json::parse(Text()); }

}  // namespace penstock::things
