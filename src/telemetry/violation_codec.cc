// What many violations of a round share (contract, rule, what is wrong) stands once in front of
// them. Their rows are one batch behind them, in its own columns.
//
// The spool's CRC has found torn and damaged records before they come here; the decoder trusts
// nothing all the same.
#include "telemetry/violation_codec.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/check.h"
#include "base/wire.h"
#include "telemetry/batch_codec.h"

namespace penstock::telemetry {
namespace {

constexpr uint8_t kViolationsMagic = 'V', kViolationsVersion = 1;

void PutWords(Bytes& out, std::string_view text) {
  wire::PutVarint(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

// Words by where they are: the same place is the same words. What is there twice is written twice.
class WordTable {
 public:
  uint32_t Place(std::string_view words) {
    if (!words_.empty() && Same(words_[last_], words)) return last_;
    const auto [found, fresh] =
        places_.try_emplace(words.data(), static_cast<uint32_t>(words_.size()));
    if (fresh || !Same(words_[found->second], words)) {
      found->second = static_cast<uint32_t>(words_.size());
      words_.push_back(words);
    }
    return last_ = found->second;
  }
  const std::vector<std::string_view>& words() const { return words_; }

 private:
  static bool Same(std::string_view a, std::string_view b) {
    return a.data() == b.data() && a.size() == b.size();
  }
  std::vector<std::string_view> words_;
  std::unordered_map<const char*, uint32_t> places_;
  uint32_t last_ = 0;
};

class ViolationReader : public wire::Reader {
 public:
  using Reader::Reader;

  std::unexpected<Error> Bad(std::string_view what) const {
    return DataLoss("record of violations: {} at byte {}", what, at());
  }
  bool Words(std::string_view* words) {
    uint64_t size = 0;
    if (!Varint(&size)) return false;
    const uint8_t* raw = size > left() ? nullptr : Take(size);
    if (raw == nullptr) return false;
    *words = {reinterpret_cast<const char*>(raw), size};
    return true;
  }
  bool Place(const std::vector<std::string_view>& words, std::string_view* into) {
    uint64_t place = 0;
    if (!Varint(&place) || place >= words.size()) return false;
    *into = words[place];
    return true;
  }
};

Status ReadViolation(ViolationReader& reader, const ViolationRecord& record, Violation& into) {
  uint64_t flags = 0, rows = 0, offending = 0;
  if (!reader.Place(record.words, &into.contract)) return reader.Bad("contract");
  if (!reader.Place(record.words, &into.rule)) return reader.Bad("rule");
  if (!reader.Place(record.words, &into.why)) return reader.Bad("reason");
  if (!reader.Varint(&flags) || flags > 1) return reader.Bad("flags");
  into.of_text = flags == 1;
  if (into.of_text && !reader.Words(&into.text)) return reader.Bad("text");
  if (!reader.Words(&into.thing) || !reader.Words(&into.property)) return reader.Bad("point");
  if (!reader.Varint(&rows) || rows == 0 || rows > kViolationRowsMax) return reader.Bad("rows");
  if (!reader.Varint(&offending) || offending >= rows) return reader.Bad("offending row");
  into.rows = static_cast<uint32_t>(rows);
  into.offending = static_cast<uint32_t>(offending);
  return {};
}

}  // namespace

std::string ValueShown(const Violation& violation, double offending) {
  return violation.of_text ? std::string(violation.text) : fmt::format("{}", offending);
}

std::string MessageShown(const Violation& violation, double offending) {
  return violation.of_text ? std::string(violation.why)
                           : fmt::format("{}{}", offending, violation.why);
}

void Violations::Clear() {
  list.clear();
  rows.Clear();
  sentences.clear();
}

void EncodeViolations(std::span<const Violation> violations, const Batch& rows, Bytes& out) {
  CHECK(violations.size() <= kViolationsMax);
  WordTable table;
  Bytes body;
  body.reserve(violations.size() * 32);
  size_t all = 0;
  for (const Violation& v : violations) {
    CHECK(v.rows > 0 && v.rows <= kViolationRowsMax && v.offending < v.rows);
    wire::PutVarint(body, table.Place(v.contract));
    wire::PutVarint(body, table.Place(v.rule));
    wire::PutVarint(body, table.Place(v.why));
    wire::PutVarint(body, v.of_text ? 1 : 0);
    if (v.of_text) PutWords(body, v.text);
    PutWords(body, v.thing);
    PutWords(body, v.property);
    wire::PutVarint(body, v.rows);
    wire::PutVarint(body, v.offending);
    all += v.rows;
  }
  CHECK(all == rows.size());
  out.push_back(kViolationsMagic);
  out.push_back(kViolationsVersion);
  wire::PutVarint(out, violations.size());
  wire::PutVarint(out, table.words().size());
  for (const std::string_view words : table.words()) PutWords(out, words);
  out.insert(out.end(), body.begin(), body.end());
  EncodeBatch(rows, out);
}

uint64_t ViolationsIn(ByteView record) {
  uint64_t count = 0;
  if (record.size() < 3 || record[0] != kViolationsMagic || record[1] != kViolationsVersion)
    return 0;
  wire::Reader reader(record.subspan(2));
  return reader.Varint(&count) && count <= kViolationsMax ? count : 0;
}

Status DecodeViolations(ByteView record, ViolationRecord& into) {
  into.list.clear();
  into.words.clear();
  into.rows.Clear();
  const uint64_t count = ViolationsIn(record);
  if (count == 0)
    return DataLoss("record of violations: {} bytes are none of version {}", record.size(),
                    kViolationsVersion);
  ViolationReader reader(record.subspan(2));
  uint64_t words = 0, again = 0, all = 0;
  if (!reader.Varint(&again) || !reader.Varint(&words) || words > 3 * count)
    return reader.Bad("number of words");
  for (uint64_t i = 0; i < words; ++i)
    if (!reader.Words(&into.words.emplace_back())) return reader.Bad("words");
  into.list.resize(count);
  for (Violation& violation : into.list) {
    TRY(ReadViolation(reader, into, violation));
    all += violation.rows;
  }
  auto rows = DecodeBatch(record.subspan(2 + reader.at()));
  if (!rows) return std::unexpected(std::move(rows).error());
  if (rows->size() != all)
    return DataLoss("record of violations: {} rows for {} violations of {}", rows->size(), count,
                    all);
  into.rows = std::move(*rows);
  return {};
}

}  // namespace penstock::telemetry
