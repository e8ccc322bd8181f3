// One environment per process, made at the first model; one session per model with a single thread
// and without the memory arena (a gateway has 60 MB, the arena would take as much again). The
// library throws; every call is wrapped here and nothing passes on.
#include "inference/runtime.h"

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/log.h"

namespace penstock::inference {
namespace {

template <typename Work>
auto Guarded(std::string_view what, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Ort::Exception& error) {
    return InvalidArgument("ONNX Runtime, {}: {}", what, error.what());
  } catch (const std::exception& error) {
    return Internal("ONNX Runtime, {}: {}", what, error.what());
  }
}

// Shared by all sessions; the library wants exactly one.
Ort::Env& Environment() {
  static Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "penstock");
  return environment;
}

// Columns of a float matrix [rows, n]; nothing when the value is something else. 0: not told.
std::optional<size_t> Columns(const Ort::TypeInfo& type) {
  if (type.GetONNXType() != ONNX_TYPE_TENSOR) return std::nullopt;
  const auto tensor = type.GetTensorTypeAndShapeInfo();
  if (tensor.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) return std::nullopt;
  const std::vector<int64_t> shape = tensor.GetShape();
  if (shape.size() != 2) return std::nullopt;
  return shape[1] > 0 ? static_cast<size_t>(shape[1]) : 0;
}

class OnnxRuntime final : public Runtime {
 public:
  Status Load(ByteView bytes) {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    options.SetInterOpNumThreads(1);
    options.SetExecutionMode(ORT_SEQUENTIAL);
    options.DisableCpuMemArena();
    options.DisableMemPattern();
    session_ = Ort::Session(Environment(), bytes.data(), bytes.size(), options);
    Ort::AllocatorWithDefaultOptions allocator;
    if (session_.GetInputCount() != 1)
      return Unimplemented("a model with {} inputs; one matrix of features is expected",
                           session_.GetInputCount());
    const auto input = Columns(session_.GetInputTypeInfo(0));
    if (!input) return Unimplemented("the model's input is no float matrix [rows, features]");
    features_ = *input;
    input_ = session_.GetInputNameAllocated(0, allocator).get();
    for (size_t i = 0; i < session_.GetOutputCount(); ++i) {
      const auto output = Columns(session_.GetOutputTypeInfo(i));
      if (!output) continue;
      outputs_ = *output;
      output_ = session_.GetOutputNameAllocated(i, allocator).get();
    }
    if (output_.empty())
      return Unimplemented("none of the model's outputs is a float matrix [rows, classes]");
    return {};
  }

  size_t features() const override { return features_; }
  size_t outputs() const override { return outputs_; }

  Result<std::vector<float>> Run(std::span<const float> rows, size_t features) override {
    if (features == 0 || rows.empty() || rows.size() % features != 0)
      return InvalidArgument("{} values are no rows of {} features", rows.size(), features);
    return Guarded("run", [&]() -> Result<std::vector<float>> {
      const std::array<int64_t, 2> shape{static_cast<int64_t>(rows.size() / features),
                                         static_cast<int64_t>(features)};
      const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
      // The library only reads its inputs; its interface has no const.
      const auto input = Ort::Value::CreateTensor<float>(memory, const_cast<float*>(rows.data()),
                                                         rows.size(), shape.data(), shape.size());
      const char* input_name = input_.c_str();
      const char* output_name = output_.c_str();
      const auto answer =
          session_.Run(Ort::RunOptions{nullptr}, &input_name, &input, 1, &output_name, 1);
      const size_t count = answer.front().GetTensorTypeAndShapeInfo().GetElementCount();
      const auto* values = answer.front().GetTensorData<float>();
      return std::vector<float>(values, values + count);
    });
  }

 private:
  Ort::Session session_{nullptr};
  std::string input_, output_;
  size_t features_ = 0, outputs_ = 0;
};

}  // namespace

Result<std::unique_ptr<Runtime>> Runtime::Open(ByteView bytes) {
  auto runtime = std::make_unique<OnnxRuntime>();
  TRY(Guarded("load", [&]() -> Status { return runtime->Load(bytes); }));
  return std::unique_ptr<Runtime>(std::move(runtime));
}

}  // namespace penstock::inference
