// Two forms contradict each other when they read the same bytes with different meaning: overlapping
// registers of one entity of one unit, the same node of one server, the same value of one topic.
// The same bytes with the same meaning twice are only a doubt: it costs time, not truth.
#include "things/site_check.h"

#include <algorithm>

#include "things/form.h"
#include "things/model.h"
#include "things/reader.h"

namespace penstock::things {
namespace {

Finding Make(bool is_error, const Thing& thing, std::string pointer, std::string message,
             std::string fix = "") {
  return {is_error, Error{Code::kInvalidArgument, std::move(message), thing.file,
                          std::move(pointer), std::move(fix)}};
}

std::string PropertyPointer(const Property& property) {
  return "/properties/" + EscapePointer(property.point.property);
}

// "things/pump-7.td.json" of a long path, for messages.
std::string Short(const std::string& file) { return file.substr(file.rfind('/') + 1); }

struct Source {
  std::string key;      // What is read.
  std::string meaning;  // How it is understood.
  unsigned first = 0, end = 1;
};

Source SourceOf(const Form& form, const Point& point) {
  switch (form.protocol) {
    case Protocol::kModbus: {
      const ModbusForm& m = form.modbus;
      return {fmt::format("modbus {} {}", EndpointOf(form), EntityName(m.entity)),
              fmt::format("{} at {} {}{} x{} +{} {}", XsdName(m.type), m.address,
                          m.most_significant_byte ? "B" : "b", m.most_significant_word ? "W" : "w",
                          m.scale, m.offset, point.unit),
              m.address, static_cast<unsigned>(m.address) + m.quantity};
    }
    case Protocol::kOpcUa: {
      const OpcUaForm& o = form.opcua;
      return {fmt::format("opcua {} nsu={};{}", o.endpoint, o.namespace_uri, o.identifier),
              fmt::format("x{} +{} {}", o.scale, o.offset, point.unit)};
    }
    case Protocol::kMqtt: {
      const MqttForm& m = form.mqtt;
      return {fmt::format("mqtt {} {} {}", m.broker.empty() ? "local" : m.broker, m.topic,
                          m.value_pointer),
              fmt::format("x{} +{} {}", m.scale, m.offset, point.unit)};
    }
    case Protocol::kNone:
      break;
  }
  return {};
}

}  // namespace

std::vector<Finding> CheckAgainstModel(const Thing& thing,
                                       const std::map<std::string, ThingModel>& models) {
  std::vector<Finding> findings;
  if (thing.model.empty()) return findings;
  const auto found = models.find(thing.model);
  if (found == models.end()) {
    std::vector<std::string> names;
    for (const auto& [name, model] : models) names.push_back(name);
    const std::string nearest = Nearest(thing.model, names);
    findings.push_back(
        Make(false, thing, "/ps:model", fmt::format("no model \"{}\" in things/", thing.model),
             nearest.empty() ? "add its NAME.tm.json" : fmt::format("write \"{}\"", nearest)));
    return findings;
  }
  const ThingModel& model = found->second;
  const auto properties = model.document.find("properties");
  if (properties == model.document.end() || !properties->is_object()) return findings;
  for (const auto& [name, wanted] : properties->items()) {
    const Property* property = thing.FindProperty(name);
    if (property == nullptr) {
      if (IsRequired(model.document, "/properties/" + EscapePointer(name)))
        findings.push_back(
            Make(true, thing, "/properties",
                 fmt::format("{} has a property \"{}\", the thing has not", model.name, name),
                 fmt::format("add it, or list \"/properties/{}\" in tm:optional of {}",
                             EscapePointer(name), Short(model.file))));
      continue;
    }
    const Point& point = property->point;
    if (const auto type = ValueTypeOf(wanted); type && *type != point.type) {
      const std::string_view written =
          *type == ValueType::kWaveform ? "array" : ValueTypeName(*type);
      findings.push_back(Make(true, thing, PropertyPointer(*property) + "/type",
                              fmt::format("{} in {}, {} here", ValueTypeName(*type), model.name,
                                          ValueTypeName(point.type)),
                              fmt::format("\"type\": \"{}\"", written)));
    }
    std::string unit = StringOr(wanted, "unit", "");
    if (unit == "1") unit = "";
    if (wanted.contains("unit") && unit != point.unit)
      findings.push_back(Make(
          true, thing, PropertyPointer(*property) + "/unit",
          fmt::format("unit \"{}\" in {}, \"{}\" here", unit.empty() ? "1" : unit, model.name,
                      point.unit.empty() ? "1" : point.unit),
          fmt::format(
              "\"unit\": \"{}\", with ps:scale and ps:offset in the form if the source has another",
              unit.empty() ? "1" : unit)));
  }
  return findings;
}

void SiteCheck::CheckForms(const Thing& thing, const Places& others, Places& own,
                           std::vector<Finding>& findings) {
  for (const Property& property : thing.properties) {
    for (size_t i = 0; i < property.forms.size(); ++i) {
      const Form& form = property.forms[i];
      if (!form.readable || form.protocol == Protocol::kNone) continue;
      const Source source = SourceOf(form, property.point);
      const Place place{property.point.path(), thing.file, source.meaning, source.first,
                        source.end};
      const auto compare = [&](const Places& places) {
        const auto found = places.find(source.key);
        if (found == places.end()) return;
        for (const Place& other : found->second) {
          if (other.end <= place.first || place.end <= other.first || other.path == place.path)
            continue;
          const bool contradicts = other.meaning != place.meaning;
          const std::string bytes =
              form.protocol == Protocol::kModbus
                  ? fmt::format("{} {}..{}", source.key, place.first, place.end - 1)
                  : source.key;
          findings.push_back(Make(
              contradicts, thing, fmt::format("{}/forms/{}/href", PropertyPointer(property), i),
              fmt::format("{} is read as {} already ({}){}", bytes, other.path, Short(other.file),
                          contradicts ? ", with another meaning" : ""),
              contradicts ? "one address has one meaning: mend the address, type, scale or unit"
                          : "remove one of the two"));
          return;
        }
      };
      compare(others);
      compare(own);
      own[source.key].push_back(place);
    }
  }
}

std::vector<Finding> SiteCheck::Check(const Thing& thing) const {
  std::vector<Finding> findings;
  if (const auto found = files_by_id_.find(thing.id); found != files_by_id_.end())
    findings.push_back(Make(true, thing, "/id",
                            fmt::format("id \"{}\" is taken by {}", thing.id, Short(found->second)),
                            "ids are unique in a site"));
  else if (const auto same = files_by_name_.find(thing.name); same != files_by_name_.end())
    findings.push_back(
        Make(true, thing, "/id",
             fmt::format("name \"{}\" is taken by {}", thing.name, Short(same->second)),
             "the last segment of an id is unique in a site"));
  for (const Property& property : thing.properties) {
    const auto found = paths_by_asset_.find(thing.asset + "/" + property.point.property);
    if (found != paths_by_asset_.end())
      findings.push_back(Make(true, thing, PropertyPointer(property),
                              fmt::format("{} of asset {} comes from {} already",
                                          property.point.property, thing.asset, found->second),
                              "rename the property, or correct ps:asset"));
  }
  Places own;
  CheckForms(thing, places_, own, findings);
  return findings;
}

void SiteCheck::Add(const Thing& thing) {
  files_by_id_[thing.id] = thing.file;
  files_by_name_[thing.name] = thing.file;
  for (const Property& property : thing.properties)
    paths_by_asset_[thing.asset + "/" + property.point.property] =
        fmt::format("{} ({})", property.point.path(), Short(thing.file));
  Places own;
  std::vector<Finding> ignored;
  CheckForms(thing, {}, own, ignored);
  for (auto& [key, places] : own) {
    auto& all = places_[key];
    all.insert(all.end(), places.begin(), places.end());
  }
}

}  // namespace penstock::things
