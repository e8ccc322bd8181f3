// The rows of kinds.def, declared: each is defined beside its driver.
#pragma once

#include "protocols/driver/driver.h"

namespace penstock::protocols {

#define PROTOCOL(name) extern const ProtocolKind k_##name##_kind;
#include "protocols/driver/kinds.def"
#undef PROTOCOL

}  // namespace penstock::protocols
