// OPC UA values as samples: numbers of every built-in type, arrays, source times and status codes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <open62541/types.h>

#include "base/result.h"
#include "telemetry/sample.h"

namespace penstock::protocols::opcua {

inline constexpr size_t kArrayValuesMax = 1'000'000;

struct Reading {
  Time source;                                    // Of the first value of an array.
  telemetry::Quality quality = telemetry::kGood;  // The server's StatusCode without its info bits.
  bool overflow = false;                          // The server's queue lost older values.
  bool is_array = false;
  std::vector<double> values;       // Empty when the quality is bad and nothing came.
  std::optional<std::string> text;  // Of a String or LocalizedText, instead of values.
};

// Without a source time the server's, without that `ingest` is taken. kInvalidArgument when it is
// neither a number nor a text.
Result<Reading> ReadValue(const UA_DataValue& value, Time ingest);

Time ToTime(UA_DateTime time);                 // 100 ns since 1601, clamped to 1970 and later.
std::string StatusText(UA_StatusCode status);  // "BadNodeIdUnknown"
// "s=Gearbox.Torque" in the namespace of this index; the caller clears it.
Result<UA_NodeId> ParseNode(uint16_t namespace_index, const std::string& identifier);

}  // namespace penstock::protocols::opcua
