// Drivers: from a snapshot of things to running connections.
//
// A source is an address, not a thing: two things behind one gateway share its single connection,
// and one thing with two forms (a PLC and a vibration sensor) has two sources. A new snapshot is
// applied by difference: each source has a fingerprint of everything its driver looks at, and only
// a changed fingerprint costs a reconnect, so that editing a title or another machine's file never
// interrupts a measurement.
//
// The price of restarting a whole source when one of its points changed is one reconnect; it buys
// drivers that know their points for life, with plans computed once.
#include "protocols/driver/driver.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/log.h"
#include "protocols/driver/kinds.h"

namespace penstock::protocols {
namespace {

// Everything that a driver of any protocol looks at.
std::string Fingerprint(const things::Point& point) {
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", point.id.value, point.path(),
                     static_cast<int>(point.type), point.sample_rate_hz, point.report.on_change,
                     point.report.deadband, point.report.max_interval.count(),
                     point.quality.max_clock_skew.value_or(Duration{-1}).count());
}

std::string Fingerprint(const things::Form& form) {
  const auto& m = form.modbus;
  const auto& o = form.opcua;
  const auto& q = form.mqtt;
  switch (form.protocol) {
    case things::Protocol::kModbus:
      return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", m.host, m.port, m.unit,
                         static_cast<int>(m.entity), static_cast<int>(m.type), m.address,
                         m.quantity, m.most_significant_byte, m.most_significant_word,
                         m.polling.count(), m.timeout.count(), m.scale, m.offset);
    case things::Protocol::kOpcUa:
      return fmt::format("{}|{}|{}|{}|{}|{}", o.endpoint, o.namespace_uri, o.identifier,
                         o.sampling.count(), o.scale, o.offset);
    case things::Protocol::kMqtt:
      return fmt::format("{}|{}|{}|{}|{}|{}|{}", q.broker, q.topic, q.qos, q.value_pointer,
                         q.time_pointer, q.scale, q.offset);
    case things::Protocol::kNone:
      break;
  }
  return "";
}

void AddTo(std::map<const ProtocolKind*, std::map<std::string, Source>>& sources,
           const things::Thing& thing, const things::Property& property) {
  const things::Form* form = property.source();
  if (form == nullptr) return;
  for (const ProtocolKind* kind : ProtocolKinds()) {
    if (kind->protocol != form->protocol) continue;
    const std::string address = kind->address(*form);
    if (address.empty()) continue;
    Source& source = sources[kind][address];
    source.address = address;
    source.wants_password |= thing.wants_password;
    source.points.push_back({property.point, *form});
  }
}

}  // namespace

std::vector<const ProtocolKind*> ProtocolKinds() {
  return {
#define PROTOCOL(name) &k_##name##_kind,
#include "protocols/driver/kinds.def"
#undef PROTOCOL
  };
}

std::vector<std::string> Source::things() const {
  std::set<std::string> names;
  for (const SourcePoint& each : points) names.insert(each.point.thing);
  return {names.begin(), names.end()};
}

std::string Source::Fingerprint() const {
  std::string text = fmt::format("{}|{}", address, wants_password);
  for (const SourcePoint& each : points) {
    text += '\n' + protocols::Fingerprint(each.point) + '\n' + protocols::Fingerprint(each.form);
  }
  // A digest, because a source may have many points and the text is only compared.
  return ToHex(Sha256Of(AsBytes(text)));
}

std::map<const ProtocolKind*, std::map<std::string, Source>> SourcesOf(
    const things::Snapshot& snapshot) {
  std::map<const ProtocolKind*, std::map<std::string, Source>> sources;
  for (const things::Thing& thing : snapshot.things) {
    for (const things::Property& property : thing.properties) AddTo(sources, thing, property);
  }
  return sources;
}

Drivers::Drivers(DriverContext context) : context_(std::move(context)) {}

Drivers::~Drivers() { Stop(); }

void Drivers::Apply(const things::Snapshot& snapshot) {
  auto sources = SourcesOf(snapshot);
  for (const ProtocolKind* kind : ProtocolKinds()) Apply(*kind, std::move(sources[kind]));
}

void Drivers::Apply(const ProtocolKind& kind, std::map<std::string, Source> wanted) {
  Protocol& protocol = protocols_[&kind];
  std::erase_if(protocol.running, [&](auto& entry) {
    const auto source = wanted.find(entry.first);
    if (source != wanted.end() && source->second.Fingerprint() == entry.second.fingerprint) {
      wanted.erase(source);
      return false;
    }
    LogInfo("{}: {} stops", kind.name, entry.first);
    entry.second.driver->Stop();
    return true;
  });
  for (auto& [address, source] : wanted) {
    if (!protocol.engine) protocol.engine = kind.engine(context_);
    LogInfo("{}: {} starts with {} points", kind.name, address, source.points.size());
    const std::vector<std::string> things = source.things();
    Running running{source.Fingerprint(), protocol.engine->Open(std::move(source))};
    if (const Status started = running.driver->Start(); !started) {
      LogError("{}: {} does not start: {}", kind.name, address, started.error().ToString());
      for (const std::string& thing : things) {
        context_.events.OnDisconnected(thing, started.error(), context_.clock.Now());
      }
      continue;  // Tried again with the next snapshot.
    }
    protocol.running.emplace(address, std::move(running));
  }
}

void Drivers::Stop() {
  for (auto& [kind, protocol] : protocols_) {
    for (auto& [address, running] : protocol.running) running.driver->Stop();
    protocol.running.clear();
  }
  protocols_.clear();
}

std::vector<std::string> Drivers::addresses() const {
  std::vector<std::string> all;
  for (const auto& [kind, protocol] : protocols_) {
    for (const auto& [address, running] : protocol.running) all.push_back(address);
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace penstock::protocols
