// An interval as bytes: magic, varints, CRC. Points with consecutive ids and equal counts are one
// run, so a site that samples everything at one pace costs a few bytes.
#include <algorithm>
#include <cstring>

#include "base/wire.h"
#include "telemetry/ledger.h"

namespace penstock::telemetry {
namespace {

constexpr std::string_view kLedgerMagic = "PSLED2\r\n";
// Version 1 had no heads of forwarding, and nothing was released.
constexpr std::string_view kLedgerMagicOf1 = "PSLED1\r\n";
constexpr size_t kPointsMax = 1 << 24;

constexpr LedgerField kFields[] = {
    {"produced", &LedgerCounts::produced},
    {"durable", &LedgerCounts::durable},
    {"forwarded", &LedgerCounts::forwarded},
    {"evicted", &LedgerCounts::evicted},
    {"lost", &LedgerCounts::lost},
    {"quarantined", &LedgerCounts::quarantined},
    {"duplicates", &LedgerCounts::duplicates},
    {"refused", &LedgerCounts::refused},
    {"released", &LedgerCounts::released},
};

// Bits that say which counts are not 0, then those. Version 1 had 8 bits in a byte.
void PutCounts(Bytes& out, const LedgerCounts& counts) {
  uint64_t mask = 0;
  for (size_t i = 0; i < std::size(kFields); ++i)
    if (counts.*kFields[i].field != 0) mask |= uint64_t{1} << i;
  wire::PutVarint(out, mask);
  for (const LedgerField& field : kFields)
    if (counts.*field.field != 0) wire::PutVarint(out, counts.*field.field);
}

class LedgerReader : public wire::Reader {
 public:
  LedgerReader(ByteView bytes, bool version_1) : Reader(bytes), version_1_(version_1) {}

  Result<uint64_t> Number(std::string_view what) {
    uint64_t value = 0;
    if (Varint(&value)) return value;
    if (left() == 0) return DataLoss("ledger: ends within {}", what);
    return DataLoss("ledger: number too long in {} at byte {}", what, at());
  }
  Result<LedgerCounts> Counts() {
    uint8_t byte = 0;
    if (version_1_ && !Byte(&byte)) return DataLoss("ledger: ends within counts");
    uint64_t mask = byte;
    if (!version_1_) {
      ASSIGN_OR_RETURN(mask, Number("counts"));
    }
    if (mask >> std::size(kFields) != 0) return DataLoss("ledger: counts of marks {:x}", mask);
    LedgerCounts counts;
    for (size_t i = 0; i < std::size(kFields); ++i) {
      if ((mask >> i & 1) == 0) continue;
      ASSIGN_OR_RETURN(counts.*kFields[i].field, Number(kFields[i].name));
    }
    return counts;
  }
  Status Points(LedgerInterval& interval) {
    ASSIGN_OR_RETURN(const uint64_t runs, Number("runs"));
    uint64_t next = 0;
    for (uint64_t i = 0; i < runs; ++i) {
      ASSIGN_OR_RETURN(const uint64_t skip, Number("point"));
      ASSIGN_OR_RETURN(const uint64_t length, Number("run"));
      ASSIGN_OR_RETURN(const LedgerCounts counts, Counts());
      if (length == 0 || length > kPointsMax || skip > kPointsMax ||
          next + skip + length > kPointsMax)
        return DataLoss("ledger: run {} has {} points from {}", i, length, next + skip);
      for (uint64_t id = next + skip; id < next + skip + length; ++id)
        interval.points.emplace_back(PointId{static_cast<uint32_t>(id)}, counts);
      next += skip + length;
    }
    return {};
  }

 private:
  const bool version_1_;
};

}  // namespace

std::span<const LedgerField> LedgerFields() { return kFields; }

Bytes EncodeInterval(const LedgerInterval& interval) {
  Bytes out(kLedgerMagic.begin(), kLedgerMagic.end());
  for (const uint64_t number :
       {interval.number, interval.epoch, static_cast<uint64_t>(ToMicros(interval.from)),
        static_cast<uint64_t>(ToMicros(interval.to)), interval.first_sequence,
        interval.end_sequence, interval.first_record, interval.end_record,
        interval.forward.next_record, interval.forward.from, interval.forward.to})
    wire::PutVarint(out, number);
  PutCounts(out, interval.total);
  Bytes runs;
  uint64_t count = 0, next = 0;
  for (size_t i = 0; i < interval.points.size(); ++count) {
    const auto& [first, counts] = interval.points[i];
    size_t end = i + 1;
    while (end < interval.points.size() && interval.points[end].second == counts &&
           interval.points[end].first.value == first.value + (end - i))
      ++end;
    wire::PutVarint(runs, first.value - next);
    wire::PutVarint(runs, end - i);
    PutCounts(runs, counts);
    next = first.value + (end - i);
    i = end;
  }
  wire::PutVarint(out, count);
  out.insert(out.end(), runs.begin(), runs.end());
  const uint32_t crc = Crc32c(out);
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<uint8_t>(crc >> shift));
  return out;
}

Result<LedgerInterval> DecodeInterval(ByteView bytes) {
  constexpr size_t kCrcBytes = 4;
  const auto magic = AsText(bytes.first(std::min(bytes.size(), kLedgerMagic.size())));
  const bool version_1 = magic == kLedgerMagicOf1;
  if (bytes.size() < kLedgerMagic.size() + kCrcBytes || (magic != kLedgerMagic && !version_1))
    return DataLoss("no ledger file: {} bytes", bytes.size());
  const ByteView covered = bytes.first(bytes.size() - kCrcBytes);
  if (wire::Load<uint32_t>(bytes.data() + covered.size()) != Crc32c(covered))
    return DataLoss("ledger damaged: checksum differs");
  LedgerReader reader(covered.subspan(kLedgerMagic.size()), version_1);
  LedgerInterval interval;
  uint64_t from = 0, to = 0;
  for (auto* number : {&interval.number, &interval.epoch, &from, &to, &interval.first_sequence,
                       &interval.end_sequence, &interval.first_record, &interval.end_record}) {
    ASSIGN_OR_RETURN(*number, reader.Number("head"));
  }
  if (!version_1) {
    LedgerForward& forward = interval.forward;
    for (auto* number : {&forward.next_record, &forward.from, &forward.to}) {
      ASSIGN_OR_RETURN(*number, reader.Number("head"));
    }
  }
  interval.from = FromMicros(static_cast<int64_t>(from));
  interval.to = FromMicros(static_cast<int64_t>(to));
  ASSIGN_OR_RETURN(interval.total, reader.Counts());
  TRY(reader.Points(interval));
  if (reader.left() != 0) return DataLoss("ledger: bytes behind the last run");
  return interval;
}

}  // namespace penstock::telemetry
