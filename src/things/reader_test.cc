#include "things/reader.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace penstock::things {
namespace {

// The example that the documentation shows: one pressure behind a PLC.
Json PumpTd() {
  return Json::parse(R"({
    "@context": ["https://www.w3.org/2022/wot/td/v1.1",
                 {"ps": "urn:penstock:v1#", "modv": "https://www.w3.org/2019/wot/modbus#",
                  "mqv": "https://www.w3.org/2019/wot/mqtt#", "opcua": "http://opcfoundation.org/UA/WoT-Binding/",
                  "acme": "https://acme.example/terms#"}],
    "id": "urn:dev:acme:pump-7", "title": "Pump 7", "base": "modbus+tcp://10.0.0.7:502/1",
    "ps:asset": "acme/cologne/utilities/line-1/pump-7", "ps:model": "pump@1.2",
    "securityDefinitions": {"none": {"scheme": "nosec"}}, "security": "none",
    "properties": {
      "discharge_pressure": {
        "type": "number", "unit": "bar", "minimum": 0, "maximum": 16, "readOnly": true,
        "ps:report": {"mode": "change", "deadband": 0.02, "max_interval": "10s"},
        "forms": [{"href": "40?quantity=2", "op": "readproperty", "modv:entity": "HoldingRegister",
                   "modv:type": "xsd:float", "modv:mostSignificantWord": true, "modv:pollingTime": 500}]}}})");
}

Json& Property0(Json& td) { return td["properties"]["discharge_pressure"]; }
Json& Form0(Json& td) { return Property0(td)["forms"][0]; }

std::vector<Finding> FindingsOf(const Json& td) {
  return ReadThingDescription(td, "things/pump-7.td.json").findings;
}

// "pointer: message (fix)" of the only finding.
std::string Only(const Json& td) {
  const auto findings = FindingsOf(td);
  std::string all;
  for (const Finding& f : findings)
    all += fmt::format("{}{}: {} ({})\n", f.is_error ? "" : "warning ", f.error.pointer,
                       f.error.message, f.error.fix);
  if (findings.size() == 1) all.pop_back();
  return all;
}

TEST(ReaderTest, ReadsTheDocumentedExample) {
  const ReadThing read = ReadThingDescription(PumpTd(), "things/pump-7.td.json");
  ASSERT_TRUE(read.thing.has_value()) << Only(PumpTd());
  EXPECT_TRUE(read.findings.empty());
  EXPECT_EQ(read.thing->name, "pump-7");
  ASSERT_EQ(read.thing->properties.size(), 1U);
  const Property& property = read.thing->properties[0];
  EXPECT_EQ(property.point.path(), "pump-7/discharge_pressure");
  EXPECT_EQ(property.point.title, "Discharge pressure");
  EXPECT_EQ(property.point.unit, "bar");
  EXPECT_EQ(property.point.product, "pump");
  EXPECT_EQ(property.point.classification, "internal");
  EXPECT_EQ(property.point.quality.maximum, 16);
  EXPECT_TRUE(property.point.report.on_change);
  EXPECT_EQ(property.point.report.max_interval, std::chrono::seconds(10));
  ASSERT_NE(property.source(), nullptr);
  const ModbusForm& form = property.source()->modbus;
  EXPECT_EQ(form.host, "10.0.0.7");
  EXPECT_EQ(form.port, 502);
  EXPECT_EQ(form.unit, 1);
  EXPECT_EQ(form.address, 40);
  EXPECT_EQ(form.quantity, 2);
  EXPECT_EQ(form.type, ModbusForm::Type::kFloat32);
  EXPECT_EQ(form.polling, std::chrono::milliseconds(500));
}

TEST(ReaderTest, TheDocumentIsKeptWhole) {
  const Json td = PumpTd();
  const Thing thing = *ReadThingDescription(td, "things/pump-7.td.json").thing;
  EXPECT_EQ(thing.document.Parse(), td);
  EXPECT_EQ(thing.document.Text(), td.dump());
  EXPECT_EQ(thing.document, KeptDocument(td));
  EXPECT_NE(thing.document, KeptDocument(Json::object()));
  EXPECT_TRUE(KeptDocument().Parse().is_null());
}

