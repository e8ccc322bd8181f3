// Assets and things: what is there, and how it fares.
#include "api/routes.h"

#include <set>

#include "things/asset_tree.h"
#include "things/form.h"

namespace penstock::api {
namespace {

Json ThingJson(const things::Thing& thing) {
  std::set<std::string> protocols;
  for (const auto& property : thing.properties)
    if (!property.forms.empty())
      protocols.insert(std::string(things::ProtocolName(property.forms.front().protocol)));
  return {{"name", thing.name},
          {"id", thing.id},
          {"title", thing.title},
          {"asset", thing.asset},
          {"model", thing.model},
          {"file", thing.file},
          {"points", thing.properties.size()},
          {"protocols", protocols}};
}

// Open alarms per asset path, counted upward to every ancestor.
struct AlarmCount {
  int active = 0;
  int worst = 0;  // 1 is worst; 0: none.
};

std::map<std::string, AlarmCount> CountAlarms(const Services& services) {
  std::map<std::string, AlarmCount> counts;
  const auto alarms = services.alarms.List({true, "", 0, 1000});
  if (!alarms) return counts;
  for (const auto& alarm : *alarms) {
    if (!decisions::IsActive(alarm.state)) continue;
    for (std::string path = alarm.asset; !path.empty();) {
      AlarmCount& count = counts[path];
      ++count.active;
      const int priority = static_cast<int>(alarm.priority);
      count.worst = count.worst == 0 ? priority : std::min(count.worst, priority);
      const size_t slash = path.rfind('/');
      path = slash == std::string::npos ? "" : path.substr(0, slash);
    }
  }
  return counts;
}

Json AssetJson(const Services& services, const things::AssetNode& node,
               const std::map<std::string, AlarmCount>& counts) {
  Json body = things::AssetTree::ToJson(node);
  const auto found = counts.find(node.path);
  const AlarmCount count = found == counts.end() ? AlarmCount{} : found->second;
  body["state"] = services.states.Now(node.path);
  body["active_alarms"] = count.active;
  body["worst_priority"] = count.worst == 0 ? Json(nullptr) : Json(count.worst);
  return body;
}

Result<Response> ListAssets(const Services& services) {
  const auto tree = things::AssetTree::Of(*services.directory.snapshot());
  const auto counts = CountAlarms(services);
  Json items = Json::array();
  for (const auto& [path, node] : tree.nodes()) items.push_back(AssetJson(services, node, counts));
  return ListResponse(std::move(items));
}

Result<Response> OneThing(const Services& services, const Request& request) {
  const std::string name = request.At("name");
  const auto snapshot = services.directory.snapshot();
  const things::Thing* thing = snapshot->FindThing(name);
  if (thing == nullptr) return NotFound("thing unknown: {}", name.substr(0, 100));
  Json body = ThingJson(*thing);
  body["document"] = thing->document.Parse();
  body["point_list"] = Json::array();
  for (const auto& property : thing->properties)
    body["point_list"].push_back(PointJson(services, request.principal, property.point, false));
  return JsonResponse(body);
}

}  // namespace

void AddPlantRoutes(Router& router, const Services& s) {
  using trust::Role;
  router.Add({"GET", "/api/v1/assets", Role::kViewer,
              "The ISA-95 tree with states and active alarms",
              [&s](const Request&) { return ListAssets(s); }});
  router.Add({"GET", "/api/v1/things", Role::kViewer, "Things and their sources",
              [&s](const Request&) -> Result<Response> {
                Json items = Json::array();
                for (const auto& thing : s.directory.snapshot()->things)
                  items.push_back(ThingJson(thing));
                return ListResponse(std::move(items));
              }});
  router.Add({"GET", "/api/v1/things/{name}", Role::kViewer, "One thing with its Thing Description",
              [&s](const Request& r) { return OneThing(s, r); }});
}

}  // namespace penstock::api
