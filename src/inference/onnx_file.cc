// Reading walks the two operators TreeEnsembleClassifier and TreeEnsembleRegressor of ai.onnx.ml
// (versions 1 and 3) into a TreeForest. All comparisons become "less than": x <= t is x < the next
// float above t, and the two "greater" ones swap the children. A leaf that speaks to several
// classes becomes one tree per class. What the kernel has no equal for (double thresholds, equality
// tests, minimum and maximum, a graph with more operators) is no error: not_trees says why, and
// ONNX Runtime runs it.
#include "inference/onnx_file.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>

namespace penstock::inference {
namespace {

constexpr std::string_view kCoverKey = "penstock.cover";
constexpr size_t kClassesMax = 1024;

// The attributes of one operator by name and type; wrong types and lengths are errors that name
// them.
class Attributes {
 public:
  explicit Attributes(const onnx::NodeProto& node) : op_(node.op_type()) {
    for (const auto& attribute : node.attribute()) by_name_[attribute.name()] = &attribute;
  }

  bool Has(const std::string& name) const { return by_name_.contains(name); }
  std::string Text(const std::string& name, std::string_view otherwise) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? std::string(otherwise) : found->second->s();
  }
  const auto& Ints(const std::string& name) const { return Of(name).ints(); }
  const auto& Floats(const std::string& name) const { return Of(name).floats(); }
  const auto& Strings(const std::string& name) const { return Of(name).strings(); }

  Status Need(const std::string& name, int have, int want) const {
    if (have == want) return {};
    return InvalidArgument("{}: {} has {} entries, {} expected", op_, name, have, want);
  }
  // Of its first attribute in double precision, "" when there is none.
  std::string Doubles() const {
    for (const auto& [name, attribute] : by_name_) {
      if (name.ends_with("_as_tensor")) return name;
    }
    return "";
  }

 private:
  const onnx::AttributeProto& Of(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? onnx::AttributeProto::default_instance() : *found->second;
  }
  std::string op_;
  std::map<std::string, const onnx::AttributeProto*> by_name_;
};

struct Leaf {
  int64_t output;
  float weight;
};

// One tree as listed: nodes in their order, leaves with any number of outputs.
struct ListedTree {
  std::vector<TreeNode> nodes;
  std::unordered_map<int64_t, int32_t> index;  // nodeid -> position
  std::unordered_map<int32_t, std::vector<Leaf>> leaves;
};

class ForestReader {
 public:
  ForestReader(const onnx::NodeProto& node, size_t features, bool cover)
      : node_(node),
        attributes_(node),
        classifier_(node.op_type() == "TreeEnsembleClassifier"),
        cover_(cover) {
    forest_.features = features;
  }

  Result<TreeForest> Read() {
    if (const std::string name = attributes_.Doubles(); !name.empty())
      return Unimplemented("{} is in double precision", name);
    TRY(ReadNodes());
    TRY(ReadWeights());
    TRY(ReadClasses());
    TRY(ReadLink());
    TRY(ReadBase());
    TRY(MakeTrees());
    if (forest_.features == 0) forest_.features = static_cast<size_t>(highest_feature_) + 1;
    TRY(CheckForest(forest_));
    return std::move(forest_);
  }
  std::vector<std::string> classes() const { return classes_; }