TEST(ReaderTest, ReadsPriorityDescriptionAndSecurity) {
  Json td = PumpTd();
  Property0(td)["description"] = "Behind the valve.";
  Property0(td)["ps:priority"] = "high";
  td["securityDefinitions"]["login"] = {{"scheme", "basic"}};
  Thing thing = *ReadThingDescription(td, "things/pump-7.td.json").thing;
  EXPECT_EQ(thing.properties[0].description, "Behind the valve.");
  EXPECT_EQ(thing.properties[0].priority, storage::LogPriority::kHigh);
  EXPECT_FALSE(thing.wants_password);
  td["security"] = {"none", "login"};
  Property0(td).erase("ps:priority");
  thing = *ReadThingDescription(td, "things/pump-7.td.json").thing;
  EXPECT_TRUE(thing.wants_password);
  EXPECT_EQ(thing.properties[0].priority, std::nullopt);
}

TEST(ReaderTest, ADoubleInTwoRegistersReadsAsDocumented) {
  Json td = PumpTd();
  Form0(td)["modv:type"] = "xsd:double";
  const auto findings = FindingsOf(td);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(FormatFinding(findings[0]),
            "things/pump-7.td.json  /properties/discharge_pressure/forms/0/modv:type\n"
            "  error: \"xsd:double\" needs quantity=4, form reads 2 registers\n"
            "  fix:   quantity=4, or modv:type xsd:float");
}

TEST(ReaderTest, AllMistakesComeInOnePass) {
  Json td = PumpTd();
  td["titel"] = "Pump";
  td.erase("ps:asset");
  Property0(td)["unit"] = "psi";
  Property0(td)["minimum"] = 20;
  Form0(td)["modv:pollingTime"] = "fast";
  Form0(td)["href"] = "65535?quantity=2";
  const auto findings = FindingsOf(td);
  EXPECT_EQ(findings.size(), 6U) << Only(td);
  EXPECT_FALSE(ReadThingDescription(td, "").thing.has_value());
}

TEST(ReaderTest, UnknownKeysNameTheNearestKnownOne) {
  Json td = PumpTd();
  td["propertys"] = Json::object();
  EXPECT_EQ(Only(td), "/propertys: unknown key \"propertys\" (write \"properties\")");
  td = PumpTd();
  td["ps:assset"] = "x";
  EXPECT_EQ(Only(td), "/ps:assset: unknown key \"ps:assset\" (write \"ps:asset\")");
  td = PumpTd();
  Form0(td)["modv:pollTime"] = 5;
  EXPECT_EQ(Only(td),
            "/properties/discharge_pressure/forms/0/modv:pollTime: unknown key \"modv:pollTime\" "
            "(write \"modv:pollingTime\")");
}

TEST(ReaderTest, KeysOfDeclaredPrefixesAreLeftAlone) {
  Json td = PumpTd();
  td["acme:room"] = Json{{"floor", 3}};
  EXPECT_EQ(Only(td), "");
  td["beta:room"] = 3;
  EXPECT_EQ(Only(td),
            "/beta:room: prefix not declared: \"beta\" (add {\"beta\": \"...\"} to @context)");
}

TEST(ReaderTest, OurPrefixStandsForOneThingOnly) {
  Json td = PumpTd();
  td["@context"][1]["ps"] = "urn:other#";
  EXPECT_EQ(
      Only(td),
      "/@context/1/ps: \"ps\" must stand for \"urn:penstock:v1#\" (\"ps\": \"urn:penstock:v1#\")");
  td["@context"][1].erase("ps");
  EXPECT_NE(Only(td).find("add {\"ps\": \"urn:penstock:v1#\"} to @context"), std::string::npos);
}

TEST(ReaderTest, WrongTypesSayWhatIsThere) {
  Json td = PumpTd();
  Property0(td)["minimum"] = "low";
  EXPECT_EQ(Only(td),
            "/properties/discharge_pressure/minimum: \"minimum\" must be a number, not \"low\" ()");
  td = PumpTd();
  Property0(td)["type"] = "float";
  EXPECT_NE(Only(td).find("\"float\" is no type"), std::string::npos);
  td = PumpTd();
  Property0(td)["ps:report"]["max_interval"] = "10 parsecs";
  EXPECT_NE(Only(td).find("/properties/discharge_pressure/ps:report/max_interval: not a duration"),
            std::string::npos);
}

struct Case {
  const char* name;
  const char* patch;  // A JSON merge patch on the form.
  const char* expected;
};

class FormMistakes : public testing::TestWithParam<Case> {};

