// Sources: sections 5.3 and 10 of the W3C recommendation "Web of Things (WoT) Thing
// Description 1.1", the WoT binding templates for Modbus and MQTT, docs/formats/td.md for ps:. A
// row here is enough for a term to be known; what it means is the reader's part.
#include "things/vocabulary_terms.h"

namespace penstock::things {
namespace {

constexpr Term kDescribed[] = {
    {"@type", Shape::kTexts},      {"title", Shape::kText},           {"titles", Shape::kTextMap},
    {"description", Shape::kText}, {"descriptions", Shape::kTextMap},
};
constexpr Term kThing[] = {
    {"@context", Shape::kAny, Class::kNone, true},
    {"id", Shape::kText},
    {"title", Shape::kText, Class::kNone, true},
    {"version", Shape::kObject, Class::kVersion},
    {"created", Shape::kText},
    {"modified", Shape::kText},
    {"support", Shape::kText},
    {"base", Shape::kText},
    {"properties", Shape::kMap, Class::kProperty},
    {"actions", Shape::kMap, Class::kAction},
    {"events", Shape::kMap, Class::kEvent},
    {"links", Shape::kObjects, Class::kLink},
    {"forms", Shape::kObjects, Class::kRootForm},
    {"security", Shape::kTexts, Class::kNone, true},
    {"securityDefinitions", Shape::kMap, Class::kSecurity, true},
    {"profile", Shape::kTexts},
    {"schemaDefinitions", Shape::kMap, Class::kSchema},
    {"uriVariables", Shape::kMap, Class::kSchema},
    {"ps:asset", Shape::kText},
    {"ps:model", Shape::kText},
    {"ps:contract", Shape::kText},
    {"ps:classification", Shape::kText, Class::kNone, false,
     "|public|internal|confidential|personal|"},
    {"ps:product", Shape::kText},
};
constexpr Term kModelOnly[] = {
    {"tm:optional", Shape::kTexts},
    {"tm:required", Shape::kTexts},
};
constexpr Term kSchema[] = {
    {"type", Shape::kText, Class::kNone, false,
     "|boolean|integer|number|string|object|array|null|"},
    {"const", Shape::kAny},
    {"default", Shape::kAny},
    {"unit", Shape::kText},
    {"oneOf", Shape::kObjects, Class::kSchema},
    {"enum", Shape::kList},
    {"readOnly", Shape::kFlag},
    {"writeOnly", Shape::kFlag},
    {"format", Shape::kText},
    {"items", Shape::kSchemas, Class::kSchema},
    {"minItems", Shape::kCount},
    {"maxItems", Shape::kCount},
    {"minimum", Shape::kNumber},
    {"maximum", Shape::kNumber},
    {"exclusiveMinimum", Shape::kNumber},
    {"exclusiveMaximum", Shape::kNumber},
    {"multipleOf", Shape::kPositive},
    {"minLength", Shape::kCount},
    {"maxLength", Shape::kCount},
    {"pattern", Shape::kText},
    {"contentEncoding", Shape::kText},
    {"contentMediaType", Shape::kText},
    {"properties", Shape::kMap, Class::kSchema},
    {"required", Shape::kTexts},
};
constexpr Term kAffordance[] = {
    {"uriVariables", Shape::kMap, Class::kSchema},
    {"observable", Shape::kFlag},
};
constexpr Term kForms[] = {{"forms", Shape::kObjects, Class::kForm, true}};
constexpr Term kOwnProperty[] = {
    {"ps:report", Shape::kObject, Class::kReport},
    {"ps:quality", Shape::kObject, Class::kQuality},
    {"ps:priority", Shape::kText, Class::kNone, false, "|low|normal|high|"},
    {"ps:sampleRate", Shape::kPositive},
    {"ps:contract", Shape::kText},
    {"ps:classification", Shape::kText, Class::kNone, false,
     "|public|internal|confidential|personal|"},
    {"ps:product", Shape::kText},
    {"ps:column", Shape::kText},
};
constexpr Term kAction[] = {
    {"input", Shape::kObject, Class::kSchema},
    {"output", Shape::kObject, Class::kSchema},
    {"safe", Shape::kFlag},
    {"idempotent", Shape::kFlag},
    {"synchronous", Shape::kFlag},
    {"uriVariables", Shape::kMap, Class::kSchema},
};
constexpr Term kEvent[] = {
    {"subscription", Shape::kObject, Class::kSchema},
    {"data", Shape::kObject, Class::kSchema},
    {"dataResponse", Shape::kObject, Class::kSchema},
    {"cancellation", Shape::kObject, Class::kSchema},
    {"uriVariables", Shape::kMap, Class::kSchema},
};
constexpr std::string_view kInteractionOps =
    "|readproperty|writeproperty|observeproperty|unobserveproperty|invokeaction|queryaction|"
    "cancelaction|"
    "subscribeevent|unsubscribeevent|";
constexpr std::string_view kRootOps =
    "|readallproperties|writeallproperties|readmultipleproperties|writemultipleproperties|"
    "observeallproperties|unobserveallproperties|queryallactions|subscribeallevents|"
    "unsubscribeallevents|";
constexpr std::string_view kEntities = "|Coil|DiscreteInput|HoldingRegister|InputRegister|";
constexpr std::string_view kFunctions =
    "|readCoil|readDiscreteInput|readHoldingRegisters|readInputRegisters|writeSingleCoil|"
    "writeSingleHoldingRegister|writeMultipleCoils|writeMultipleHoldingRegisters|"
    "readDeviceIdentification|";
constexpr std::string_view kRegisterTypes =
    "|xsd:boolean|xsd:short|xsd:unsignedShort|xsd:int|xsd:unsignedInt|xsd:float|xsd:double|xsd:"
    "integer|"
    "xsd:decimal|xsd:byte|xsd:unsignedByte|xsd:long|xsd:unsignedLong|xsd:string|xsd:hexBinary|";
constexpr Term kOp[] = {{"op", Shape::kTexts, Class::kNone, false, kInteractionOps}};
constexpr Term kRootOp[] = {{"op", Shape::kTexts, Class::kNone, true, kRootOps}};
constexpr Term kForm[] = {
    {"href", Shape::kText, Class::kNone, true},
    {"contentType", Shape::kText},
    {"contentCoding", Shape::kText},
    {"subprotocol", Shape::kText},
    {"security", Shape::kTexts},
    {"scopes", Shape::kTexts},
    {"response", Shape::kObject, Class::kResponse},
    {"additionalResponses", Shape::kObjects, Class::kOtherResponse},
    {"modv:entity", Shape::kText, Class::kNone, false, kEntities},
    {"modv:function", Shape::kText, Class::kNone, false, kFunctions},
    {"modv:type", Shape::kText, Class::kNone, false, kRegisterTypes},
    {"modv:zeroBasedAddressing", Shape::kFlag},
    {"modv:mostSignificantByte", Shape::kFlag},
    {"modv:mostSignificantWord", Shape::kFlag},
    {"modv:pollingTime", Shape::kPositive},
    {"modv:timeout", Shape::kPositive},
    {"mqv:topic", Shape::kText},
    {"mqv:filter", Shape::kTexts},
    {"mqv:qos", Shape::kAny},
    {"mqv:retain", Shape::kFlag},
    {"mqv:controlPacket", Shape::kTexts, Class::kNone, false, "|publish|subscribe|unsubscribe|"},
    {"opcua:nodeId", Shape::kText},
    {"opcua:samplingInterval", Shape::kPositive},
    {"ps:value", Shape::kText},
    {"ps:time", Shape::kText},
    {"ps:scale", Shape::kNumber},
    {"ps:offset", Shape::kNumber},
};
constexpr Term kLink[] = {
    {"href", Shape::kText, Class::kNone, true},
    {"type", Shape::kText},
    {"rel", Shape::kText},
    {"anchor", Shape::kText},
    {"sizes", Shape::kText},
    {"hreflang", Shape::kTexts},
};
constexpr Term kSecurity[] = {
    {"scheme", Shape::kText, Class::kNone, true,
     "|nosec|auto|combo|basic|digest|apikey|bearer|psk|oauth2|"},
    {"proxy", Shape::kText},
    {"in", Shape::kText, Class::kNone, false, "|header|query|body|cookie|uri|auto|"},
    {"name", Shape::kText},
    {"qop", Shape::kText, Class::kNone, false, "|auth|auth-int|"},
    {"alg", Shape::kText},
    {"format", Shape::kText},
    {"identity", Shape::kText},
    {"authorization", Shape::kText},
    {"token", Shape::kText},
    {"refresh", Shape::kText},
    {"scopes", Shape::kTexts},
    {"flow", Shape::kText},
    {"oneOf", Shape::kTexts},
    {"allOf", Shape::kTexts},
};
constexpr Term kVersion[] = {{"instance", Shape::kText, Class::kNone, true},
                             {"model", Shape::kText}};
constexpr Term kResponse[] = {{"contentType", Shape::kText, Class::kNone, true}};
constexpr Term kOtherResponse[] = {
    {"contentType", Shape::kText}, {"schema", Shape::kText}, {"success", Shape::kFlag}};
constexpr Term kReport[] = {
    {"mode", Shape::kText, Class::kNone, false, "|every|change|"},
    {"deadband", Shape::kNumber},
    {"max_interval", Shape::kDuration},
};
constexpr Term kQuality[] = {
    {"max_rate_per_s", Shape::kPositive}, {"stale_after", Shape::kDuration},
    {"flat_after", Shape::kDuration},     {"flat_tolerance", Shape::kNumber},
    {"max_clock_skew", Shape::kDuration},
};

}  // namespace

Tables TablesOf(Class of, DocumentKind kind) {
  Tables tables;
  switch (of) {
    case Class::kNone:
      break;
    case Class::kThing:
      tables = {kThing, kDescribed};
      if (kind == DocumentKind::kModel) tables.emplace_back(kModelOnly);
      break;
    case Class::kProperty:
      tables = {kDescribed, kSchema, kAffordance, kForms, kOwnProperty};
      break;
    case Class::kAction:
      tables = {kDescribed, kAction, kForms};
      break;
    case Class::kEvent:
      tables = {kDescribed, kEvent, kForms};
      break;
    case Class::kSchema:
      tables = {kDescribed, kSchema};
      break;
    case Class::kForm:
      tables = {kForm, kOp};
      break;
    case Class::kRootForm:
      tables = {kForm, kRootOp};
      break;
    case Class::kLink:
      tables = {kLink};
      break;
    case Class::kSecurity:
      tables = {kSecurity, kDescribed};
      break;
    case Class::kVersion:
      tables = {kVersion};
      break;
    case Class::kResponse:
      tables = {kResponse};
      break;
    case Class::kOtherResponse:
      tables = {kOtherResponse};
      break;
    case Class::kReport:
      tables = {kReport};
      break;
    case Class::kQuality:
      tables = {kQuality};
      break;
  }
  return tables;
}

}  // namespace penstock::things