 private:
  Status ReadNodes() {
    const auto& tree_ids = attributes_.Ints("nodes_treeids");
    const int count = tree_ids.size();
    const auto &ids = attributes_.Ints("nodes_nodeids"),
               &features = attributes_.Ints("nodes_featureids");
    const auto &yes = attributes_.Ints("nodes_truenodeids"),
               &no = attributes_.Ints("nodes_falsenodeids");
    const auto& thresholds = attributes_.Floats("nodes_values");
    const auto& modes = attributes_.Strings("nodes_modes");
    const auto& missing = attributes_.Ints("nodes_missing_value_tracks_true");
    const auto& rates = attributes_.Floats("nodes_hitrates");
    if (count == 0 || static_cast<size_t>(count) > TreeEnsemble::kMaxNodes)
      return InvalidArgument("{}: {} nodes, 1 to {} expected", node_.op_type(), count,
                             TreeEnsemble::kMaxNodes);
    TRY(attributes_.Need("nodes_nodeids", ids.size(), count));
    TRY(attributes_.Need("nodes_featureids", features.size(), count));
    TRY(attributes_.Need("nodes_truenodeids", yes.size(), count));
    TRY(attributes_.Need("nodes_falsenodeids", no.size(), count));
    TRY(attributes_.Need("nodes_values", thresholds.size(), count));
    TRY(attributes_.Need("nodes_modes", modes.size(), count));
    if (!missing.empty())
      TRY(attributes_.Need("nodes_missing_value_tracks_true", missing.size(), count));
    if (cover_) TRY(attributes_.Need("nodes_hitrates", rates.size(), count));
    forest_.has_cover = cover_;
    for (int i = 0; i < count; ++i) ListNode(tree_ids[i], ids[i]);
    for (int i = 0; i < count; ++i) {
      ListedTree& tree = listed_[tree_index_.at(tree_ids[i])];
      const int32_t at = tree.index.at(ids[i]);
      TreeNode& node = tree.nodes[at];
      node.cover = cover_ ? rates[i] : 0;
      if (modes[i] == "LEAF") continue;
      if (features[i] < 0 || features[i] > INT32_MAX / 2)
        return InvalidArgument("node {} of tree {}: feature {}", ids[i], tree_ids[i], features[i]);
      node.feature = static_cast<int32_t>(features[i]);
      highest_feature_ = std::max(highest_feature_, node.feature);
      const auto child = [&](int64_t id) {
        const auto found = tree.index.find(id);
        return found == tree.index.end() ? -1 : found->second;
      };
      TRY(SetTest(modes[i], thresholds[i], !missing.empty() && missing[i] != 0, child(yes[i]),
                  child(no[i]), node));
    }
    return {};
  }

  void ListNode(int64_t tree_id, int64_t id) {
    const auto [entry, fresh] = tree_index_.try_emplace(tree_id, listed_.size());
    if (fresh) listed_.emplace_back();
    ListedTree& tree = listed_[entry->second];
    // A second node of the same id would be unreachable; the first one stands.
    if (tree.index.try_emplace(id, static_cast<int32_t>(tree.nodes.size())).second)
      tree.nodes.emplace_back();
  }

  static Status SetTest(const std::string& mode, float threshold, bool missing_yes, int32_t yes,
                        int32_t no, TreeNode& node) {
    const bool swap = mode == "BRANCH_GT" || mode == "BRANCH_GTE";
    const bool inclusive = mode == "BRANCH_LEQ" || mode == "BRANCH_GT";
    if (!swap && !inclusive && mode != "BRANCH_LT") return Unimplemented("nodes of mode {}", mode);
    node.threshold =
        inclusive ? std::nextafter(threshold, std::numeric_limits<float>::infinity()) : threshold;
    if (std::isfinite(threshold) && !std::isfinite(node.threshold))
      return Unimplemented("a threshold at the largest float");
    node.left = swap ? no : yes;
    node.right = swap ? yes : no;
    node.missing_left = swap ? !missing_yes : missing_yes;
    return {};
  }

  Status ReadWeights() {
    const std::string prefix = classifier_ ? "class_" : "target_";
    const auto& tree_ids = attributes_.Ints(prefix + "treeids");
    const auto &ids = attributes_.Ints(prefix + "nodeids"),
               &outputs = attributes_.Ints(prefix + "ids");
    const auto& weights = attributes_.Floats(prefix + "weights");
    TRY(attributes_.Need(prefix + "nodeids", ids.size(), tree_ids.size()));
    TRY(attributes_.Need(prefix + "ids", outputs.size(), tree_ids.size()));
    TRY(attributes_.Need(prefix + "weights", weights.size(), tree_ids.size()));
    for (int i = 0; i < tree_ids.size(); ++i) {
      const auto tree = tree_index_.find(tree_ids[i]);
      if (tree == tree_index_.end())
        return InvalidArgument("{}treeids: no tree {}", prefix, tree_ids[i]);
      ListedTree& listed = listed_[tree->second];
      const auto node = listed.index.find(ids[i]);
      if (node == listed.index.end() || listed.nodes[node->second].feature >= 0)
        return InvalidArgument("{}nodeids: tree {} has no leaf {}", prefix, tree_ids[i], ids[i]);
      if (outputs[i] < 0 || outputs[i] >= static_cast<int64_t>(kClassesMax))
        return InvalidArgument("{}ids: {} of at most {}", prefix, outputs[i], kClassesMax);
      listed.leaves[node->second].push_back({outputs[i], weights[i]});
      used_.insert(outputs[i]);
      if (weights[i] < 0) all_positive_ = false;
    }
    return {};
  }

