// Rows that broke their contract, on their way from the check to the quarantine: all of a round in
// a few columns, because a wrong contract can make a violation of every row there is.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/sample.h"

namespace penstock::telemetry {

inline constexpr size_t kViolationRowsMax = 1 << 17;  // A longer burst is several violations.
inline constexpr size_t kViolationsMax = 8192;        // Kept at once.

// Rows of one point that broke one rule. What the views see lives as long as the call they are
// passed in.
struct Violation {
  std::string_view contract;         // "pump@1.2.0"
  std::string_view thing, property;  // Of the point: "pump-7", "discharge_pressure".
  std::string_view rule;             // "minimum", "maximum", "type", "step", "invalid_values" ...
  // What is wrong: of a number what follows it (" bar is above 16 bar; ..."), of a text all.
  std::string_view why;
  std::string_view text;  // The first offending value, where it is a text.
  bool of_text = false;
  uint32_t rows = 0;       // At least 1, at most kViolationRowsMax.
  uint32_t offending = 0;  // The first offending one of these.
};

std::string ValueShown(const Violation& violation, double offending);    // "16.2"
std::string MessageShown(const Violation& violation, double offending);  // "16.2 bar is above ..."

struct Violations {
  std::vector<Violation> list;  // At most kViolationsMax.
  Batch
      rows;  // With the pipeline's marks: those of the first violation, then those of the next ...
  std::deque<std::string> sentences;  // That the views see, where nobody else keeps them.

  void Clear();
};

class ViolationSink {
 public:
  virtual ~ViolationSink() = default;
  // All durable, or none and an error.
  virtual Status Keep(const Violations& violations) = 0;
};

}  // namespace penstock::telemetry
