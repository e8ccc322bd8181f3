// HMAC-SHA-256 (RFC 2104) over field, a zero byte and the value. Of its 32 bytes a text pseudonym
// shows 16: enough that two people never share one. A number's pseudonym is a whole number below
// 2^48, so that it stays exact in a column of doubles.
#include "trust/privacy.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>

#include <cmath>

#include "base/check.h"
#include "base/file.h"

namespace penstock::trust {
namespace {

constexpr size_t kKeyBytes = 32;

// The first `count` characters of UTF-8 text.
std::string_view Head(std::string_view text, size_t count) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    const bool begins = (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80;
    if (begins && count-- == 0) break;
  }
  return text.substr(0, at);
}

}  // namespace

Result<PrivacyRule> ParsePrivacyRule(const Json& json, std::string_view base) {
  TRY(CheckKeys(json, {"action", "step", "keep_characters", "time_step"}, base));
  ASSIGN_OR_RETURN(const std::string action, GetString(json, "action", base));
  PrivacyRule rule;
  if (action == "keep") {
    rule.action = PrivacyAction::kKeep;
  } else if (action == "drop") {
    rule.action = PrivacyAction::kDrop;
  } else if (action == "pseudonym") {
    rule.action = PrivacyAction::kPseudonym;
  } else if (action == "coarsen") {
    rule.action = PrivacyAction::kCoarsen;
  } else {
    auto error = InvalidArgument("no such privacy action: \"{}\"", action.substr(0, 40));
    error.error().At(std::string(base) + "/action").Fix("one of keep, drop, pseudonym, coarsen");
    return error;
  }
  rule.step = NumberOr(json, "step", 0);
  const double characters = NumberOr(json, "keep_characters", 0);
  if (const std::string text = StringOr(json, "time_step", ""); !text.empty()) {
    auto step = ParseDuration(text);
    if (!step) return std::unexpected(step.error().At(std::string(base) + "/time_step"));
    rule.time_step = *step;
  }
  const bool sane =
      std::isfinite(rule.step) && rule.step >= 0 && characters >= 0 && characters <= 1000;
  const bool says_how = rule.step > 0 || characters > 0 || rule.time_step.count() > 0;
  if (!sane || (rule.action == PrivacyAction::kCoarsen && !says_how)) {
    auto error =
        InvalidArgument("coarsen needs how far: step > 0, keep_characters 1 to 1000 or time_step");
    error.error().At(std::string(base)).Fix("for example {\"action\": \"coarsen\", \"step\": 5}");
    return error;
  }
  rule.keep_characters = static_cast<size_t>(characters);
  return rule;
}

PrivacyRule DefaultRule(std::string_view classification) {
  return {.action = classification == "personal" ? PrivacyAction::kDrop : PrivacyAction::kKeep};
}

PrivacyTransform::PrivacyTransform(Bytes key) : key_(std::move(key)) {
  CHECK(key_.size() >= kKeyBytes);
}

Result<PrivacyTransform> PrivacyTransform::Open(const std::string& key_file) {
  const auto stored = ReadFile(key_file, 4096);
  if (stored) {
    ASSIGN_OR_RETURN(Bytes key,
                     FromBase64(std::string_view(*stored).substr(0, stored->find('\n'))));
    if (key.size() >= kKeyBytes) return PrivacyTransform(std::move(key));
    auto error = DataLoss("privacy key has {} bytes, not {}", key.size(), kKeyBytes);
    error.error().Where(key_file).Fix("restore it from a backup; a new one breaks all pseudonyms");
    return error;
  }
  if (stored.error().code != Code::kNotFound) return std::unexpected(stored.error());
  Bytes key = RandomBytes(kKeyBytes);
  const mode_t before = umask(0077);
  const Status written = WriteFileAtomically(key_file, ToBase64(key) + "\n");
  umask(before);
  if (!written) return std::unexpected(written.error());
  return PrivacyTransform(std::move(key));
}

Sha256 PrivacyTransform::Mac(std::string_view field, std::string_view value) const {
  std::string input(field);
  input += '\0';
  input += value;
  Sha256 mac{};
  unsigned length = 0;
  CHECK(HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), AsBytes(input).data(),
             input.size(), mac.data(), &length) != nullptr);
  return mac;
}

std::optional<std::string> PrivacyTransform::Text(const PrivacyRule& rule, std::string_view field,
                                                  std::string_view value) const {
  switch (rule.action) {
    case PrivacyAction::kKeep:
      return std::string(value);
    case PrivacyAction::kPseudonym:
      return ToHex(ByteView(Mac(field, value)).first(16));
    case PrivacyAction::kCoarsen:
      if (rule.keep_characters > 0) return std::string(Head(value, rule.keep_characters));
      return std::nullopt;
    case PrivacyAction::kDrop:
      break;
  }
  return std::nullopt;
}

std::optional<double> PrivacyTransform::Number(const PrivacyRule& rule, std::string_view field,
                                               double value) const {
  switch (rule.action) {
    case PrivacyAction::kKeep:
      return value;
    case PrivacyAction::kPseudonym: {
      const Sha256 mac = Mac(field, fmt::format("{}", value));
      uint64_t number = 0;
      for (size_t i = 0; i < 6; ++i) number = number << 8 | mac[i];
      return static_cast<double>(number);
    }
    case PrivacyAction::kCoarsen:
      if (rule.step > 0) return std::floor(value / rule.step) * rule.step;
      return std::nullopt;
    case PrivacyAction::kDrop:
      break;
  }
  return std::nullopt;
}

std::optional<Time> PrivacyTransform::Instant(const PrivacyRule& rule, Time value) const {
  if (rule.action == PrivacyAction::kKeep) return value;
  if (rule.action != PrivacyAction::kCoarsen || rule.time_step.count() <= 0) return std::nullopt;
  int64_t behind = ToMicros(value) % rule.time_step.count();
  if (behind < 0) behind += rule.time_step.count();
  return value - Duration(behind);
}

Json PrivacyTransform::Apply(const std::map<std::string, PrivacyRule>& rules,
                             const Json& object) const {
  Json out = Json::object();
  for (const auto& [field, value] : object.items()) {
    const auto found = rules.find(field);
    if (found == rules.end() || found->second.action == PrivacyAction::kKeep) {
      out[field] = value;
    } else if (value.is_string()) {
      if (auto text = Text(found->second, field, value.get_ref<const std::string&>()))
        out[field] = *text;
    } else if (value.is_number()) {
      if (auto number = Number(found->second, field, value.get<double>())) out[field] = *number;
    }
  }
  return out;
}

}  // namespace penstock::trust