  Status ReadClasses() {
    if (!classifier_) return {};
    for (const auto& label : attributes_.Strings("classlabels_strings")) classes_.push_back(label);
    for (const int64_t label : attributes_.Ints("classlabels_int64s"))
      classes_.push_back(std::to_string(label));
    if (classes_.empty() || classes_.size() > kClassesMax)
      return InvalidArgument("{} class labels, 1 to {} expected", classes_.size(), kClassesMax);
    return {};
  }

  // Two classes with one margin: what XGBoost's and LightGBM's converters write. Its leaves name
  // class 0, yet the margin is that of the second class.
  bool OneMargin() const {
    return classifier_ && classes_.size() == 2 && used_ == std::set<int64_t>{0};
  }

  Status ReadLink() {
    const std::string transform = attributes_.Text("post_transform", "NONE");
    if (OneMargin() && (transform != "LOGISTIC" || all_positive_))
      return Unimplemented("two classes, one margin and post_transform {}", transform);
    if (transform == "NONE") {
      forest_.link = Link::kNone;
    } else if (transform == "LOGISTIC") {
      forest_.link = Link::kLogistic;
    } else if (transform == "SOFTMAX") {
      forest_.link = Link::kSoftmax;
    } else {
      return Unimplemented("post_transform {}", transform);
    }
    const std::string aggregate = attributes_.Text("aggregate_function", "SUM");
    if (aggregate != "SUM" && aggregate != "AVERAGE")
      return Unimplemented("aggregate_function {}", aggregate);
    average_ = aggregate == "AVERAGE";
    if (!classifier_ && forest_.link == Link::kLogistic)
      return Unimplemented("a regressor with a logistic link");
    return {};
  }

  Status ReadBase() {
    outputs_ = OneMargin() ? 1 : classifier_ ? classes_.size() : Targets();
    if (outputs_ == 0 || outputs_ > kClassesMax) return InvalidArgument("n_targets: {}", outputs_);
    if (!OneMargin() && !used_.empty() && static_cast<size_t>(*used_.rbegin()) >= outputs_)
      return InvalidArgument("a leaf speaks to output {} of {}", *used_.rbegin(), outputs_);
    const auto& base = attributes_.Floats("base_values");
    // ONNX Runtime takes the first margin for the second one then; what others meant is not to be
    // guessed.
    if (classifier_ && classes_.size() == 2 && !OneMargin() && !base.empty())
      return Unimplemented("two classes with base values");
    if (!base.empty())
      TRY(attributes_.Need("base_values", base.size(), static_cast<int>(outputs_)));
    forest_.base.assign(outputs_, 0.0);
    std::copy(base.begin(), base.end(), forest_.base.begin());
    return {};
  }

  size_t Targets() const {
    for (const auto& attribute : node_.attribute()) {
      if (attribute.name() == "n_targets" && attribute.i() > 0)
        return static_cast<size_t>(attribute.i());
    }
    return used_.empty() ? 1 : static_cast<size_t>(*used_.rbegin()) + 1;
  }

  Status MakeTrees() {
    size_t total = 0;
    for (const ListedTree& listed : listed_) {
      std::set<int64_t> outputs;
      for (const auto& [node, leaves] : listed.leaves) {
        for (const Leaf& leaf : leaves) outputs.insert(leaf.output);
      }
      for (const int64_t output : outputs) {
        total += listed.nodes.size();
        if (total > TreeEnsemble::kMaxNodes)
          return Unimplemented("more than {} nodes", TreeEnsemble::kMaxNodes);
        forest_.trees.push_back(MakeTree(listed, output));
      }
    }
    return {};
  }

  Tree MakeTree(const ListedTree& listed, int64_t output) const {
    Tree tree{OneMargin() ? 0 : static_cast<uint32_t>(output), listed.nodes};
    const auto scale = average_ ? 1.0F / static_cast<float>(listed_.size()) : 1.0F;
    for (const auto& [node, leaves] : listed.leaves) {
      for (const Leaf& leaf : leaves) {
        if (leaf.output == output) tree.nodes[node].value += leaf.weight * scale;
      }
    }
    return tree;
  }

