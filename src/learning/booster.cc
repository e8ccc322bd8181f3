// XGBoost through its C interface, and its model document (JSON) read into our trees. The base
// score is set to 0, so that a margin is the sum of leaves alone; a leaf's value stands where a
// split has its threshold.
#include "learning/booster.h"

#include <xgboost/c_api.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/json.h"

namespace penstock::learning {
namespace {

// A non-zero answer of the library as an Error.
Status Told(int answer, std::string_view what) {
  if (answer == 0) return {};
  std::string_view text = XGBGetLastError();
  if (const size_t line = text.find('\n'); line != text.npos) text = text.substr(0, line);
  return Internal("XGBoost, {}: {}", what, text);
}

class Data {
 public:
  Data() = default;
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;
  ~Data() {
    if (handle_ != nullptr) XGDMatrixFree(handle_);
  }

  Status Fill(const Matrix& matrix) {
    if (matrix.rows() == 0) return InvalidArgument("no rows to learn from or to judge");
    return Told(XGDMatrixCreateFromMat(matrix.values.data(), matrix.rows(), matrix.columns,
                                       std::numeric_limits<float>::quiet_NaN(), &handle_),
                "rows");
  }
  Status Fill(const Examples& examples) {
    const size_t rows = examples.features.rows();
    if (examples.labels.size() != rows ||
        (!examples.weights.empty() && examples.weights.size() != rows))
      return InvalidArgument("{} rows, {} labels, {} weights", rows, examples.labels.size(),
                             examples.weights.size());
    TRY(Fill(examples.features));
    TRY(Told(XGDMatrixSetFloatInfo(handle_, "label", examples.labels.data(), rows), "labels"));
    if (examples.weights.empty()) return {};
    return Told(XGDMatrixSetFloatInfo(handle_, "weight", examples.weights.data(), rows), "weights");
  }
  DMatrixHandle handle() const { return handle_; }

 private:
  DMatrixHandle handle_ = nullptr;
};

Result<inference::Tree> ReadTree(const Json& document, uint32_t output) {
  const auto left = document.at("left_children").get<std::vector<int32_t>>();
  const auto right = document.at("right_children").get<std::vector<int32_t>>();
  const auto feature = document.at("split_indices").get<std::vector<int32_t>>();
  const auto condition = document.at("split_conditions").get<std::vector<float>>();
  const auto default_left = document.at("default_left").get<std::vector<int>>();
  const auto cover = document.at("sum_hessian").get<std::vector<float>>();
  const size_t count = left.size();
  if (right.size() != count || feature.size() != count || condition.size() != count ||
      default_left.size() != count || cover.size() != count)
    return Internal("XGBoost's model document has columns of different length");
  inference::Tree tree{output, std::vector<inference::TreeNode>(count)};
  for (size_t i = 0; i < count; ++i) {
    inference::TreeNode& node = tree.nodes[i];
    node.cover = cover[i];
    if (left[i] < 0) {
      node.value = condition[i];
      continue;
    }
    node.feature = feature[i];
    node.threshold = condition[i];
    node.missing_left = default_left[i] != 0;
    node.left = left[i];
    node.right = right[i];
  }
  return tree;
}

class XgBooster final : public Booster {
 public:
  explicit XgBooster(const BoosterOptions& options) : options_(options) {}
  ~XgBooster() override {
    if (handle_ != nullptr) XGBoosterFree(handle_);
  }

  Status Grow(const Examples& train, const Examples& validation,
              const std::function<void(int, double)>& progress) {
    Data train_data, validation_data;
    TRY(train_data.Fill(train));
    TRY(validation_data.Fill(validation));
    columns_ = train.features.columns;
    DMatrixHandle cached[] = {train_data.handle(), validation_data.handle()};
    TRY(Told(XGBoosterCreate(cached, 2, &handle_), "create"));
    TRY(SetParameters());
    loss_ = std::numeric_limits<double>::infinity();
    for (int round = 0; round < options_.rounds_max; ++round) {
      TRY(Told(XGBoosterUpdateOneIter(handle_, round, train_data.handle()), "a round"));
      ASSIGN_OR_RETURN(const double loss, LossOn(validation_data, round));
      if (progress) progress(round + 1, loss);
      if (loss < loss_) {
        loss_ = loss;
        rounds_ = round + 1;
      } else if (options_.patience > 0 && round + 1 - rounds_ >= options_.patience) {
        break;
      }
    }
    if (rounds_ == 0) return Internal("XGBoost reached no finite loss");
    return {};
  }

