// One form of a Thing Description: its address and its binding terms become what a driver needs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "things/finding.h"
#include "things/thing.h"

namespace penstock::things {

struct FormPlace {
  std::string_view base;     // The thing's "base", or "".
  std::string_view pointer;  // "/properties/flow/forms/0"
  ValueType type;            // Of the property.
};

// Mistakes and doubts go to `findings`; nothing when the form cannot be used. The form's keys and
// their types were checked before (vocabulary.h); what is wrong there is passed over in silence
// here.
std::optional<Form> ReadForm(const Json& form, const FormPlace& place, Findings& findings);

// How many registers a value of this type fills: 1, 2 or 4.
int RegistersOf(ModbusForm::Type type);
std::string_view XsdName(ModbusForm::Type type);         // "xsd:float"
std::string_view EntityName(ModbusForm::Entity entity);  // "HoldingRegister"
std::string_view ProtocolName(Protocol protocol);        // "modbus", "opcua", "mqtt", "none"
// The device or endpoint behind a form: "127.0.0.1:502/1", "opc.tcp://host:4840",
// "mqtt://host:1883",
// "mqtt://local" for this node's own listener, "" for values that are pushed.
std::string EndpointOf(const Form& form);

}  // namespace penstock::things