  const onnx::NodeProto& node_;
  Attributes attributes_;
  bool classifier_, cover_;
  TreeForest forest_;
  std::vector<ListedTree> listed_;
  std::unordered_map<int64_t, size_t> tree_index_;
  std::set<int64_t> used_;
  std::vector<std::string> classes_;
  int32_t highest_feature_ = 0;
  size_t outputs_ = 0;
  bool all_positive_ = true, average_ = false;
};

// The one tree operator of the graph, or why there is none. What only renames or casts the result
// may follow.
Result<const onnx::NodeProto*> TreeNodeOf(const onnx::GraphProto& graph) {
  const onnx::NodeProto* found = nullptr;
  for (const auto& node : graph.node()) {
    const bool tree =
        node.domain() == "ai.onnx.ml" &&
        (node.op_type() == "TreeEnsembleClassifier" || node.op_type() == "TreeEnsembleRegressor");
    if (tree && found == nullptr) {
      found = &node;
    } else if (node.op_type() != "ZipMap" && node.op_type() != "Identity") {
      return Unimplemented("the graph has an operator {}", node.op_type());
    }
  }
  if (found == nullptr) return Unimplemented("the graph has no tree ensemble");
  if (graph.input_size() != 1 || found->input_size() != 1 ||
      found->input(0) != graph.input(0).name())
    return Unimplemented("the tree ensemble does not read the graph's only input");
  return found;
}

// The number of columns of an input [rows, n]; 0 when it is not told.
size_t ColumnsOf(const onnx::ValueInfoProto& input) {
  const auto& shape = input.type().tensor_type().shape();
  if (shape.dim_size() != 2 || shape.dim(1).dim_value() <= 0) return 0;
  return static_cast<size_t>(shape.dim(1).dim_value());
}

}  // namespace

Result<OnnxFile> ReadOnnx(ByteView bytes) {
  if (bytes.size() > kModelBytesMax)
    return ResourceExhausted("{} bytes of model, at most {} are read", bytes.size(),
                             kModelBytesMax);
  onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !model.has_graph())
    return InvalidArgument("no ONNX model: {} bytes do not parse as one", bytes.size());
  OnnxFile file;
  for (const auto& entry : model.metadata_props()) file.metadata[entry.key()] = entry.value();
  const onnx::GraphProto& graph = model.graph();
  std::set<std::string> initialized;
  for (const auto& tensor : graph.initializer()) initialized.insert(tensor.name());
  for (const auto& input : graph.input()) {
    if (!initialized.contains(input.name())) file.inputs.push_back(input.name());
  }
  for (const auto& output : graph.output()) file.outputs.push_back(output.name());

  const auto node = TreeNodeOf(graph);
  if (!node) {
    file.not_trees = node.error().message;
    return file;
  }
  const auto cover = file.metadata.find(std::string(kCoverKey));
  ForestReader reader(**node, ColumnsOf(graph.input(0)),
                      cover != file.metadata.end() && cover->second == "nodes_hitrates");
  auto forest = reader.Read();
  if (!forest && forest.error().code != Code::kUnimplemented)
    return std::unexpected(forest.error());
  file.classes = reader.classes();
  if (forest) {
    file.trees = std::move(*forest);
  } else {
    file.not_trees = forest.error().message;
  }
  return file;
}

namespace {

onnx::AttributeProto& AddAttribute(onnx::NodeProto& node, const std::string& name,
                                   onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

// The list attributes of a tree operator, filled tree by tree.
struct Lists {
  Lists(onnx::NodeProto& node, const std::string& weights) {
    const auto ints = [&](const std::string& name) {
      return AddAttribute(node, name, onnx::AttributeProto::INTS).mutable_ints();
    };
    const auto floats = [&](const std::string& name) {
      return AddAttribute(node, name, onnx::AttributeProto::FLOATS).mutable_floats();
    };
    node.mutable_attribute()->Reserve(24);  // The pointers taken here stay valid in any case.
    treeids = ints("nodes_treeids");
    nodeids = ints("nodes_nodeids");
    featureids = ints("nodes_featureids");
    modes = AddAttribute(node, "nodes_modes", onnx::AttributeProto::STRINGS).mutable_strings();
    values = floats("nodes_values");
    yes = ints("nodes_truenodeids");
    no = ints("nodes_falsenodeids");
    missing = ints("nodes_missing_value_tracks_true");
    hitrates = floats("nodes_hitrates");
    weight_treeids = ints(weights + "_treeids");
    weight_nodeids = ints(weights + "_nodeids");
    weight_ids = ints(weights + "_ids");
    weight_values = floats(weights + "_weights");
  }

  void Add(size_t t, const Tree& tree) {
    for (size_t n = 0; n < tree.nodes.size(); ++n) {
      const TreeNode& node = tree.nodes[n];
      const bool leaf = node.feature < 0;
      treeids->Add(static_cast<int64_t>(t));
      nodeids->Add(static_cast<int64_t>(n));
      featureids->Add(leaf ? 0 : node.feature);
      *modes->Add() = leaf ? "LEAF" : "BRANCH_LT";
      values->Add(leaf ? 0 : node.threshold);
      yes->Add(leaf ? 0 : node.left);
      no->Add(leaf ? 0 : node.right);
      missing->Add(!leaf && node.missing_left ? 1 : 0);
      hitrates->Add(node.cover);
      if (!leaf) continue;
      weight_treeids->Add(static_cast<int64_t>(t));
      weight_nodeids->Add(static_cast<int64_t>(n));
      weight_ids->Add(tree.output);
      weight_values->Add(node.value);
    }
  }

  google::protobuf::RepeatedField<int64_t>*treeids, *nodeids, *featureids, *yes, *no, *missing;
  google::protobuf::RepeatedField<int64_t>*weight_treeids, *weight_nodeids, *weight_ids;
  google::protobuf::RepeatedField<float>*values, *hitrates, *weight_values;
  google::protobuf::RepeatedPtrField<std::string>* modes;
};

void AddValue(onnx::ValueInfoProto& value, const std::string& name, int type, int64_t columns) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape()->add_dim()->set_dim_param("rows");
  if (columns > 0) tensor.mutable_shape()->add_dim()->set_dim_value(columns);
}

}  // namespace

