#include "protocols/uplink/edge_things.h"

#include <filesystem>

#include "base/file.h"
#include "things/reader.h"
#include "trust/device_certificates.h"

namespace penstock::protocols::uplink {
namespace {

constexpr size_t kTogetherMax = 2000;
constexpr size_t kNameMax = 64;

// Line protocol's form: nothing is driven.
Json Pushed() { return Json::array({{{"href", "http://local/write"}, {"op", "observeproperty"}}}); }

Error FirstOf(const std::vector<things::Finding>& findings) {
  for (const things::Finding& finding : findings)
    if (finding.is_error) return finding.error;
  return Error{Code::kInvalidArgument, "not a description of a thing"};
}

// "urn:dev:acme:pump-7" -> {"urn:dev:acme:", "pump-7"}
std::pair<std::string, std::string> SplitId(const std::string& id) {
  const size_t cut = id.find_last_of(":/");
  return cut == std::string::npos
             ? std::pair<std::string, std::string>{"", id}
             : std::pair<std::string, std::string>{id.substr(0, cut + 1), id.substr(cut + 1)};
}

// A file's name comes from a stranger: only what a name may have.
bool IsFileStem(const std::string& text) {
  if (text.empty() || text.size() > 2 * kNameMax) return false;
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '@' ||
          c == '.'))
      return false;
  return text[0] != '.';
}

}  // namespace

Result<Json> EdgeThings::OnHub(const std::string& edge, const Json& description) {
  if (!description.is_object() || !description.contains("id") || !description["id"].is_string())
    return InvalidArgument("a thing's description has an \"id\"");
  const auto [scheme, name] = SplitId(description["id"].get<std::string>());
  const std::string here = edge + "_" + name;
  if (here.size() > kNameMax) {
    auto error = InvalidArgument("\"{}\" is called {} here: {} characters, at most {}",
                                 name.substr(0, 80), here.substr(0, 120), here.size(), kNameMax);
    error.error().Fix("shorten the thing's name or the edge's");
    return error;
  }
  Json document = description;
  document["id"] = scheme + here;
  if (const auto properties = document.find("properties");
      properties != document.end() && properties->is_object())
    for (auto& [key, property] : properties->items())
      if (property.is_object()) property["forms"] = Pushed();
  auto read = things::ReadThingDescription(document, here + ".td.json");
  if (!read.thing) return std::unexpected(FirstOf(read.findings));
  return document;
}

Status EdgeThings::Write(const std::string& name, const Json& document, TakenThings& taken) {
  const std::string path = folder_ + "/things/" + name;
  const std::string text = document.dump(2) + "\n";
  ++taken.taken;
  if (const auto present = ReadFile(path); present && *present == text) return {};
  TRY(MakeFolders(folder_ + "/things"));
  TRY(WriteFileAtomically(path, text));
  ++taken.changed;
  return {};
}

Status EdgeThings::TakeModel(const Json& model, TakenThings& taken) {
  const std::string name = model.is_object() ? StringOr(model, "ps:model", "") : "";
  const auto refuse = [&](std::string message, std::string fix) -> Status {
    taken.refused.push_back({name.substr(0, 80), std::move(message), std::move(fix)});
    return {};
  };
  if (!IsFileStem(name)) return refuse("a thing model without a name in \"ps:model\"", "name it");
  // Whatever the file is called, the hub may have the model already.
  const std::string folder = folder_ + "/things";
  if (const auto names = ListFiles(folder, ".tm.json")) {
    for (const std::string& file : *names) {
      const auto present = ReadDocument(folder + "/" + file);
      if (!present || !present->is_object() || StringOr(*present, "ps:model", "") != name) continue;
      if (*present == model) {
        ++taken.taken;
        return {};
      }
      return refuse(fmt::format("the hub has another model \"{}\" ({})", name, file),
                    "raise the version of one of the two");
    }
  }
  auto read = things::ReadThingModel(model, name + ".tm.json");
  if (!read.model) return refuse(FirstOf(read.findings).message, FirstOf(read.findings).fix);
  return Write(name + ".tm.json", model, taken);
}

Result<TakenThings> EdgeThings::Take(const std::string& edge, const Json& body) {
  TRY(trust::CheckDeviceName(edge));
  const Json none = Json::array();
  const Json& models = body.contains("models") ? body["models"] : none;
  const Json& descriptions = body.contains("things") ? body["things"] : none;
  if (!models.is_array() || !descriptions.is_array())
    return InvalidArgument("\"models\" and \"things\" are lists");
  if (models.size() + descriptions.size() > kTogetherMax)
    return OutOfRange("{} models and things; at most {} in a request",
                      models.size() + descriptions.size(), kTogetherMax);
  TakenThings taken;
  for (const Json& model : models) TRY(TakeModel(model, taken));
  for (const Json& description : descriptions) {
    const auto document = OnHub(edge, description);
    if (!document) {
      taken.refused.push_back(
          {description.is_object() ? StringOr(description, "id", "").substr(0, 120) : "",
           document.error().message, document.error().fix});
      continue;
    }
    const std::string name = SplitId((*document)["id"].get<std::string>()).second;
    if (!IsFileStem(name)) {
      taken.refused.push_back({name.substr(0, 80), "not a name for a file", "use a-z, 0-9, _, -"});
      continue;
    }
    const size_t before = taken.changed;
    TRY(Write(name + ".td.json", *document, taken));
    if (taken.changed > before) taken.names.push_back(name);
  }
  return taken;
}

}  // namespace penstock::protocols::uplink