TEST_P(FormMistakes, AreExplained) {
  Json td = PumpTd();
  Form0(td).merge_patch(Json::parse(GetParam().patch));
  const std::string found = Only(td);
  EXPECT_EQ(found, std::string("/properties/discharge_pressure/forms/0") + GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Modbus, FormMistakes,
    testing::Values(
        Case{"beyond", R"({"href": "65535?quantity=2"})",
             "/href: register 65535 + quantity 2 is beyond 65536 (registers are 0..65535; a data "
             "sheet's 40001 is HoldingRegister 0)"},
        Case{"quantity_missing", R"({"href": "40"})",
             "/modv:type: \"xsd:float\" needs quantity=2, form reads 1 register (quantity=2, or "
             "modv:type xsd:unsignedShort)"},
        Case{"too_many", R"({"href": "40?quantity=126"})",
             "/href: quantity 126 is more than one request reads: 125 registers (one property per "
             "value)"},
        Case{"too_many_coils", R"({"href": "0?quantity=2001", "modv:entity": "Coil"})",
             "/href: quantity 2001 is more than one request reads: 2000 coils (one property per "
             "value)"},
        Case{"coil_with_float", R"({"modv:entity": "Coil"})",
             "/modv:type: \"xsd:float\" cannot come from a Coil, which is one bit (modv:type "
             "xsd:boolean, or modv:entity HoldingRegister)"},
        Case{"boolean_for_number", R"({"href": "40?quantity=1", "modv:type": "xsd:boolean"})",
             "/modv:type: a xsd:boolean is a boolean, the property is not (\"type\": \"boolean\" "
             "in the property)"},
        Case{"unit_id", R"({"href": "/300/40?quantity=2"})",
             "/href: unit 300 out of 0..255 (the unit id is one byte)"},
        Case{
            "no_number", R"({"href": "forty?quantity=2"})",
            "/href: no unit and register in \"/1/forty\" "
            "(modbus+tcp://HOST:PORT/UNIT/ADDRESS?quantity=N, or ADDRESS?quantity=N under a base)"},
        Case{"bad_query", R"({"href": "40?count=2"})",
             "/href: no quantity in \"?count=2\" (modbus+tcp://HOST:PORT/UNIT/ADDRESS?quantity=N, "
             "or ADDRESS?quantity=N under a base)"},
        Case{"zero", R"({"href": "40?quantity=0"})",
             "/href: quantity 0 reads nothing (quantity=1)"},
        Case{"one_based_zero", R"({"href": "0?quantity=2", "modv:zeroBasedAddressing": false})",
             "/href: address 0 with one-based addressing (addresses begin with 1, or remove "
             "modv:zeroBasedAddressing)"},
        Case{"type", R"({"modv:type": "xsd:hexBinary"})",
             "/modv:type: \"xsd:hexBinary\" is not read over Modbus (xsd:boolean, xsd:short, "
             "xsd:unsignedShort, xsd:int, xsd:unsignedInt, xsd:long, xsd:unsignedLong, xsd:float, "
             "xsd:double or xsd:string)"},
        Case{"typo", R"({"modv:type": "xsd:floot"})",
             "/modv:type: \"xsd:floot\" is no modv:type (write \"xsd:float\")"},
        Case{"entity", R"({"modv:entity": null})",
             ": missing \"modv:entity\": which kind of register (Coil, DiscreteInput, "
             "HoldingRegister or InputRegister)"},
        Case{"op", R"({"op": null})",
             ": form without \"op\" (\"op\": \"readproperty\", or \"observeproperty\")"},
        Case{"polling", R"({"modv:pollingTime": 5})",
             "/modv:pollingTime: \"modv:pollingTime\" of 5 ms, 10..3600000 are possible ()"},
        Case{"scale", R"({"ps:scale": 0})",
             "/ps:scale: scale 0 makes every value equal (value = raw * ps:scale + ps:offset)"},
        Case{"scheme", R"({"href": "modbus-tcp://h/1/40"})",
             "/href: unknown protocol scheme \"modbus-tcp\" (write \"modbus+tcp\")"},
        Case{"other_scheme", R"({"href": "coap://h/1/40"})",
             "/href: unknown protocol scheme \"coap\" (modbus+tcp, opc.tcp, mqtt, "
             "http://local/write (line protocol) or file (replay))"},
        Case{"password", R"({"href": "modbus+tcp://me:pw@h/1/40"})",
             "/href: user name or password in an address (remove it; secrets are never in the "
             "file)"},
        Case{"port", R"({"href": "modbus+tcp://h:70000/1/40"})",
             "/href: port 70000 out of 1..65535 ()"},
        Case{"topic", R"({"href": "mqtt://local/"})",
             "/href: no topic (mqtt://local/TOPIC, or \"mqv:filter\": \"line-1/+/state\")"},
        Case{"filter", R"({"href": "mqtt://local/a", "mqv:filter": "a/b#"})",
             "/mqv:filter: no topic filter: \"a/b#\" (+ stands for one whole level, # for all "
             "levels at the end)"},
        Case{"qos", R"({"href": "mqtt://local/a", "mqv:qos": 2})",
             "/mqv:qos: quality of service other than 0 and 1 (\"0\" or \"1\")"},
        Case{"pointer", R"({"href": "mqtt://local/a", "ps:value": "v"})",
             "/ps:value: no JSON pointer: \"v\" (\"/v\")"},
        Case{"node", R"({"href": "opc.tcp://h"})",
             ": missing \"opcua:nodeId\" (\"opcua:nodeId\": \"nsu=urn:acme:gearbox;s=Torque\")"},
        Case{"ns", R"({"href": "opc.tcp://h", "opcua:nodeId": "ns=2;s=A"})",
             "/opcua:nodeId: a namespace index changes when the server restarts "
             "(nsu=NAMESPACE-URI;s=NAME)"},
        Case{"node_kind", R"({"href": "opc.tcp://h", "opcua:nodeId": "i=x"})",
             "/opcua:nodeId: no node identifier: \"i=x\" (\"opcua:nodeId\": "
             "\"nsu=urn:acme:gearbox;s=Torque\")"},
        Case{"security", R"({"security": "nome"})",
             "/security: security \"nome\" is not defined (write \"none\")"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ReaderTest, ARelativeHrefNeedsABase) {
  Json td = PumpTd();
  td.erase("base");
  EXPECT_EQ(
      Only(td),
      "/properties/discharge_pressure/forms/0/href: relative href \"40?quantity=2\" without a base "
      "(give the thing a \"base\", such as modbus+tcp://10.0.0.7:502/1/)");
}

TEST(ReaderTest, OneBasedAddressesLoseOne) {
  Json td = PumpTd();
  Form0(td)["modv:zeroBasedAddressing"] = false;
  EXPECT_EQ(ReadThingDescription(td, "").thing->properties[0].source()->modbus.address, 39);
}

TEST(ReaderTest, ReadsMqttForms) {
  Json td = PumpTd();
  Property0(td)["forms"] =
      Json::parse(R"([{"href": "mqtt://broker.acme.example/line%201/state", "op": "observeproperty",
      "mqv:qos": "1", "ps:value": "/p", "ps:time": "/ts", "ps:scale": 0.1}])");
  const auto read = ReadThingDescription(td, "");
  ASSERT_TRUE(read.thing.has_value()) << Only(td);
  const MqttForm& form = read.thing->properties[0].source()->mqtt;
  EXPECT_EQ(form.broker, "mqtt://broker.acme.example:1883");
  EXPECT_EQ(form.topic, "line 1/state");
  EXPECT_EQ(form.qos, 1);
  EXPECT_EQ(form.value_pointer, "/p");
  EXPECT_EQ(form.scale, 0.1);
  Form0(td)["href"] = "mqtt://local/x";
  Form0(td)["mqv:filter"] = "line-1/+/state";
  const auto own = ReadThingDescription(td, "");
  EXPECT_EQ(own.thing->properties[0].source()->mqtt.broker, "");
  EXPECT_EQ(own.thing->properties[0].source()->mqtt.topic, "line-1/+/state");
}

TEST(ReaderTest, ReadsOpcUaForms) {
  Json td = PumpTd();
  td["base"] = "opc.tcp://127.0.0.1:14840";
  Property0(td)["forms"] = Json::parse(R"([{"href": "", "op": ["readproperty", "observeproperty"],
      "opcua:nodeId": "nsu=urn:acme:gearbox;s=Torque", "opcua:samplingInterval": 100}])");
  Form0(td)["href"] = "opc.tcp://127.0.0.1:14840";
  const auto read = ReadThingDescription(td, "");
  ASSERT_TRUE(read.thing.has_value()) << Only(td);
  const OpcUaForm& form = read.thing->properties[0].source()->opcua;
  EXPECT_EQ(form.endpoint, "opc.tcp://127.0.0.1:14840");
  EXPECT_EQ(form.namespace_uri, "urn:acme:gearbox");
  EXPECT_EQ(form.identifier, "s=Torque");
  EXPECT_EQ(form.sampling, std::chrono::milliseconds(100));
}

