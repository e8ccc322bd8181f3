// tm:extends imports a whole model and lays the present one over it; tm:ref imports one object of a
// model (or of the same one) and lays its neighbours over it. Both overlays are JSON merge patches
// (RFC 7396), as section 10.3.3 of the recommendation says. Depth and total size are bounded,
// because a small folder of files can refer to itself in ways that grow without end.
#include "things/model.h"

#include <algorithm>
#include <set>
#include <vector>

#include "things/vocabulary.h"

namespace penstock::things {
namespace {

constexpr int kReferenceDepthMax = 16;
constexpr size_t kMaxNodes = 1 << 20;

std::unexpected<Error> Bad(const std::string& pointer, std::string message,
                           std::string_view fix = "") {
  return std::unexpected(
      Error{Code::kInvalidArgument, std::move(message), "", pointer, std::string(fix)});
}

class Resolver {
 public:
  explicit Resolver(const ModelLoader& load) : load_(load) {}

  Result<Json> Model(const Json& model, int depth) {
    if (depth > kReferenceDepthMax)
      return Bad("",
                 fmt::format("models refer to each other more than {} deep", kReferenceDepthMax),
                 "look for a circle of tm:extends");
    Json whole = model;
    if (const auto links = model.find("links"); links != model.end() && links->is_array()) {
      Json kept = Json::array();
      Json base = Json::object();
      for (size_t i = 0; i < links->size(); ++i) {
        const Json& link = (*links)[i];
        if (StringOr(link, "rel", "") != "tm:extends") {
          kept.push_back(link);
          continue;
        }
        ASSIGN_OR_RETURN(const Json other,
                         Load(StringOr(link, "href", ""), fmt::format("/links/{}/href", i)));
        ASSIGN_OR_RETURN(Json extended, Model(other, depth + 1));
        for (const char* own : {"links", "id", "version", "ps:model"}) extended.erase(own);
        base.merge_patch(extended);
      }
      if (!base.empty()) {
        whole.erase("links");
        base.merge_patch(whole);
        whole = std::move(base);
        if (!kept.empty()) whole["links"] = std::move(kept);
      }
    }
    const Json root = whole;
    return Value(whole, root, "", depth);
  }

 private:
  Result<Json> Load(const std::string& href, const std::string& pointer) const {
    std::string name = href;
    if (name.starts_with("./")) name = name.substr(2);
    if (name.empty() || name.find_first_of("/\\:") != name.npos || name.starts_with('.'))
      return Bad(pointer, fmt::format("\"{}\" is no file of this folder", href.substr(0, 80)),
                 "copy the model into things/ and refer to it as ./NAME.tm.json");
    auto document = load_(name);
    if (!document) {
      document.error().At(pointer);
      return document;
    }
    if (!document->is_object()) return Bad(pointer, fmt::format("\"{}\" holds no model", name));
    return document;
  }

  // `root` is the model that references without a file name point into.
  Result<Json> Value(const Json& value, const Json& root, const std::string& pointer, int depth) {
    if (++nodes_ > kMaxNodes)
      return Bad(pointer,
                 fmt::format("more than {} values once references are resolved", kMaxNodes));
    if (value.is_array()) {
      Json list = Json::array();
      for (size_t i = 0; i < value.size(); ++i) {
        ASSIGN_OR_RETURN(Json item, Value(value[i], root, fmt::format("{}/{}", pointer, i), depth));
        list.push_back(std::move(item));
      }
      return list;
    }
    if (!value.is_object()) return value;
    Json object = Json::object();
    for (const auto& [key, child] : value.items()) {
      if (key == "tm:ref") continue;
      ASSIGN_OR_RETURN(
          object[key],
          Value(child, root, fmt::format("{}/{}", pointer, EscapePointer(key)), depth));
    }
    const auto reference = value.find("tm:ref");
    if (reference == value.end()) return object;
    const std::string place = pointer + "/tm:ref";
    if (!reference->is_string())
      return Bad(place, "tm:ref is a text", "\"tm:ref\": \"./base.tm.json#/properties/flow\"");
    ASSIGN_OR_RETURN(Json target, Reference(reference->get<std::string>(), root, place, depth + 1));
    target.merge_patch(object);
    return target;
  }

  Result<Json> Reference(const std::string& reference, const Json& root, const std::string& place,
                         int depth) {
    if (depth > kReferenceDepthMax)
      return Bad(place, fmt::format("references more than {} deep", kReferenceDepthMax),
                 "look for a circle of tm:ref");
    const size_t hash = reference.find('#');
    if (hash == std::string::npos)
      return Bad(place, fmt::format("no \"#\" in the reference \"{}\"", reference.substr(0, 80)),
                 "./base.tm.json#/properties/flow");
    Json other;
    const Json* document = &root;
    if (hash > 0) {
      ASSIGN_OR_RETURN(other, Load(reference.substr(0, hash), place));
      document = &other;
    }
    const std::string path = reference.substr(hash + 1);
    try {
      const Json::json_pointer target(path);
      if (!document->contains(target) || !(*document)[target].is_object())
        return Bad(place, fmt::format("nothing at \"{}\"", reference.substr(0, 120)),
                   "the reference names an object");
      return Value((*document)[target], *document, place, depth);
    } catch (const Json::exception&) {
      return Bad(place, fmt::format("no JSON pointer behind \"#\": \"{}\"", path.substr(0, 80)),
                 "#/properties/NAME");
    }
  }

