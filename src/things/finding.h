// What a check of a file finds: every mistake and doubt of the file in one pass, each with its
// place and its fix.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::things {

// One mistake or doubt found in a file.
struct Finding {
  bool is_error = true;
  Error error;  // where, pointer, message, fix.
};

// Collects the findings of one file. Bounded: beyond kMax they are only counted and summed up in
// one last finding.
class Findings {
 public:
  static constexpr size_t kMax = 200;

  explicit Findings(std::string file) : file_(std::move(file)) {}

  void Mistake(std::string_view pointer, std::string message, std::string_view fix = "");
  void Doubt(std::string_view pointer, std::string message, std::string_view fix = "");
  void Mistake(Error error);  // As it is; `where` is set, and `pointer` kept.

  size_t errors() const { return errors_; }
  const std::string& file() const { return file_; }
  std::vector<Finding> Take();  // In the order found.

 private:
  void Add(Finding finding);

  std::string file_;
  std::vector<Finding> findings_;
  size_t errors_ = 0, left_out_ = 0;
};

// As a person reads it, two or three lines, without a newline at the end:
//   things/pump-7.td.json  /properties/discharge_pressure/forms/0/modv:type
//     error: "xsd:double" needs quantity=4, form reads 2 registers
//     fix:   quantity=4, or modv:type xsd:float
std::string FormatFinding(const Finding& finding);

}  // namespace penstock::things