TEST(ReaderTest, PushedPointsHaveNoDriver) {
  Json td = PumpTd();
  Property0(td)["forms"] =
      Json::parse(R"([{"href": "http://local/write", "op": "observeproperty"}])");
  const auto read = ReadThingDescription(td, "");
  ASSERT_TRUE(read.thing.has_value()) << Only(td);
  EXPECT_EQ(read.thing->properties[0].source()->protocol, Protocol::kNone);
}

TEST(ReaderTest, AWaveformNeedsItsRateAndLength) {
  Json td = PumpTd();
  Json& property = Property0(td);
  property = Json::parse(
      R"({"type": "array", "items": {"type": "number", "minimum": -120, "maximum": 120}, "unit": "mm/s",
      "minItems": 2048, "maxItems": 2048, "ps:sampleRate": 2048,
      "forms": [{"href": "mqtt://local/v", "op": "observeproperty"}]})");
  const auto read = ReadThingDescription(td, "");
  ASSERT_TRUE(read.thing.has_value()) << Only(td);
  EXPECT_EQ(read.thing->properties[0].point.type, ValueType::kWaveform);
  EXPECT_EQ(read.thing->properties[0].point.sample_rate_hz, 2048);
  EXPECT_EQ(read.thing->properties[0].point.quality.maximum, 120);
  property.erase("ps:sampleRate");
  EXPECT_NE(Only(td).find("waveform without \"ps:sampleRate\""), std::string::npos);
  property["ps:sampleRate"] = 2048;
  property["maxItems"] = 4096;
  EXPECT_NE(Only(td).find("a waveform burst has a fixed length"), std::string::npos);
}

