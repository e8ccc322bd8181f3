// Modbus: the address is modbus+tcp://HOST[:502]/UNIT/ADDRESS?quantity=N. MQTT: mqtt://local/TOPIC
// is this node's own listener, mqtt://HOST[:1883]/TOPIC a foreign broker. OPC UA:
// opc.tcp://HOST[:4840][/PATH] with the node in opcua:nodeId. http://local/write (line protocol)
// and file:NAME.csv (replay) say that values are pushed to us: nothing is driven. Terms:
// docs/formats/td.md.
//
// Each reader goes on after a mistake where it can, so that one pass shows all mistakes of a form.
#include "things/form.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "things/address.h"
#include "things/reader.h"

namespace penstock::things {
namespace {

using Entity = ModbusForm::Entity;
using Type = ModbusForm::Type;

struct TypeRow {
  std::string_view name;
  Type type;
  int registers;
};
constexpr TypeRow kTypes[] = {
    {"xsd:boolean", Type::kBoolean, 1},      {"xsd:short", Type::kInt16, 1},
    {"xsd:unsignedShort", Type::kUint16, 1}, {"xsd:int", Type::kInt32, 2},
    {"xsd:unsignedInt", Type::kUint32, 2},   {"xsd:float", Type::kFloat32, 2},
    {"xsd:double", Type::kFloat64, 4},       {"xsd:long", Type::kInt64, 4},
    {"xsd:unsignedLong", Type::kUint64, 4},  {"xsd:string", Type::kString, 0},
};

// Of the binding too, but not what a 16-bit register machine is read with here.
constexpr std::string_view kOtherTypes[] = {"xsd:integer", "xsd:decimal", "xsd:byte",
                                            "xsd:unsignedByte", "xsd:hexBinary"};

struct EntityRow {
  std::string_view name;
  Entity entity;
  bool bits;
  unsigned most;  // In one request, Modbus application protocol 1.1b3, sections 6.1 to 6.4.
};
constexpr EntityRow kEntities[] = {
    {"Coil", Entity::kCoil, true, 2000},
    {"DiscreteInput", Entity::kDiscreteInput, true, 2000},
    {"HoldingRegister", Entity::kHoldingRegister, false, 125},
    {"InputRegister", Entity::kInputRegister, false, 125},
};

struct FunctionRow {
  std::string_view name;
  Entity entity;
};
constexpr FunctionRow kFunctions[] = {
    {"readCoil", Entity::kCoil},
    {"readDiscreteInput", Entity::kDiscreteInput},
    {"readHoldingRegisters", Entity::kHoldingRegister},
    {"readInputRegisters", Entity::kInputRegister},
    {"writeSingleCoil", Entity::kCoil},
    {"writeMultipleCoils", Entity::kCoil},
    {"writeSingleHoldingRegister", Entity::kHoldingRegister},
    {"writeMultipleHoldingRegisters", Entity::kHoldingRegister},
};

const EntityRow& RowOf(Entity entity) { return kEntities[static_cast<size_t>(entity)]; }

// The type of `registers` registers, as a hint: what would fit.
std::string_view TypeOfRegisters(int registers) {
  if (registers == 4) return "xsd:double";
  return registers == 2 ? "xsd:float" : "xsd:unsignedShort";
}

bool ParseWhole(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

class FormReader {
 public:
  FormReader(const Json& form, const FormPlace& place, Findings& findings)
      : json_(form), place_(place), findings_(findings) {}

  std::optional<Form> Read() {
    const size_t before = findings_.errors();
    ReadOperations();
    const auto href = json_.find("href");
    if (href == json_.end() || !href->is_string())
      return std::nullopt;  // Told by the vocabulary check.
    auto whole = ResolveAddress(place_.base, href->get_ref<const std::string&>());
    if (!whole) return Refuse("href", whole.error());
    auto address = ParseAddress(*whole);
    if (!address) return Refuse("href", address.error());
    ReadProtocol(*address);
    if (findings_.errors() > before) return std::nullopt;
    return form_;
  }

 private:
  std::string At(std::string_view key) const {
    return fmt::format("{}/{}", place_.pointer, EscapePointer(key));
  }

  void Mistake(std::string_view key, std::string message, std::string_view fix = "") {
    findings_.Mistake(At(key), std::move(message), fix);
  }

  std::nullopt_t Refuse(std::string_view key, Error error) {
    findings_.Mistake(error.At(At(key)));
    return std::nullopt;
  }

  std::string Text(std::string_view key) const { return StringOr(json_, key, ""); }

  void ReadOperations() {
    const auto op = json_.find("op");
    if (op == json_.end()) {
      findings_.Mistake(place_.pointer, "form without \"op\"",
                        "\"op\": \"readproperty\", or \"observeproperty\"");
      return;
    }
    const Json list = op->is_array() ? *op : Json::array({*op});
    if (list.empty())
      Mistake("op", "no operation", "\"op\": \"readproperty\", or \"observeproperty\"");
    form_.readable = form_.writable = false;
    for (const Json& word : list) {
      if (!word.is_string()) continue;
      const auto& text = word.get_ref<const std::string&>();
      if (text == "readproperty" || text == "observeproperty")
        form_.readable = true;
      else if (text == "writeproperty")
        form_.writable = true;
      else if (text != "unobserveproperty" && (text.ends_with("action") || text.ends_with("event")))
        Mistake("op", fmt::format("\"{}\" is not for a property", text),
                "readproperty, observeproperty, writeproperty");
    }
  }

  void ReadProtocol(const Address& address) {
    if (address.scheme == "modbus+tcp") return ReadModbus(address);
    if (address.scheme == "opc.tcp") return ReadOpcUa(address);
    if (address.scheme == "mqtt") return ReadMqtt(address);
    const bool pushed =
        (address.scheme == "http" && address.host == "local") || address.scheme == "file";
    if (pushed) return;
    const std::string nearest = Nearest(address.scheme, {"modbus+tcp", "opc.tcp", "mqtt", "file"});
    Mistake("href", fmt::format("unknown protocol scheme \"{}\"", address.scheme),
            nearest.empty()
                ? "modbus+tcp, opc.tcp, mqtt, http://local/write (line protocol) or file (replay)"
                : fmt::format("write \"{}\"", nearest));
  }

  void ReadScale(double& scale, double& offset) {
    scale = NumberOr(json_, "ps:scale", 1);
    offset = NumberOr(json_, "ps:offset", 0);
    if (scale == 0)
      Mistake("ps:scale", "scale 0 makes every value equal", "value = raw * ps:scale + ps:offset");
    const bool number = place_.type == ValueType::kNumber || place_.type == ValueType::kInteger ||
                        place_.type == ValueType::kWaveform;
    for (const std::string_view key : {"ps:scale", "ps:offset"})
      if (!number && json_.contains(key))
        Mistake(key, fmt::format("\"{}\" is for numbers", key), "remove it");
  }

  // A number of real milliseconds.
  Duration Milliseconds(std::string_view key, double otherwise) {
    const double ms = NumberOr(json_, key, otherwise);
    if (ms < 10 || ms > 3'600'000) {
      Mistake(key, fmt::format("\"{}\" of {} ms, 10..3600000 are possible", key, ms));
      return Duration(0);
    }
    return FromSeconds(ms / 1000);
  }

  void NeedHost(const Address& address, std::string_view example) {
    if (address.host.empty()) Mistake("href", "host missing in the address", example);
  }

  // --- Modbus
  // -----------------------------------------------------------------------------------------------

  void ReadModbus(const Address& address) {
    form_.protocol = Protocol::kModbus;
    ModbusForm& modbus = form_.modbus;
    NeedHost(address, "modbus+tcp://10.0.0.7:502/1/40?quantity=2");
    modbus.host = address.host;
    modbus.port = address.port == 0 ? 502 : address.port;
    const bool known_entity = ReadEntity(modbus);
    const bool known_quantity = ReadRegister(address, modbus);
    const bool known_type = ReadType(modbus);
    if (known_entity && known_quantity) CheckRegister(modbus, known_type);
    modbus.most_significant_byte = BoolOr(json_, "modv:mostSignificantByte", true);
    modbus.most_significant_word = BoolOr(json_, "modv:mostSignificantWord", true);
    modbus.polling = Milliseconds("modv:pollingTime", 1000);
    modbus.timeout = Milliseconds("modv:timeout", 1000);
    ReadScale(modbus.scale, modbus.offset);
    if (place_.type == ValueType::kWaveform)
      Mistake("href", "a waveform cannot be read over Modbus",
              "one property per register, or MQTT or OPC UA");
  }

  bool ReadEntity(ModbusForm& modbus) {
    const std::string entity = Text("modv:entity"), function = Text("modv:function");
    if (entity.empty() && function.empty()) {
      findings_.Mistake(place_.pointer, "missing \"modv:entity\": which kind of register",
                        "Coil, DiscreteInput, HoldingRegister or InputRegister");
      return false;
    }
    bool found = false;
    for (const EntityRow& row : kEntities)
      if (row.name == entity) {
        modbus.entity = row.entity;
        found = true;
      }
    for (const FunctionRow& row : kFunctions)
      if (row.name == function) {
        if (found && row.entity != modbus.entity)
          Mistake("modv:function", fmt::format("\"{}\" does not reach a {}", function, entity),
                  "remove modv:function");
        modbus.entity = row.entity;
        found = true;
      }
    return found;
  }

  // UNIT/ADDRESS?quantity=N
  bool ReadRegister(const Address& address, ModbusForm& modbus) {
    constexpr std::string_view kForm =
        "modbus+tcp://HOST:PORT/UNIT/ADDRESS?quantity=N, or ADDRESS?quantity=N under a base";
    const size_t slash = address.path.find('/');
    uint64_t unit = 0, first = 0, quantity = 1;
    if (slash == address.path.npos ||
        !ParseWhole(std::string_view(address.path).substr(0, slash), unit) ||
        !ParseWhole(std::string_view(address.path).substr(slash + 1), first)) {
      Mistake("href", fmt::format("no unit and register in \"/{}\"", address.path.substr(0, 80)),
              kForm);
      return false;
    }
    bool good = true;
    const auto refuse = [&](std::string message, std::string_view fix) {
      Mistake("href", std::move(message), fix);
      good = false;
    };
    if (unit > 255) refuse(fmt::format("unit {} out of 0..255", unit), "the unit id is one byte");
    if (!ReadQuantity(address.query, quantity))
      refuse(fmt::format("no quantity in \"?{}\"", address.query.substr(0, 40)), kForm);
    if (quantity == 0) refuse("quantity 0 reads nothing", "quantity=1");
    if (!BoolOr(json_, "modv:zeroBasedAddressing", true)) {
      if (first == 0)
        refuse("address 0 with one-based addressing",
               "addresses begin with 1, or remove modv:zeroBasedAddressing");
      first = first == 0 ? 0 : first - 1;
    }
    if (first > 65535 || (quantity > 0 && quantity > 65536 - first))
      refuse(fmt::format("register {} + quantity {} is beyond 65536", first, quantity),
             "registers are 0..65535; a data sheet's 40001 is HoldingRegister 0");
    modbus.unit = static_cast<uint8_t>(unit);
    modbus.address = static_cast<uint16_t>(first);
    quantity_ = quantity;
    modbus.quantity = static_cast<uint16_t>(std::min<uint64_t>(quantity, 65535));
    return good;
  }

  static bool ReadQuantity(std::string_view query, uint64_t& quantity) {
    if (query.empty()) return true;
    return query.starts_with("quantity=") && ParseWhole(query.substr(9), quantity);
  }

  // False when modv:type is none of ours; the default is left to CheckRegister.
  bool ReadType(ModbusForm& modbus) {
    const std::string name = Text("modv:type");
    if (name.empty()) {
      const bool bits = RowOf(modbus.entity).bits || place_.type == ValueType::kBoolean;
      modbus.type = bits                                ? Type::kBoolean
                    : place_.type == ValueType::kString ? Type::kString
                                                        : Type::kUint16;
      return true;
    }
    for (const TypeRow& row : kTypes)
      if (row.name == name) {
        modbus.type = row.type;
        return true;
      }
    // Words that are none of the binding's were told of by the vocabulary check.
    if (std::find(std::begin(kOtherTypes), std::end(kOtherTypes), name) != std::end(kOtherTypes))
      Mistake("modv:type", fmt::format("\"{}\" is not read over Modbus", name),
              "xsd:boolean, xsd:short, xsd:unsignedShort, xsd:int, xsd:unsignedInt, xsd:long, "
              "xsd:unsignedLong, xsd:float, xsd:double or xsd:string");
    return false;
  }

  void CheckRegister(const ModbusForm& modbus, bool known_type) {
    const EntityRow& entity = RowOf(modbus.entity);
    const char* things = entity.bits ? "coils" : "registers";
    if (quantity_ > entity.most)
      return Mistake("href",
                     fmt::format("quantity {} is more than one request reads: {} {}", quantity_,
                                 entity.most, things),
                     "one property per value");
    if (!known_type) return;
    const std::string_view type = XsdName(modbus.type);
    if (entity.bits && modbus.type != Type::kBoolean)
      return Mistake(
          "modv:type",
          fmt::format("\"{}\" cannot come from a {}, which is one bit", type, entity.name),
          "modv:type xsd:boolean, or modv:entity HoldingRegister");
    CheckQuantity(modbus);
    CheckMeaning(modbus, entity);
  }

  void CheckQuantity(const ModbusForm& modbus) {
    if (modbus.type == Type::kString) return;  // As many as the text has.
    const int needed = RegistersOf(modbus.type);
    if (quantity_ == static_cast<uint64_t>(needed)) return;
    const bool named = json_.contains("modv:type");
    const std::string_view fits =
        TypeOfRegisters(static_cast<int>(std::min<uint64_t>(quantity_, 5)));
    const bool other_fits = quantity_ == 1 || quantity_ == 2 || quantity_ == 4;
    const std::string fix = other_fits && !RowOf(modbus.entity).bits
                                ? fmt::format("quantity={}, or modv:type {}", needed, fits)
                                : fmt::format("quantity={}", needed);
    Mistake(named ? "modv:type" : "href",
            fmt::format("\"{}\" needs quantity={}, form reads {} {}{}", XsdName(modbus.type),
                        needed, quantity_, RowOf(modbus.entity).bits ? "coil" : "register",
                        quantity_ == 1 ? "" : "s"),
            fix);
  }

  void CheckMeaning(const ModbusForm& modbus, const EntityRow& entity) {
    const bool boolean = modbus.type == Type::kBoolean;
    if ((modbus.type == Type::kString) != (place_.type == ValueType::kString))
      return Mistake(json_.contains("modv:type") || !entity.bits ? "modv:type" : "modv:entity",
                     fmt::format("\"{}\" for a property of type {}", XsdName(modbus.type),
                                 ValueTypeName(place_.type)),
                     place_.type == ValueType::kString
                         ? "modv:type xsd:string, from a HoldingRegister or an InputRegister"
                         : "\"type\": \"string\" in the property");
    if (boolean && place_.type != ValueType::kBoolean)
      Mistake(entity.bits ? "modv:entity" : "modv:type",
              fmt::format("a {} is a boolean, the property is not",
                          entity.bits ? entity.name : "xsd:boolean"),
              "\"type\": \"boolean\" in the property");
    if (!boolean && place_.type == ValueType::kBoolean)
      Mistake("modv:type", fmt::format("\"{}\" for a boolean property", XsdName(modbus.type)),
              "modv:type xsd:boolean");
    const bool real = modbus.type == Type::kFloat32 || modbus.type == Type::kFloat64;
    if (real && place_.type == ValueType::kInteger)
      findings_.Doubt(At("modv:type"),
                      fmt::format("\"{}\" for an integer property", XsdName(modbus.type)),
                      "\"type\": \"number\" in the property");
  }

  // --- OPC UA
  // -----------------------------------------------------------------------------------------------

  void ReadOpcUa(const Address& address) {
    form_.protocol = Protocol::kOpcUa;
    OpcUaForm& opcua = form_.opcua;
    NeedHost(address, "opc.tcp://10.0.0.8:4840");
    opcua.endpoint =
        "opc.tcp://" + HostAndPort(address.host, address.port == 0 ? 4840 : address.port);
    if (!address.path.empty()) opcua.endpoint += "/" + address.path;
    if (!address.query.empty())
      Mistake("href", "an OPC UA address has no query", "the node goes into opcua:nodeId");
    opcua.sampling = Milliseconds("opcua:samplingInterval", 500);
    ReadScale(opcua.scale, opcua.offset);
    if (!json_.contains("opcua:nodeId"))
      return findings_.Mistake(place_.pointer, "missing \"opcua:nodeId\"", kNodeExample);
    ReadNode(Text("opcua:nodeId"), opcua);
  }

  void ReadNode(std::string_view node, OpcUaForm& opcua) {
    if (node.size() > 4096) return Mistake("opcua:nodeId", "node id longer than 4096 bytes");
    if (node.starts_with("ns="))
      return Mistake("opcua:nodeId", "a namespace index changes when the server restarts",
                     "nsu=NAMESPACE-URI;s=NAME");
    if (node.starts_with("nsu=")) {
      const size_t end = node.find(';');
      if (end == node.npos || end == 4)
        return Mistake("opcua:nodeId",
                       fmt::format("no node behind the namespace: \"{}\"", node.substr(0, 80)),
                       kNodeExample);
      opcua.namespace_uri = node.substr(4, end - 4);
      node.remove_prefix(end + 1);
    }
    opcua.identifier = node;
    if (!IsIdentifier(node))
      Mistake("opcua:nodeId", fmt::format("no node identifier: \"{}\"", node.substr(0, 80)),
              kNodeExample);
  }

  static bool IsIdentifier(std::string_view node) {
    if (node.size() < 3 || node[1] != '=') return false;
    const std::string_view value = node.substr(2);
    uint64_t number = 0;
    switch (node[0]) {
      case 's':
        return true;
      case 'i':
        return ParseWhole(value, number) && number <= UINT32_MAX;
      case 'g':
        return IsGuid(value);
      case 'b':
        return FromBase64(value).has_value();
      default:
        return false;
    }
  }

  static bool IsGuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (size_t i = 0; i < text.size(); ++i) {
      const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
      const char c = text[i];
      const bool hex = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
      if (dash ? c != '-' : !hex) return false;
    }
    return true;
  }

  // --- MQTT
  // -------------------------------------------------------------------------------------------------

  void ReadMqtt(const Address& address) {
    form_.protocol = Protocol::kMqtt;
    MqttForm& mqtt = form_.mqtt;
    NeedHost(address, "mqtt://local/TOPIC, or mqtt://HOST:1883/TOPIC");
    if (address.host != "local")
      mqtt.broker = "mqtt://" + HostAndPort(address.host, address.port == 0 ? 1883 : address.port);
    else if (address.port != 0)
      Mistake("href", "the node's own listener has no port in a form", "mqtt://local/TOPIC");
    ReadTopic(address, mqtt);
    ReadDelivery(mqtt);
    mqtt.value_pointer = Pointer("ps:value");
    mqtt.time_pointer = Pointer("ps:time");
    ReadScale(mqtt.scale, mqtt.offset);
  }

  void ReadTopic(const Address& address, MqttForm& mqtt) {
    std::string key = "href";
    mqtt.topic = address.path;
    if (const std::string topic = Text("mqv:topic"); !topic.empty()) {
      key = "mqv:topic";
      mqtt.topic = topic;
    }
    if (const auto filter = json_.find("mqv:filter"); filter != json_.end()) {
      key = "mqv:filter";
      if (filter->is_array() && filter->size() != 1)
        return Mistake(key, fmt::format("{} filters, one form reads one", filter->size()),
                       "one form per filter");
      const Json& one = filter->is_array() ? (*filter)[0] : *filter;
      if (one.is_string()) mqtt.topic = one.get<std::string>();
    }
    if (mqtt.topic.empty())
      return Mistake(key, "no topic", "mqtt://local/TOPIC, or \"mqv:filter\": \"line-1/+/state\"");
    if (mqtt.topic.size() > 65535) return Mistake(key, "topic longer than 65535 bytes");
    if (!IsTopicFilter(mqtt.topic))
      Mistake(key, fmt::format("no topic filter: \"{}\"", mqtt.topic.substr(0, 80)),
              "+ stands for one whole level, # for all levels at the end");
  }

  // MQTT 3.1.1, 4.7.1.
  static bool IsTopicFilter(std::string_view filter) {
    for (size_t i = 0; i < filter.size(); ++i) {
      const bool level_begins = i == 0 || filter[i - 1] == '/';
      const bool level_ends = i + 1 == filter.size() || filter[i + 1] == '/';
      if (filter[i] == '\0') return false;
      if (filter[i] == '+' && (!level_begins || !level_ends)) return false;
      if (filter[i] == '#' && (!level_begins || i + 1 != filter.size())) return false;
    }
    return true;
  }

  void ReadDelivery(MqttForm& mqtt) {
    if (const auto qos = json_.find("mqv:qos"); qos != json_.end()) {
      if (*qos == "1" || *qos == 1)
        mqtt.qos = 1;
      else if (*qos != "0" && *qos != 0)
        Mistake("mqv:qos", "quality of service other than 0 and 1", "\"0\" or \"1\"");
    }
    if (const auto packet = json_.find("mqv:controlPacket");
        packet != json_.end() && form_.readable && *packet == "publish")
      Mistake("mqv:controlPacket", "a reading form subscribes",
              "\"mqv:controlPacket\": \"subscribe\"");
  }

  // RFC 6901: "" or "/..." with "~" only before 0 or 1.
  std::string Pointer(std::string_view key) {
    const std::string pointer = Text(key);
    bool good = pointer.empty() || pointer.starts_with('/');
    for (size_t i = 0; i < pointer.size(); ++i)
      if (pointer[i] == '~' &&
          (i + 1 == pointer.size() || (pointer[i + 1] != '0' && pointer[i + 1] != '1')))
        good = false;
    if (!good)
      Mistake(key, fmt::format("no JSON pointer: \"{}\"", pointer.substr(0, 80)),
              pointer.starts_with('/') ? "\"~\" is written ~0, \"/\" in a name ~1"
                                       : fmt::format("\"/{}\"", pointer.substr(0, 80)));
    return pointer;
  }

  static constexpr std::string_view kNodeExample =
      "\"opcua:nodeId\": \"nsu=urn:acme:gearbox;s=Torque\"";

  const Json& json_;
  const FormPlace& place_;
  Findings& findings_;
  Form form_;
  uint64_t quantity_ = 1;
};

}  // namespace

std::optional<Form> ReadForm(const Json& form, const FormPlace& place, Findings& findings) {
  if (!form.is_object()) return std::nullopt;
  return FormReader(form, place, findings).Read();
}

int RegistersOf(ModbusForm::Type type) { return kTypes[static_cast<size_t>(type)].registers; }
std::string_view XsdName(ModbusForm::Type type) { return kTypes[static_cast<size_t>(type)].name; }
std::string_view EntityName(ModbusForm::Entity entity) { return RowOf(entity).name; }

std::string_view ProtocolName(Protocol protocol) {
  switch (protocol) {
    case Protocol::kNone:
      return "none";
    case Protocol::kModbus:
      return "modbus";
    case Protocol::kOpcUa:
      return "opcua";
    case Protocol::kMqtt:
      return "mqtt";
  }
  return "none";
}

std::string EndpointOf(const Form& form) {
  switch (form.protocol) {
    case Protocol::kNone:
      return "";
    case Protocol::kModbus:
      return fmt::format("{}/{}", HostAndPort(form.modbus.host, form.modbus.port),
                         form.modbus.unit);
    case Protocol::kOpcUa:
      return form.opcua.endpoint;
    case Protocol::kMqtt:
      return form.mqtt.broker.empty() ? "mqtt://local" : form.mqtt.broker;
  }
  return "";
}

}  // namespace penstock::things
