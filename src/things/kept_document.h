// A JSON document as it waits for somebody who asks for it: compressed text. A parsed one is forty
// times as large, and a site has thousands that nobody looks at.
#pragma once

#include <string>

#include "base/json.h"

namespace penstock::things {

class KeptDocument {
 public:
  KeptDocument() = default;
  explicit KeptDocument(const Json& document);

  std::string Text() const;  // Compact, keys in order; "null" when nothing was kept.
  Json Parse() const;
  // Of the same content.
  bool operator==(const KeptDocument&) const = default;

 private:
  std::string packed_;  // Zstandard (RFC 8878), one frame.
};

}  // namespace penstock::things
