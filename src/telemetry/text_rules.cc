// Most machines say a handful of texts again and again, so what was judged once is remembered. A
// text that comes for the first time is searched for its pattern in time that grows with its length
// alone; what is too long for that breaks the rule, because nobody can say that it keeps it.
#include "telemetry/text_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "things/contract_rules.h"

namespace penstock::telemetry {
namespace {

using things::ContractRule;

constexpr size_t kGoodTextsMax = 65'536;
using TextBreach = std::pair<std::string_view, std::string>;  // Rule, message.

size_t Characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

bool JudgesTexts(const ContractRule& rule) { return rule.PerSample() && !rule.texts.empty(); }

}  // namespace

struct TextRules::Pattern {
  explicit Pattern(std::regex compiled) : regex(std::move(compiled)) {}
  std::regex regex;
};

bool TextRules::Has(const things::ContractField& field) {
  return field.text != things::ContractText{} ||
         std::any_of(field.rules.begin(), field.rules.end(), JudgesTexts);
}

TextRules::TextRules(const things::ContractField& field) : field_(field) {
  if (field.text.pattern.empty()) return;
  if (auto pattern = things::CompilePattern(field.text.pattern))
    pattern_ = std::make_unique<const Pattern>(std::move(*pattern));
}

TextRules::~TextRules() = default;

std::optional<TextBreach> TextRules::Judge(double code, std::string_view text) const {
  const auto key = static_cast<uint64_t>(code);
  {
    const std::lock_guard lock(mutex_);
    if (good_.contains(key)) return std::nullopt;
  }
  auto breach = Closer(text);
  if (breach) return breach;
  const std::lock_guard lock(mutex_);
  if (good_.size() >= kGoodTextsMax) good_.clear();
  good_.insert(key);
  return std::nullopt;
}

std::optional<TextBreach> TextRules::Closer(std::string_view text) const {
  const auto& rule = field_.text;
  const std::string shown(text.substr(0, 80));
  const size_t length = Characters(text);
  if (length < rule.shortest)
    return TextBreach{"min_length",
                      fmt::format("\"{}\" has {} characters, at least {} are promised", shown,
                                  length, rule.shortest)};
  if (length > rule.longest)
    return TextBreach{"max_length", fmt::format("\"{}\" has {} characters, at most {} are promised",
                                                shown, length, rule.longest)};
  if (pattern_ && text.size() > kPatternTextMax)
    return TextBreach{
        "pattern", fmt::format("{} bytes are too long to be held against a pattern (at most {}); "
                               "promise a maxLength",
                               text.size(), kPatternTextMax)};
  if (pattern_ && !std::regex_match(text.begin(), text.end(), pattern_->regex))
    return TextBreach{"pattern", fmt::format("\"{}\" is not of the form {}", shown, rule.pattern)};
  for (const ContractRule& listed : field_.rules) {
    if (!JudgesTexts(listed)) continue;
    const bool has = std::binary_search(listed.texts.begin(), listed.texts.end(), text);
    if (listed.metric == ContractRule::Metric::kMissing && has)
      return TextBreach{"missing_values", fmt::format("\"{}\" stands for a missing value ({}); see "
                                                      "the source",
                                                      shown, listed.name)};
    if (listed.metric == ContractRule::Metric::kInvalid && !has)
      return TextBreach{"invalid_values", fmt::format("\"{}\" is none of the {} valid texts ({})",
                                                      shown, listed.texts.size(), listed.name)};
  }
  return std::nullopt;
}

}  // namespace penstock::telemetry