Result<std::string> WriteOnnx(const TreeForest& forest, const std::vector<std::string>& classes,
                              const std::map<std::string, std::string>& metadata) {
  TRY(CheckForest(forest));
  const bool classifier = !classes.empty();
  if (classifier && (forest.link != Link::kSoftmax || forest.base.size() != classes.size()))
    return InvalidArgument(
        "{} classes for {} outputs: a classifier is written as softmax over one margin each",
        classes.size(), forest.base.size());
  if (!classifier && forest.link != Link::kNone) return InvalidArgument("a regressor has no link");
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("penstock");
  auto& opset = *model.add_opset_import();
  opset.set_domain("ai.onnx.ml");
  opset.set_version(3);
  model.add_opset_import()->set_version(15);
  for (const auto& [key, value] : metadata) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  if (forest.has_cover && !metadata.contains(std::string(kCoverKey))) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(std::string(kCoverKey));
    entry.set_value("nodes_hitrates");
  }
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name("trees");
  const auto outputs = static_cast<int64_t>(forest.base.size());
  AddValue(*graph.add_input(), "features", onnx::TensorProto::FLOAT,
           static_cast<int64_t>(forest.features));
  onnx::NodeProto& node = *graph.add_node();
  node.set_domain("ai.onnx.ml");
  node.set_op_type(classifier ? "TreeEnsembleClassifier" : "TreeEnsembleRegressor");
  node.add_input("features");
  Lists lists(node, classifier ? "class" : "target");
  for (size_t t = 0; t < forest.trees.size(); ++t) lists.Add(t, forest.trees[t]);
  // Runtimes disagree about base values of two classes, not about trees of one leaf.
  const bool as_trees = classifier && classes.size() == 2;
  for (uint32_t output = 0; as_trees && output < 2; ++output) {
    const auto value = static_cast<float>(forest.base[output]);
    lists.Add(forest.trees.size() + output, {output, {TreeNode{.value = value, .cover = 1}}});
  }
  if (!as_trees) {
    auto* base = AddAttribute(node, "base_values", onnx::AttributeProto::FLOATS).mutable_floats();
    for (const double value : forest.base) base->Add(static_cast<float>(value));
  }
  AddAttribute(node, "post_transform", onnx::AttributeProto::STRING)
      .set_s(classifier ? "SOFTMAX" : "NONE");
  if (classifier) {
    auto& labels = AddAttribute(node, "classlabels_strings", onnx::AttributeProto::STRINGS);
    for (const std::string& label : classes) labels.add_strings(label);
    node.add_output("label");
    AddValue(*graph.add_output(), "label", onnx::TensorProto::STRING, 0);
    node.add_output("probabilities");
    AddValue(*graph.add_output(), "probabilities", onnx::TensorProto::FLOAT, outputs);
  } else {
    AddAttribute(node, "n_targets", onnx::AttributeProto::INT).set_i(outputs);
    node.add_output("value");
    AddValue(*graph.add_output(), "value", onnx::TensorProto::FLOAT, outputs);
  }
  return model.SerializeAsString();
}

}  // namespace penstock::inference
