// What may be said of a person: fields classified "personal" are dropped, replaced by a pseudonym
// or made coarser before they are stored or leave the node. A pseudonym is keyed: the same person
// has the same one here, and nobody without the key can try names until one fits.
//
// Thread rule: const after construction; any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace penstock::trust {

enum class PrivacyAction { kKeep, kDrop, kPseudonym, kCoarsen };

struct PrivacyRule {
  PrivacyAction action = PrivacyAction::kDrop;
  double step = 0;  // kCoarsen, numbers: rounded down to a multiple, in the point's unit.
  size_t keep_characters = 0;  // kCoarsen, text: so many from the beginning.
  Duration time_step{0};       // kCoarsen, times: rounded down to a multiple.
};

// {"action": "coarsen", "step": 5, "keep_characters": 2, "time_step": "1h"}; errors carry the
// pointer.
Result<PrivacyRule> ParsePrivacyRule(const Json& rule, std::string_view base = "");
// What happens to a field that is classified and has no rule of its own: "personal" is dropped, all
// else is kept.
PrivacyRule DefaultRule(std::string_view classification);

class PrivacyTransform {
 public:
  // `key`: at least 32 random bytes. Whoever changes it breaks the thread between old and new
  // pseudonyms.
  explicit PrivacyTransform(Bytes key);
  // The key of a data folder, made at the first call; readable by its owner alone.
  static Result<PrivacyTransform> Open(const std::string& key_file);

  // Nothing: the value must not be kept. `field` separates pseudonyms of the same text in different
  // fields.
  std::optional<std::string> Text(const PrivacyRule& rule, std::string_view field,
                                  std::string_view value) const;
  std::optional<double> Number(const PrivacyRule& rule, std::string_view field, double value) const;
  std::optional<Time> Instant(const PrivacyRule& rule, Time value) const;
  // Fields of an object by name; those without a rule stay as they are. Nested values are dropped
  // or kept whole.
  Json Apply(const std::map<std::string, PrivacyRule>& rules, const Json& object) const;

 private:
  Sha256 Mac(std::string_view field, std::string_view value) const;
  Bytes key_;
};

}  // namespace penstock::trust
