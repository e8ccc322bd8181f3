// Members of a JSON object that are of the kind that is wanted; what else stands there was told by
// the vocabulary check.
#pragma once

#include <string_view>

#include "base/json.h"

namespace penstock::things {

// Null: absent, or no object.
inline const Json* ObjectIn(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? &*found : nullptr;
}

}  // namespace penstock::things