TEST(ReaderTest, PlaceholdersBelongIntoModels) {
  Json td = PumpTd();
  td["title"] = "Pump {{NUMBER}}";
  EXPECT_EQ(Only(td),
            "/title: placeholder left: Pump {{NUMBER}} (replace it by a value: placeholders belong "
            "into models)");
}

TEST(ReaderTest, MinimumAboveMaximum) {
  Json td = PumpTd();
  Property0(td)["minimum"] = 17;
  EXPECT_EQ(Only(td),
            "/properties/discharge_pressure/minimum: minimum 17 is above maximum 16 (swap them)");
}

TEST(ReaderTest, SecurityMustBeThere) {
  Json td = PumpTd();
  td.erase("securityDefinitions");
  EXPECT_NE(Only(td).find("missing \"securityDefinitions\""), std::string::npos);
  td = PumpTd();
  td["security"] = Json::array();
  EXPECT_NE(Only(td).find("no security chosen"), std::string::npos);
}

TEST(ReaderTest, TheNameComesFromTheId) {
  Json td = PumpTd();
  for (const char* id : {"pump-7", "urn:dev:acme:Pump 7", "urn:dev:acme:", "urn:dev:-x"}) {
    td["id"] = id;
    EXPECT_NE(Only(td).find("is no id of a thing"), std::string::npos) << id;
  }
  td["id"] = "https://acme.example/things/pump-9";
  EXPECT_EQ(ReadThingDescription(td, "").thing->name, "pump-9");
}

TEST(ReaderTest, ADescriptionIsAnObject) {
  for (const char* text : {"[]", "3", "null", "\"x\"", "{}"})
    EXPECT_FALSE(FindingsOf(Json::parse(text)).empty()) << text;
}

TEST(ReaderTest, FindingsAreBounded) {
  Json td = PumpTd();
  for (int i = 0; i < 1000; ++i) td[fmt::format("zzz{}", i)] = 1;
  const auto findings = FindingsOf(td);
  EXPECT_EQ(findings.size(), Findings::kMax + 1);
  EXPECT_EQ(findings.back().error.message, "and 800 more findings");
}

TEST(ReaderTest, ReadsAModel) {
  const Json model = Json::parse(
      R"({"@context": ["https://www.w3.org/2022/wot/td/v1.1", {"ps": "urn:penstock:v1#"}],
      "@type": "tm:ThingModel", "title": "Pump", "version": {"model": "1.2.0"}, "ps:model": "pump@1.2",
      "ps:asset": "{{ASSET}}", "tm:optional": ["/properties/flow"],
      "properties": {"flow": {"type": "number", "unit": "m3/h", "maximum": "{{MAX}}"}}})");
  const ReadModel read = ReadThingModel(model, "things/pump.tm.json");
  ASSERT_TRUE(read.model.has_value());
  EXPECT_EQ(read.model->name, "pump@1.2");
  EXPECT_EQ(read.model->version, "1.2.0");
  Json wrong = model;
  wrong["tm:optional"][0] = "/properties/floww";
  wrong["version"]["model"] = "1.3.0";
  wrong.erase("@type");
  EXPECT_EQ(ReadThingModel(wrong, "").findings.size(), 3U);
}

}  // namespace
}  // namespace penstock::things
