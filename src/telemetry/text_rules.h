// What a data contract promises about the texts of one field: which ones, how long, of what form.
//
// Thread rule: any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "things/data_contract.h"

namespace penstock::telemetry {

inline constexpr size_t kPatternTextMax = 1024;  // Bytes of a text that a pattern is held against.

class TextRules {
 public:
  // `field` outlives the rules.
  explicit TextRules(const things::ContractField& field);
  ~TextRules();
  // Whether there is any rule; without one no text is wrong.
  static bool Has(const things::ContractField& field);

  // The rule that the text breaks and why, or nothing. `code` is the text's (telemetry/texts.h):
  // one judged good before is not judged again.
  std::optional<std::pair<std::string_view, std::string>> Judge(double code,
                                                                std::string_view text) const;

 private:
  std::optional<std::pair<std::string_view, std::string>> Closer(std::string_view text) const;

  const things::ContractField& field_;
  struct Pattern;
  std::unique_ptr<const Pattern> pattern_;
  mutable std::mutex mutex_;
  mutable std::unordered_set<uint64_t> good_;  // Codes; bounded.
};

}  // namespace penstock::telemetry