  const ModelLoader& load_;
  size_t nodes_ = 0;
};

class Filler {
 public:
  explicit Filler(const Json& values) : values_(values) {}

  Json Fill(const Json& value) {
    if (value.is_string()) return FillText(value.get_ref<const std::string&>());
    if (value.is_array()) {
      Json list = Json::array();
      for (const Json& item : value) list.push_back(Fill(item));
      return list;
    }
    if (!value.is_object()) return value;
    Json object = Json::object();
    for (const auto& [key, child] : value.items()) object[key] = Fill(child);
    return object;
  }

 private:
  Json FillText(const std::string& text) {
    if (!HasPlaceholder(text)) return text;
    if (text.starts_with("{{") && text.find("}}") == text.size() - 2)
      if (const Json* value = Find(text.substr(2, text.size() - 4))) return *value;
    std::string filled;
    size_t at = 0;
    while (true) {
      const size_t open = text.find("{{", at);
      const size_t close = open == text.npos ? text.npos : text.find("}}", open + 2);
      if (close == text.npos) return filled + text.substr(at);
      filled += text.substr(at, open - at);
      const Json* value = Find(text.substr(open + 2, close - open - 2));
      if (value != nullptr)
        filled += value->is_string() ? value->get<std::string>() : value->dump();
      at = close + 2;
    }
  }

  const Json* Find(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? nullptr : &*found;
  }

  const Json& values_;
};

Status CheckPlaceholders(const Json& model, const Json& placeholders) {
  if (!placeholders.is_object()) return Bad("", "placeholders are an object NAME -> value");
  const std::set<std::string> wanted = PlaceholdersOf(model);
  std::vector<std::string> missing, names(wanted.begin(), wanted.end());
  for (const std::string& name : wanted)
    if (!placeholders.contains(name)) missing.push_back(name);
  if (!missing.empty())
    return Bad("",
               fmt::format("no value for the placeholder{} {}", missing.size() == 1 ? "" : "s",
                           fmt::join(missing, ", ")),
               "give each a value");
  for (const auto& [name, value] : placeholders.items()) {
    const std::string pointer = "/" + EscapePointer(name);
    if (value.is_structured())
      return Bad(pointer, fmt::format("the value of {} is a text, a number or a flag", name));
    if (value.is_string() && HasPlaceholder(value.get_ref<const std::string&>()))
      return Bad(pointer, fmt::format("the value of {} holds a placeholder itself", name));
    if (!wanted.contains(name)) {
      const std::string nearest = Nearest(name, names);
      return Bad(pointer, fmt::format("the model has no placeholder \"{}\"", name),
                 nearest.empty() ? "remove it" : fmt::format("write \"{}\"", nearest));
    }
  }
  return {};
}

void RemoveModelType(Json& thing) {
  const auto type = thing.find("@type");
  if (type == thing.end()) return;
  if (type->is_array())
    type->erase(std::remove(type->begin(), type->end(), Json("tm:ThingModel")), type->end());
  if (*type == "tm:ThingModel" || type->empty()) thing.erase("@type");
}

}  // namespace

Result<Json> ResolveModel(const Json& model, const ModelLoader& load) {
  if (!model.is_object()) return Bad("", "a model is an object");
  return Resolver(load).Model(model, 0);
}

Result<Json> Instantiate(const Json& model, const Json& placeholders) {
  if (!model.is_object()) return Bad("", "a model is an object");
  TRY(CheckPlaceholders(model, placeholders));
  Json thing = Filler(placeholders).Fill(model);
  RemoveModelType(thing);
  thing.erase("tm:optional");
  thing.erase("tm:required");
  if (thing.contains("version") && thing["version"].is_object() &&
      !thing["version"].contains("instance"))
    thing["version"]["instance"] = "1.0.0";
  if (!thing.contains("securityDefinitions")) {
    thing["securityDefinitions"] = {{"nosec_sc", {{"scheme", "nosec"}}}};
    thing["security"] = "nosec_sc";
  }
  return thing;
}

bool IsRequired(const Json& model, const std::string& pointer) {
  const auto lists = [&](const char* key) {
    const auto list = model.find(key);
    return list != model.end() && list->is_array() &&
           std::find(list->begin(), list->end(), pointer) != list->end();
  };
  if (lists("tm:optional")) return false;
  return !model.contains("tm:required") || lists("tm:required");
}

}  // namespace penstock::things
