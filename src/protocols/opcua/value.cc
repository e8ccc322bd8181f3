#include "protocols/opcua/value.h"

#include <algorithm>

#include <open62541/types_generated.h>
#include <open62541/types_generated_handling.h>

namespace penstock::protocols::opcua {
namespace {

// OPC 10000-4, 7.39.1: the upper half is the code, the lower half flags about this one value.
constexpr UA_StatusCode kCodeBits = 0xFFFF0000;
constexpr UA_StatusCode kInfoTypeDataValue = 0x00000400, kOverflow = 0x00000080;

template <typename T>
void Append(const UA_Variant& variant, size_t count, std::vector<double>& values) {
  const T* data = static_cast<const T*>(variant.data);
  for (size_t i = 0; i < count; ++i) values.push_back(static_cast<double>(data[i]));
}

// False when the type is no number.
bool AppendNumbers(const UA_Variant& variant, size_t count, std::vector<double>& values) {
  switch (variant.type->typeKind) {
    case UA_DATATYPEKIND_BOOLEAN:
      Append<UA_Boolean>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_SBYTE:
      Append<UA_SByte>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_BYTE:
      Append<UA_Byte>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_INT16:
      Append<UA_Int16>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_UINT16:
      Append<UA_UInt16>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_INT32:
    case UA_DATATYPEKIND_ENUM:
      Append<UA_Int32>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_UINT32:
      Append<UA_UInt32>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_INT64:
      Append<UA_Int64>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_UINT64:
      Append<UA_UInt64>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_FLOAT:
      Append<UA_Float>(variant, count, values);
      return true;
    case UA_DATATYPEKIND_DOUBLE:
      Append<UA_Double>(variant, count, values);
      return true;
    default:
      return false;
  }
}

// Nothing when the type is no text.
std::optional<std::string> ScalarText(const UA_Variant& variant) {
  const UA_String* text = nullptr;
  if (variant.type->typeKind == UA_DATATYPEKIND_STRING)
    text = static_cast<const UA_String*>(variant.data);
  if (variant.type->typeKind == UA_DATATYPEKIND_LOCALIZEDTEXT)
    text = &static_cast<const UA_LocalizedText*>(variant.data)->text;
  if (text == nullptr) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(text->data), text->length);
}

}  // namespace

Time ToTime(UA_DateTime time) {
  return FromMicros(std::max<int64_t>(0, (time - UA_DATETIME_UNIX_EPOCH) / UA_DATETIME_USEC));
}

std::string StatusText(UA_StatusCode status) { return UA_StatusCode_name(status); }

Result<Reading> ReadValue(const UA_DataValue& value, Time ingest) {
  Reading reading;
  reading.source = ingest;
  if (value.hasSourceTimestamp) {
    reading.source = ToTime(value.sourceTimestamp);
  } else if (value.hasServerTimestamp) {
    reading.source = ToTime(value.serverTimestamp);
  }
  const UA_StatusCode status = value.hasStatus ? value.status : UA_STATUSCODE_GOOD;
  reading.quality = status & kCodeBits;
  reading.overflow = (status & kInfoTypeDataValue) != 0 && (status & kOverflow) != 0;
  if (!value.hasValue || value.value.type == nullptr) {
    if (telemetry::IsBad(reading.quality)) return reading;
    return InvalidArgument("the value is null");
  }
  reading.is_array = !UA_Variant_isScalar(&value.value);
  const size_t count = reading.is_array ? value.value.arrayLength : 1;
  if (count > kArrayValuesMax) {
    return InvalidArgument("an array of {} values, at most {} are taken", count, kArrayValuesMax);
  }
  if (!reading.is_array) reading.text = ScalarText(value.value);
  if (reading.text) return reading;
  if (!AppendNumbers(value.value, count, reading.values)) {
    return InvalidArgument("the value is a {}", value.value.type->typeName);
  }
  return reading;
}

Result<UA_NodeId> ParseNode(uint16_t namespace_index, const std::string& identifier) {
  std::string text = fmt::format("ns={};{}", namespace_index, identifier);
  UA_NodeId node = UA_NODEID_NULL;
  const UA_String view{text.size(), reinterpret_cast<UA_Byte*>(text.data())};
  const UA_StatusCode status = UA_NodeId_parse(&node, view);
  if (status != UA_STATUSCODE_GOOD) {
    return InvalidArgument("node identifier {} is none: {}", identifier, StatusText(status));
  }
  return node;
}

}  // namespace penstock::protocols::opcua
