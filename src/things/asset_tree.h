// The assets of a site as a tree of ISA-95 paths: enterprise, site, area, line, and below them what
// is measured.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "things/directory.h"

namespace penstock::things {

struct AssetNode {
  std::string path;                   // "acme/cologne/filling/line-1/pump-7"
  std::string name;                   // "pump-7"
  std::string title;                  // The thing's, or made from the name: "Line 1".
  std::vector<std::string> things;    // Names of the things at this very path, most often one.
  std::vector<std::string> children;  // Paths, sorted.
  size_t points = 0;                  // Of its things and of all below.
};

class AssetTree {
 public:
  // Every prefix of every asset path is a node.
  static AssetTree Of(const Snapshot& snapshot);

  const AssetNode* Find(std::string_view path) const;
  // Direct children, by path; of "" the roots.
  std::vector<const AssetNode*> ChildrenOf(std::string_view path) const;
  // Names of all things at `path` or below.
  std::vector<std::string> ThingsUnder(std::string_view path) const;
  const std::map<std::string, AssetNode, std::less<>>& nodes() const { return nodes_; }

  // As `GET /assets` lists a node: path, name, title, thing (or null), children.
  static Json ToJson(const AssetNode& node);

 private:
  std::map<std::string, AssetNode, std::less<>> nodes_;
  std::vector<std::string> roots_;
};

}  // namespace penstock::things
