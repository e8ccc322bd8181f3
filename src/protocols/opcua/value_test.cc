#include "protocols/opcua/value.h"

#include <gtest/gtest.h>
#include <open62541/types_generated.h>
#include <open62541/types_generated_handling.h>

namespace penstock::protocols::opcua {
namespace {

const Time kNow = FromMicros(1'800'000'000'000'000);

UA_DataValue ValueOf(void* data, const UA_DataType& type) {
  UA_DataValue value;
  UA_DataValue_init(&value);
  UA_Variant_setScalar(&value.value, data, &type);
  value.hasValue = true;
  return value;
}

TEST(OpcUaValueTest, TimeAndStatusPassThrough) {
  UA_Int16 number = -7;
  UA_DataValue value = ValueOf(&number, UA_TYPES[UA_TYPES_INT16]);
  value.hasSourceTimestamp = true;
  value.sourceTimestamp = UA_DATETIME_UNIX_EPOCH + 1'700'000'000'123'456 * UA_DATETIME_USEC;
  value.hasStatus = true;
  value.status = 0x40940000 | 0x480;
  const auto reading = ReadValue(value, kNow);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->values, std::vector<double>{-7});
  EXPECT_EQ(reading->source, FromMicros(1'700'000'000'123'456));
  EXPECT_EQ(reading->quality, telemetry::kUncertainEngineeringUnitsExceeded);
  EXPECT_TRUE(reading->overflow);
}

TEST(OpcUaValueTest, WithoutATimeItIsNow) {
  UA_Double number = 1.5;
  EXPECT_EQ(ReadValue(ValueOf(&number, UA_TYPES[UA_TYPES_DOUBLE]), kNow)->source, kNow);
}

TEST(OpcUaValueTest, EveryNumberIsOne) {
  UA_Boolean yes = true;
  EXPECT_EQ(ReadValue(ValueOf(&yes, UA_TYPES[UA_TYPES_BOOLEAN]), kNow)->values[0], 1);
  UA_Byte byte = 200;
  EXPECT_EQ(ReadValue(ValueOf(&byte, UA_TYPES[UA_TYPES_BYTE]), kNow)->values[0], 200);
  UA_UInt64 large = 1ULL << 40;
  EXPECT_EQ(ReadValue(ValueOf(&large, UA_TYPES[UA_TYPES_UINT64]), kNow)->values[0], 1ULL << 40);
  UA_Float small = 0.5F;
  EXPECT_EQ(ReadValue(ValueOf(&small, UA_TYPES[UA_TYPES_FLOAT]), kNow)->values[0], 0.5);
}

TEST(OpcUaValueTest, ArraysKeepTheirOrder) {
  UA_Double data[] = {1, 2, 3};
  UA_DataValue value;
  UA_DataValue_init(&value);
  UA_Variant_setArray(&value.value, data, 3, &UA_TYPES[UA_TYPES_DOUBLE]);
  value.hasValue = true;
  const auto reading = ReadValue(value, kNow);
  ASSERT_TRUE(reading);
  EXPECT_TRUE(reading->is_array);
  EXPECT_EQ(reading->values, (std::vector<double>{1, 2, 3}));
}

TEST(OpcUaValueTest, BadQualityNeedsNoValueAndGoodDoes) {
  UA_DataValue value;
  UA_DataValue_init(&value);
  EXPECT_FALSE(ReadValue(value, kNow));
  value.hasStatus = true;
  value.status = UA_STATUSCODE_BADSENSORFAILURE;
  const auto reading = ReadValue(value, kNow);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->quality, telemetry::kBadSensorFailure);
  EXPECT_TRUE(reading->values.empty());
}

TEST(OpcUaValueTest, WhatIsNeitherNumberNorTextIsNamed) {
  UA_Guid guid{};
  const auto reading = ReadValue(ValueOf(&guid, UA_TYPES[UA_TYPES_GUID]), kNow);
  ASSERT_FALSE(reading);
  EXPECT_EQ(reading.error().message, "the value is a Guid");
}

TEST(OpcUaValueTest, ATimeBefore1970IsNoNegativeOne) { EXPECT_EQ(ToTime(0), FromMicros(0)); }

TEST(OpcUaValueTest, NodesAreParsed) {
  auto node = ParseNode(2, "s=Gearbox.Torque");
  ASSERT_TRUE(node);
  EXPECT_EQ(node->namespaceIndex, 2);
  EXPECT_EQ(node->identifierType, UA_NODEIDTYPE_STRING);
  UA_NodeId_clear(&*node);
  EXPECT_EQ(ParseNode(0, "i=85")->identifier.numeric, 85U);
  EXPECT_FALSE(ParseNode(0, "x=85"));
  EXPECT_FALSE(ParseNode(0, ""));
}

TEST(OpcUaValueTest, TextsComeAsTexts) {
  UA_String text = UA_STRING_STATIC("Running \xC3\xA4");
  const auto reading = ReadValue(ValueOf(&text, UA_TYPES[UA_TYPES_STRING]), kNow);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->text, "Running \xC3\xA4");
  EXPECT_TRUE(reading->values.empty());
  UA_LocalizedText localized{UA_STRING_STATIC("en"), UA_STRING_STATIC("stopped")};
  EXPECT_EQ(ReadValue(ValueOf(&localized, UA_TYPES[UA_TYPES_LOCALIZEDTEXT]), kNow)->text,
            "stopped");
  UA_String empty = UA_STRING_NULL;
  EXPECT_EQ(ReadValue(ValueOf(&empty, UA_TYPES[UA_TYPES_STRING]), kNow)->text, "");
  UA_Double number = 1;
  EXPECT_FALSE(ReadValue(ValueOf(&number, UA_TYPES[UA_TYPES_DOUBLE]), kNow)->text);
}

}  // namespace
}  // namespace penstock::protocols::opcua
