// Values live in the nodes and are overwritten by each report; the library samples them for
// subscribers. The library is built with its own lock, so writing from the plant's thread beside
// the server's is allowed.
//
// Children of an AnalogItemType (EURange, EngineeringUnits) are added between begin and finish of
// the node, so that the library takes them for the type's own instead of making a second pair.
//
// The library cannot tell which port the system chose for 0, and starts without a word when a port
// is taken; so a socket of our own tries the port first.
#include "plant/opcua_server.h"

#include <open62541/plugin/log.h>
#include <open62541/server.h>
#include <open62541/server_config_default.h>

#include <array>
#include <boost/asio.hpp>
#include <cstdarg>
#include <string>
#include <thread>

#include "base/log.h"
#include "plant/line.h"

namespace penstock::plant {
namespace {

struct Node {
  const char* identifier;  // In our namespace.
  const char* display_name;
  int32_t unit_id;   // UNECE Recommendation 20 code as OPC UA Part 8 packs it; 0: none.
  const char* unit;  // As displayed.
};
constexpr std::array<Node, 6> kNodes = {{
    {"Torque", "Torque", 20053, "N·m"},                    // NU
    {"Speed", "Speed", 5394509, "r/min"},                  // RPM
    {"OilTemperature", "Oil temperature", 4408652, "°C"},  // CEL
    {"Slip", "Slip", 20529, "%"},                          // P1
    {"Running", "Running", 0, ""},
    {"Vibration", "Vibration", 4403510, "mm/s"},  // C16
}};
constexpr size_t kVibration = 5;

void Quiet(void*, UA_LogLevel level, UA_LogCategory, const char* message, va_list arguments) {
  if (level < UA_LOGLEVEL_ERROR) return;
  char text[512];
  std::vsnprintf(text, sizeof text, message, arguments);
  LogSometimes(LogLevel::kWarn, "plant opcua", fmt::format("plant: opc ua server: {}", text));
}
constexpr UA_Logger kQuiet = {Quiet, nullptr, nullptr};

UA_DateTime ToUa(Time time) { return ToMicros(time) * 10 + UA_DATETIME_UNIX_EPOCH; }
UA_NodeId Ns0(UA_UInt32 id) { return UA_NODEID_NUMERIC(0, id); }
char* Mutable(const char* text) {
  return const_cast<char*>(text);
}  // The library copies and never writes.

// The port itself when it is free, for 0 any free one.
Result<uint16_t> FreePort(uint16_t port) {
  using boost::asio::ip::tcp;
  boost::asio::io_context io;
  boost::system::error_code error;
  tcp::acceptor acceptor(io);
  const tcp::endpoint endpoint(boost::asio::ip::address_v4::loopback(), port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1, error);
  if (error) return FromErrno(error.value(), fmt::format("opc ua server 127.0.0.1:{}", port));
  return acceptor.local_endpoint().port();
}

class OpenServer final : public OpcUaServer {
 public:
  ~OpenServer() override {
    if (thread_.joinable()) {
      thread_.request_stop();
      thread_.join();
      UA_Server_run_shutdown(server_);
    }
    if (server_ != nullptr) UA_Server_delete(server_);
  }

