// ONNX Runtime, for every model that is no tree ensemble. Opened only when such a model is: the
// library and its session cost tens of megabytes that a node with trees alone never pays.
//
// Thread rule: Run from any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::inference {

class Runtime {
 public:
  virtual ~Runtime() = default;
  // `bytes` may go away afterwards. The model has one float input [rows, features] and, among its
  // outputs, one float output [rows, classes] (the last such one is taken).
  static Result<std::unique_ptr<Runtime>> Open(ByteView bytes);

  virtual size_t features() const = 0;  // 0 when the model does not tell.
  virtual size_t outputs() const = 0;   // Likewise.
  // `rows` holds whole rows one after the other; so does the answer.
  virtual Result<std::vector<float>> Run(std::span<const float> rows, size_t features) = 0;
};

}  // namespace penstock::inference
