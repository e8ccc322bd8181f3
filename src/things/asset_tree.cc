#include "things/asset_tree.h"

#include "things/text.h"

namespace penstock::things {
namespace {

bool IsUnder(std::string_view path, std::string_view top) {
  return top.empty() || path == top || (path.starts_with(top) && path[top.size()] == '/');
}

}  // namespace

AssetTree AssetTree::Of(const Snapshot& snapshot) {
  AssetTree tree;
  for (const Thing& thing : snapshot.things) {
    for (size_t end = 0; end != std::string::npos;) {
      end = thing.asset.find('/', end == 0 ? 0 : end + 1);
      const std::string path = thing.asset.substr(0, end);
      AssetNode& node = tree.nodes_[path];
      node.path = path;
      node.name = path.substr(path.rfind('/') + 1);
      if (node.title.empty()) node.title = TitleOf(node.name);
      node.points += thing.properties.size();
    }
    AssetNode& own = tree.nodes_[thing.asset];
    if (own.things.empty() && !thing.title.empty()) own.title = thing.title;
    own.things.push_back(thing.name);
  }
  for (const auto& [path, node] : tree.nodes_) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos)
      tree.roots_.push_back(path);
    else
      tree.nodes_[path.substr(0, slash)].children.push_back(path);
  }
  return tree;
}

const AssetNode* AssetTree::Find(std::string_view path) const {
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : &found->second;
}

std::vector<const AssetNode*> AssetTree::ChildrenOf(std::string_view path) const {
  const AssetNode* parent = path.empty() ? nullptr : Find(path);
  std::vector<const AssetNode*> children;
  if (!path.empty() && parent == nullptr) return children;
  for (const std::string& child : parent == nullptr ? roots_ : parent->children)
    children.push_back(Find(child));
  return children;
}

std::vector<std::string> AssetTree::ThingsUnder(std::string_view path) const {
  std::vector<std::string> things;
  for (const auto& [node_path, node] : nodes_)
    if (IsUnder(node_path, path))
      things.insert(things.end(), node.things.begin(), node.things.end());
  return things;
}

Json AssetTree::ToJson(const AssetNode& node) {
  return {{"path", node.path},
          {"name", node.name},
          {"title", node.title},
          {"thing", node.things.empty() ? Json(nullptr) : Json(node.things[0])},
          {"children", node.children.size()}};
}

}  // namespace penstock::things