  Status Listen(uint16_t port) {
    port_ = port;
    UA_ServerConfig config{};
    config.logging = const_cast<UA_Logger*>(&kQuiet);
    UA_StatusCode status = UA_ServerConfig_setMinimal(&config, port, nullptr);
    if (status != UA_STATUSCODE_GOOD) return Failed("configuration", status);
    SetUrl(config);
    server_ = UA_Server_newWithConfig(&config);
    if (server_ == nullptr) return Internal("opc ua server: out of memory");
    TRY(AddNodes());
    status = UA_Server_run_startup(server_);
    if (status != UA_STATUSCODE_GOOD)
      return Failed(fmt::format("listen on 127.0.0.1:{}", port), status);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) UA_Server_run_iterate(server_, true);
    });
    return {};
  }

  uint16_t port() const override { return port_; }

  void Write(const Report& report) override {
    for (size_t i = 0; i < report.values.size(); ++i) {
      UA_Double number = report.values[i].value;
      UA_Boolean boolean = number != 0;
      const bool is_boolean = kNodes[i].unit_id == 0;
      UA_Variant value;
      UA_Variant_init(&value);
      if (is_boolean)
        UA_Variant_setScalar(&value, &boolean, &UA_TYPES[UA_TYPES_BOOLEAN]);
      else
        UA_Variant_setScalar(&value, &number, &UA_TYPES[UA_TYPES_DOUBLE]);
      WriteValue(kNodes[i], report.values[i].lost ? nullptr : &value, report.time);
    }
    if (report.waveform.empty()) return;
    UA_Variant value;
    UA_Variant_init(&value);
    UA_Variant_setArray(&value, const_cast<double*>(report.waveform.data()), report.waveform.size(),
                        &UA_TYPES[UA_TYPES_DOUBLE]);
    UA_UInt32 length = kBurstSamples;
    value.arrayDimensions = &length;
    value.arrayDimensionsSize = 1;
    WriteValue(kNodes[kVibration], &value, report.waveform_time);
  }

 private:
  static std::unexpected<Error> Failed(std::string_view what, UA_StatusCode status) {
    const char* name = UA_StatusCode_name(status);
    return Internal("opc ua server: {}: {}", what, name);
  }

  void SetUrl(UA_ServerConfig& config) const {
    UA_Array_delete(config.serverUrls, config.serverUrlsSize, &UA_TYPES[UA_TYPES_STRING]);
    config.serverUrls = static_cast<UA_String*>(UA_Array_new(1, &UA_TYPES[UA_TYPES_STRING]));
    config.serverUrlsSize = 1;
    config.serverUrls[0] =
        UA_String_fromChars(fmt::format("opc.tcp://127.0.0.1:{}", port_).c_str());
    UA_String_clear(&config.applicationDescription.applicationUri);
    config.applicationDescription.applicationUri = UA_String_fromChars("urn:acme:gearbox:inverter");
    UA_LocalizedText_clear(&config.applicationDescription.applicationName);
    config.applicationDescription.applicationName = UA_LOCALIZEDTEXT_ALLOC("en", "Gearbox drive");
    for (size_t i = 0; i < config.endpointsSize; ++i) {
      UA_ApplicationDescription_clear(&config.endpoints[i].server);
      UA_ApplicationDescription_copy(&config.applicationDescription, &config.endpoints[i].server);
    }
  }

  Status AddNodes() {
    ns_ = UA_Server_addNamespace(server_, kGearboxNamespace);
    UA_ObjectAttributes attributes = UA_ObjectAttributes_default;
    attributes.displayName = UA_LOCALIZEDTEXT(Mutable("en"), Mutable("Gearbox drive"));
    const UA_StatusCode status =
        UA_Server_addObjectNode(server_, Id("Gearbox"), Ns0(UA_NS0ID_OBJECTSFOLDER),
                                Ns0(UA_NS0ID_ORGANIZES), UA_QUALIFIEDNAME(ns_, Mutable("Gearbox")),
                                Ns0(UA_NS0ID_BASEOBJECTTYPE), attributes, nullptr, nullptr);
    if (status != UA_STATUSCODE_GOOD) return Failed("object", status);
    const std::unique_ptr<Machine> machine = MakeGearbox(Random(0));
    for (size_t i = 0; i < kNodes.size(); ++i) {
      UA_Range range{-120, 120};
      if (i != kVibration) range = {machine->points()[i].minimum, machine->points()[i].maximum};
      TRY(AddVariable(kNodes[i], range, i == kVibration));
    }
    return {};
  }

  Status AddVariable(const Node& node, UA_Range range, bool is_array) {
    const bool analog = node.unit_id != 0;
    UA_VariableAttributes attributes = UA_VariableAttributes_default;
    attributes.displayName = UA_LOCALIZEDTEXT(Mutable("en"), Mutable(node.display_name));
    attributes.dataType = UA_TYPES[analog ? UA_TYPES_DOUBLE : UA_TYPES_BOOLEAN].typeId;
    UA_UInt32 length = kBurstSamples;
    attributes.valueRank = is_array ? UA_VALUERANK_ONE_DIMENSION : UA_VALUERANK_SCALAR;
    if (is_array) {
      attributes.arrayDimensions = &length;
      attributes.arrayDimensionsSize = 1;
    }
    std::vector<UA_Double> zeros(is_array ? kBurstSamples : 1);
    UA_Boolean off = false;
    if (is_array)
      UA_Variant_setArray(&attributes.value, zeros.data(), zeros.size(),
                          &UA_TYPES[UA_TYPES_DOUBLE]);
    else if (analog)
      UA_Variant_setScalar(&attributes.value, zeros.data(), &UA_TYPES[UA_TYPES_DOUBLE]);
    else
      UA_Variant_setScalar(&attributes.value, &off, &UA_TYPES[UA_TYPES_BOOLEAN]);
    if (is_array) {
      attributes.value.arrayDimensions = &length;
      attributes.value.arrayDimensionsSize = 1;
    }
    UA_StatusCode status = UA_Server_addNode_begin(
        server_, UA_NODECLASS_VARIABLE, Id(node.identifier), Id("Gearbox"),
        Ns0(UA_NS0ID_HASCOMPONENT), UA_QUALIFIEDNAME(ns_, Mutable(node.identifier)),
        analog ? Ns0(UA_NS0ID_ANALOGITEMTYPE) : Ns0(UA_NS0ID_BASEDATAVARIABLETYPE), &attributes,
        &UA_TYPES[UA_TYPES_VARIABLEATTRIBUTES], nullptr, nullptr);
    if (status != UA_STATUSCODE_GOOD) return Failed(node.identifier, status);
    if (analog) {
      TRY(AddProperty(node, "EURange", &range, UA_TYPES_RANGE));
      UA_EUInformation unit;
      unit.namespaceUri = UA_STRING(Mutable("http://www.opcfoundation.org/UA/units/un/cefact"));
      unit.unitId = node.unit_id;
      unit.displayName = unit.description = UA_LOCALIZEDTEXT(Mutable("en"), Mutable(node.unit));
      TRY(AddProperty(node, "EngineeringUnits", &unit, UA_TYPES_EUINFORMATION));
    }
    status = UA_Server_addNode_finish(server_, Id(node.identifier));
    if (status != UA_STATUSCODE_GOOD) return Failed(node.identifier, status);
    // Nothing measured yet: a subscriber must not take the zeros for values.
    UA_DataValue waiting;
    UA_DataValue_init(&waiting);
    waiting.hasStatus = true;
    waiting.status = UA_STATUSCODE_BADWAITINGFORINITIALDATA;
    UA_Server_writeDataValue(server_, Id(node.identifier), waiting);
    return {};
  }

  Status AddProperty(const Node& node, const char* name, void* value, size_t type) {
    UA_VariableAttributes attributes = UA_VariableAttributes_default;
    attributes.displayName = UA_LOCALIZEDTEXT(Mutable("en"), Mutable(name));
    attributes.dataType = UA_TYPES[type].typeId;
    attributes.valueRank = UA_VALUERANK_SCALAR;
    UA_Variant_setScalar(&attributes.value, value, &UA_TYPES[type]);
    const std::string identifier = fmt::format("{}.{}", node.identifier, name);
    const UA_StatusCode status = UA_Server_addVariableNode(
        server_, UA_NODEID_STRING(ns_, Mutable(identifier.c_str())), Id(node.identifier),
        Ns0(UA_NS0ID_HASPROPERTY), UA_QUALIFIEDNAME(0, Mutable(name)), Ns0(UA_NS0ID_PROPERTYTYPE),
        attributes, nullptr, nullptr);
    if (status != UA_STATUSCODE_GOOD) return Failed(identifier, status);
    return {};
  }

  void WriteValue(const Node& node, const UA_Variant* value, Time time) {
    UA_DataValue data;
    UA_DataValue_init(&data);
    data.hasSourceTimestamp = true;
    data.sourceTimestamp = ToUa(time);
    data.hasStatus = true;
    data.status = value == nullptr ? UA_STATUSCODE_BADSENSORFAILURE : UA_STATUSCODE_GOOD;
    data.hasValue = value != nullptr;
    if (value != nullptr) data.value = *value;
    const UA_StatusCode status = UA_Server_writeDataValue(server_, Id(node.identifier), data);
    if (status != UA_STATUSCODE_GOOD)
      LogSometimes(
          LogLevel::kWarn, "plant opcua write",
          fmt::format("plant: opc ua {}: {}", node.identifier, UA_StatusCode_name(status)));
  }

  UA_NodeId Id(const char* identifier) const { return UA_NODEID_STRING(ns_, Mutable(identifier)); }

  UA_Server* server_ = nullptr;
  UA_UInt16 ns_ = 0;
  uint16_t port_ = 0;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<OpcUaServer>> OpcUaServer::Start(uint16_t port) {
  ASSIGN_OR_RETURN(port, FreePort(port));
  auto server = std::make_unique<OpenServer>();
  TRY(server->Listen(port));
  return server;
}

}  // namespace penstock::plant
