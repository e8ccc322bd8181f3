// A W3C WoT Thing Description 1.1 as the drivers use it: one real source, its points and how to
// reach them.
//
// The JSON is kept whole, packed (`document`); what is typed here is what the program reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "storage/log_record.h"
#include "things/kept_document.h"
#include "things/point.h"

namespace penstock::things {

enum class Protocol { kNone, kModbus, kOpcUa, kMqtt };

// modv: terms of the WoT Modbus binding; addresses are zero-based protocol data unit addresses.
struct ModbusForm {
  enum class Entity { kCoil, kDiscreteInput, kHoldingRegister, kInputRegister };
  // kString: two bytes of text a register, up to the first NUL.
  enum class Type {
    kBoolean,
    kInt16,
    kUint16,
    kInt32,
    kUint32,
    kFloat32,
    kFloat64,
    kInt64,
    kUint64,
    kString
  };
  std::string host;
  uint16_t port = 502;
  uint8_t unit = 1;
  Entity entity = Entity::kHoldingRegister;
  Type type = Type::kUint16;
  uint16_t address = 0;
  uint16_t quantity = 1;              // Registers or coils read.
  bool most_significant_byte = true;  // Order inside a register.
  bool most_significant_word = true;  // Order of the registers.
  Duration polling{1000000};
  Duration timeout{1000000};
  double scale = 1, offset = 0;  // value = raw * scale + offset ("ps:scale", "ps:offset").
};

struct OpcUaForm {
  std::string endpoint;       // "opc.tcp://127.0.0.1:4840"
  std::string namespace_uri;  // Resolved to an index at connect time.
  std::string identifier;     // "s=Gearbox.Torque" | "i=85"
  Duration sampling{500000};
  double scale = 1, offset = 0;
};

struct MqttForm {
  std::string broker;  // "" = this node's own listener; else "mqtt://host:1883".
  std::string topic;   // Filter with + and # allowed.
  int qos = 0;
  std::string
      value_pointer;  // RFC 6901 into the JSON payload; "" = the payload itself is the value.
  std::string time_pointer;  // RFC 3339 or epoch milliseconds; "" = ingest time.
  double scale = 1, offset = 0;
};

struct Form {
  Protocol protocol =
      Protocol::kNone;    // kNone: nothing to drive, values are pushed or replayed to us.
  bool readable = true;   // readproperty or observeproperty.
  bool writable = false;  // writeproperty.
  ModbusForm modbus;
  OpcUaForm opcua;
  MqttForm mqtt;
};

struct Property {
  Point point;
  std::vector<Form> forms;  // The first readable/observable one is used.
  std::string column;  // Name in replayed CSV files ("ps:column"); "" = the property's own name.
  std::string description;                       // For people, a sentence or two.
  std::optional<storage::LogPriority> priority;  // "ps:priority"; absent: by the point's type.
  const Form* source() const;  // That first readable form; nullptr when nothing is read.
};

struct Thing {
  std::string id;     // "urn:dev:acme:pump-7"
  std::string name;   // "pump-7"
  std::string title;  // "Pump 7"
  std::string asset;  // ISA-95 path.
  std::string model;  // "pump@1.2"
  std::string file;   // Where it was read from.
  std::vector<Property> properties;
  bool wants_password = false;  // "basic" is one of the schemes of its security.
  KeptDocument document;
  const Property* FindProperty(std::string_view property) const;
};

// What a kind of asset is: the properties, types and units that its Thing Descriptions must meet.
struct ThingModel {
  std::string name;     // "pump@1.2": KIND@MAJOR.MINOR.
  std::string title;    // "Centrifugal pump skid"
  std::string version;  // "1.2.0"
  std::string file;
  Json document;  // tm:extends and tm:ref resolved, placeholders kept.
};

}  // namespace penstock::things
