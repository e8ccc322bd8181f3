// Gzip bodies of requests (RFC 1952), inflated within a bound.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::api {

// All members, one after another. kInvalidArgument for what is torn or no gzip, kOutOfRange when
// more than `bytes_max` would come out.
Result<std::string> Gunzip(std::string_view gzip, size_t bytes_max);

}  // namespace penstock::api