  int rounds() const override { return rounds_; }
  double validation_loss() const override { return loss_; }
  Result<std::vector<float>> Margins(const Matrix& rows) const override { return Predict(rows, 1); }
  Result<std::vector<float>> Contributions(const Matrix& rows) const override {
    return Predict(rows, 2);
  }

  Result<inference::TreeForest> Forest() const override {
    bst_ulong size = 0;
    const char* text = nullptr;
    TRY(Told(XGBoosterSaveModelToBuffer(handle_, R"({"format": "json"})", &size, &text), "save"));
    try {
      const Json document = Json::parse(text, text + size);
      const Json& model = document.at("learner").at("gradient_booster").at("model");
      inference::TreeForest forest;
      forest.features = columns_;
      forest.base.assign(options_.classes, 0.0);
      forest.link = inference::Link::kSoftmax;
      forest.has_cover = true;
      const size_t kept = static_cast<size_t>(rounds_) * options_.classes;
      for (size_t t = 0; t < std::min(kept, model.at("trees").size()); ++t) {
        ASSIGN_OR_RETURN(auto tree,
                         ReadTree(model.at("trees")[t], model.at("tree_info")[t].get<uint32_t>()));
        forest.trees.push_back(std::move(tree));
      }
      return forest;
    } catch (const Json::exception& error) {
      return Internal("XGBoost's model document: {}", error.what());
    }
  }

 private:
  Status SetParameters() {
    const auto text = [](auto value) { return fmt::format("{}", value); };
    const std::pair<const char*, std::string> parameters[] = {
        {"verbosity", "0"},
        {"objective", "multi:softprob"},
        {"eval_metric", "mlogloss"},
        {"num_class", text(options_.classes)},
        {"base_score", "0"},
        {"tree_method", "hist"},
        {"max_depth", text(options_.depth_max)},
        {"eta", text(options_.learning_rate)},
        {"subsample", text(options_.row_share)},
        {"colsample_bytree", text(options_.column_share)},
        {"min_child_weight", text(options_.child_weight_min)},
        {"lambda", text(options_.lambda)},
        {"seed", text(options_.seed & 0x7FFFFFFF)},
        {"nthread", text(options_.threads)},
    };
    for (const auto& [name, value] : parameters)
      TRY(Told(XGBoosterSetParam(handle_, name, value.c_str()), name));
    return {};
  }

  // "[12]\tvalidation-mlogloss:0.1234"
  Result<double> LossOn(const Data& data, int round) const {
    DMatrixHandle handle = data.handle();
    const char* name = "validation";
    const char* text = nullptr;
    TRY(Told(XGBoosterEvalOneIter(handle_, round, &handle, &name, 1, &text), "evaluate"));
    const std::string_view told(text);
    const size_t colon = told.rfind(':');
    const double loss = colon == told.npos ? NAN : std::strtod(text + colon + 1, nullptr);
    if (!std::isfinite(loss)) return Internal("XGBoost's loss is no number: {}", told);
    return loss;
  }

  Result<std::vector<float>> Predict(const Matrix& rows, int type) const {
    if (rows.columns != columns_)
      return InvalidArgument("rows of {} features for a model of {}", rows.columns, columns_);
    Data data;
    TRY(data.Fill(rows));
    const Json config = {{"type", type},
                         {"training", false},
                         {"iteration_begin", 0},
                         {"iteration_end", rounds_},
                         {"strict_shape", true}};
    const std::string text = config.dump();
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* values = nullptr;
    TRY(Told(XGBoosterPredictFromDMatrix(handle_, data.handle(), text.c_str(), &shape, &dimensions,
                                         &values),
             "predict"));
    size_t count = 1;
    for (bst_ulong i = 0; i < dimensions; ++i) count *= shape[i];
    return std::vector<float>(values, values + count);
  }

  BoosterOptions options_;
  BoosterHandle handle_ = nullptr;
  size_t columns_ = 0;
  int rounds_ = 0;
  double loss_ = 0;
};

}  // namespace

Result<std::unique_ptr<Booster>> Booster::Train(const Examples& train, const Examples& validation,
                                                const BoosterOptions& options,
                                                const std::function<void(int, double)>& progress) {
  if (options.classes < 2 || options.rounds_max < 1 || options.depth_max < 1 ||
      options.depth_max > 16)
    return InvalidArgument("{} classes, {} rounds, depth {}: 2, 1 and 1..16 are the least",
                           options.classes, options.rounds_max, options.depth_max);
  auto booster = std::make_unique<XgBooster>(options);
  TRY(booster->Grow(train, validation, progress));
  return std::unique_ptr<Booster>(std::move(booster));
}

}  // namespace penstock::learning
