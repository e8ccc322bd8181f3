// The columns of a frame, each as what machines send is like. Times and the order of points advance
// in steps, so they are runs of one step, or differences where there are no runs. Most values are
// decimal numbers with few digits: they are sent as whole numbers of 10^-e, each as the difference
// to the last of its point, and the few that are not (a NaN, a third) follow as they are (after
// ALP, Afroozeh and Boncz, SIGMOD 2023). Values that are not decimal at all are sent in planes of
// bytes, in which zstd finds the exponents' repetition. zstd at level 1 does the rest.
//
// The decoder believes nothing: lengths are compared with what is left and with fixed bounds, the
// checksum is verified first, and what is behind it is still taken for a stranger's.
#include "telemetry/frame.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include <zstd.h>

#include "base/check.h"
#include "base/wire.h"
#include "telemetry/texts.h"

namespace penstock::telemetry {
namespace {

constexpr char kFrameMagic[8] = {'P', 'S', 'F', 'R', 'A', 'M', '1', '\n'};
constexpr size_t kCrcAt = 8, kCrcFrom = 12;
constexpr uint8_t kRuns = 0, kDifferences = 1;
constexpr uint8_t kPlanes = 0, kDecimal = 1;
constexpr int kZstdLevel = 1;
constexpr size_t kBytesPerRowMax = 64;  // Inflated, besides the table of points.
constexpr std::array<double, 10> kPower = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
constexpr double kExactMax = 9007199254740992.0;  // 2^53.
constexpr size_t kProbe = 64;                     // Values that decide the number of decimals.

struct Header {
  uint32_t crc, payload_bytes, body_bytes, rows, points;
  uint8_t compression, edge_bytes, flags;
  uint64_t epoch, first;
};

constexpr uint8_t kHasTexts = 1;  // Of the flags.

// Writes into memory that was made large enough before.
class Pen {
 public:
  explicit Pen(uint8_t* at) : at_(at) {}
  void Byte(uint8_t value) { *at_++ = value; }
  void Varint(uint64_t value) {
    while (value >= 0x80) {
      *at_++ = static_cast<uint8_t>(value | 0x80);
      value >>= 7;
    }
    *at_++ = static_cast<uint8_t>(value);
  }
  void Raw(const void* data, size_t size) {
    std::memcpy(at_, data, size);
    at_ += size;
  }
  uint8_t* at() const { return at_; }
  void Skip(size_t size) { at_ += size; }

 private:
  uint8_t* at_;
};

// Runs of equal steps, or the differences alone where runs are short. Unsigned: wild times wrap.
template <typename Word>
void PutRunsOfSteps(Pen& pen, size_t rows, Word word) {
  size_t runs = 0;
  uint64_t previous = 0, step = 0;
  for (size_t i = 0; i < rows; ++i) {
    const uint64_t now = word(i), fresh = now - previous;
    runs += i == 0 || fresh != step;
    step = fresh;
    previous = now;
  }
  previous = step = 0;
  if (runs * 2 > rows) {
    pen.Byte(kDifferences);
    for (size_t i = 0; i < rows; ++i) {
      const uint64_t now = word(i);
      pen.Varint(wire::ZigZag(static_cast<int64_t>(now - previous)));
      previous = now;
    }
    return;
  }
  pen.Byte(kRuns);
  for (size_t i = 0; i < rows;) {
    const uint64_t fresh = word(i) - previous;
    uint64_t last = previous + fresh;
    size_t end = i + 1;
    while (end < rows && word(end) - last == fresh) {
      last += fresh;
      ++end;
    }
    pen.Varint(end - i);
    pen.Varint(wire::ZigZag(static_cast<int64_t>(fresh - step)));
    step = fresh;
    previous = last;
    i = end;
  }
}

// The whole number of 10^-e that `value` is; false when it is none.
inline bool AsDecimal(double value, double power, int64_t* whole) {
  const double scaled = value * power;
  if (!(std::abs(scaled) < kExactMax)) return false;  // Also NaN.
  *whole = static_cast<int64_t>(scaled + std::copysign(0.5, scaled));
  return std::bit_cast<uint64_t>(static_cast<double>(*whole) / power) ==
         std::bit_cast<uint64_t>(value);
}

// The fewest decimals that most of some values have; -1: they are no decimals.
int DecimalsOf(const double* values, size_t rows) {
  const size_t stride = std::max<size_t>(1, rows / kProbe);
  for (int e = 0; e < static_cast<int>(kPower.size()); ++e) {
    size_t seen = 0, fit = 0;
    for (size_t i = 0; i < rows; i += stride) {
      int64_t whole;
      ++seen;
      fit += AsDecimal(values[i], kPower[static_cast<size_t>(e)], &whole);
    }
    if (fit * 16 >= seen * 15) return e;
  }
  return -1;
}

class FrameReader : public wire::Reader {
 public:
  using Reader::Reader;
  std::unexpected<Error> Bad(std::string_view where) const {
    return InvalidArgument("frame: {} is torn or impossible at byte {}", where, at());
  }
};

// `take(row, word)` returns false for a word that cannot be.
template <typename Take>
Status GetSteps(FrameReader& reader, size_t rows, std::string_view what, Take take) {
  uint8_t form = 0;
  if (!reader.Byte(&form) || form > kDifferences) return reader.Bad(what);
  uint64_t word = 0, step = 0, change = 0, length = 0;
  if (form == kDifferences) {
    for (size_t i = 0; i < rows; ++i) {
      if (!reader.Varint(&change)) return reader.Bad(what);
      word += static_cast<uint64_t>(wire::UnZigZag(change));
      if (!take(i, word)) return reader.Bad(what);
    }
    return {};
  }
  for (size_t done = 0; done < rows; done += length) {
    if (!reader.Varint(&length) || length == 0 || length > rows - done || !reader.Varint(&change))
      return reader.Bad(what);
    step += static_cast<uint64_t>(wire::UnZigZag(change));
    for (size_t i = 0; i < length; ++i) {
      word += step;
      if (!take(done + i, word)) return reader.Bad(what);
    }
  }
  return {};
}

bool IsPath(std::string_view path) {
  if (path.empty() || path.size() > kFramePathBytesMax) return false;
  for (const char c : path)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7F) return false;
  return path.find('/') != path.npos;
}

Result<Header> ReadHeader(ByteView bytes) {
  if (bytes.size() < kFrameHeaderBytes)
    return InvalidArgument("frame: {} bytes; the header alone has {}", bytes.size(),
                           kFrameHeaderBytes);
  const uint8_t* b = bytes.data();
  if (std::memcmp(b, kFrameMagic, sizeof kFrameMagic) != 0)
    return InvalidArgument("frame: does not begin with PSFRAM1");
  Header header{wire::Load<uint32_t>(b + 8),
                wire::Load<uint32_t>(b + 12),
                wire::Load<uint32_t>(b + 16),
                wire::Load<uint32_t>(b + 20),
                wire::Load<uint32_t>(b + 24),
                b[28],
                b[29],
                b[30],
                wire::Load<uint64_t>(b + 32),
                wire::Load<uint64_t>(b + 40)};
  if (header.compression > 1 || b[30] > kHasTexts || b[31] != 0)
    return InvalidArgument("frame: compression {} or flags {} are not known here",
                           header.compression, b[30] | b[31] << 8);
  if (header.rows > kFrameRowsMax)
    return OutOfRange("frame: {} rows; at most {}", header.rows, kFrameRowsMax);
  const uint64_t body_max = kBytesPerRowMax * (uint64_t{header.rows} + 1) +
                            uint64_t{header.points} * (kFramePathBytesMax + 2) +
                            (header.flags == kHasTexts ? kFrameTextBytesMax : 0);
  if (header.points > header.rows || header.edge_bytes > kFrameEdgeBytesMax ||
      header.body_bytes > body_max || header.payload_bytes > header.body_bytes + 1024)
    return InvalidArgument("frame: {} points, {} bytes and {} inflated for {} rows", header.points,
                           header.payload_bytes, header.body_bytes, header.rows);
  if (header.first + header.rows < header.first)
    return InvalidArgument("frame: {} rows from sequence {} on", header.rows, header.first);
  return header;
}

}  // namespace

// --- Encoder

struct FrameEncoder::Buffers {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> zstd{ZSTD_createCCtx(), ZSTD_freeCCtx};
  Bytes body;
  std::vector<uint32_t> index;  // By point id: place in the table, when `round` is this frame's.
  std::vector<uint32_t> round;
  uint32_t this_round = 0;
  std::vector<uint32_t> table;  // Point ids in the order of their first row.
  std::vector<int64_t> last;    // By place in the table.
  std::vector<uint32_t> exceptions;

  const Texts* known_texts = nullptr;
  size_t text_bytes_max = kFrameTextBytesMax, text_bytes = 0;
  std::vector<std::string_view> texts;                   // Of this frame.
  std::unordered_map<uint64_t, uint32_t> place_of;       // By code, into `texts`.
  std::vector<std::pair<uint32_t, uint32_t>> text_rows;  // Row and place.
  std::vector<double> numbers;                           // The values, 0 where there is a text.

  void Number(const Batch& batch, size_t begin, size_t end);
  size_t FindTexts(const Batch& batch, size_t begin, size_t end);
  void PutTable(Pen& pen, const std::vector<std::string>& paths) const;
  void PutTexts(Pen& pen) const;
  bool PutDecimal(Pen& pen, const Batch& batch, size_t begin, size_t rows, const double* values);
};

// Which rows have texts, and where the frame must end for their bytes.
size_t FrameEncoder::Buffers::FindTexts(const Batch& batch, size_t begin, size_t end) {
  texts.clear();
  place_of.clear();
  text_rows.clear();
  text_bytes = 0;
  if (known_texts == nullptr || known_texts->size() == 0) return end;
  for (size_t i = begin; i < end; ++i) {
    if (!MayBeText(batch.value[i])) [[likely]]
      continue;
    const auto code = static_cast<uint64_t>(batch.value[i]);
    auto place = place_of.find(code);
    if (place == place_of.end()) {
      const auto text = known_texts->Find(batch.value[i]);
      if (!text) continue;  // A number, or a text that was lost: its code goes on.
      if (text_bytes + text->size() > text_bytes_max && i > begin) return i;
      text_bytes += text->size();
      place = place_of.emplace(code, static_cast<uint32_t>(texts.size())).first;
      texts.push_back(*text);
    }
    text_rows.emplace_back(static_cast<uint32_t>(i - begin), place->second);
  }
  return end;
}

void FrameEncoder::Buffers::PutTexts(Pen& pen) const {
  pen.Varint(texts.size());
  for (const std::string_view text : texts) {
    pen.Varint(text.size());
    pen.Raw(text.data(), text.size());
  }
  pen.Varint(text_rows.size());
  uint32_t previous = 0;
  for (const auto& [row, place] : text_rows) {
    pen.Varint(row - previous);
    pen.Varint(place);
    previous = row;
  }
}

void FrameEncoder::Buffers::Number(const Batch& batch, size_t begin, size_t end) {
  table.clear();
  if (++this_round == 0) {
    round.assign(round.size(), 0);
    this_round = 1;
  }
  for (size_t i = begin; i < end; ++i) {
    const uint32_t id = batch.point[i].value;
    if (id >= index.size()) {
      index.resize(size_t{id} + 1);
      round.resize(size_t{id} + 1);
    }
    if (round[id] == this_round) continue;
    round[id] = this_round;
    index[id] = static_cast<uint32_t>(table.size());
    table.push_back(id);
  }
}

void FrameEncoder::Buffers::PutTable(Pen& pen, const std::vector<std::string>& paths) const {
  for (const uint32_t id : table) {
    if (id < paths.size() && IsPath(paths[id])) {
      pen.Varint(paths[id].size());
      pen.Raw(paths[id].data(), paths[id].size());
    } else {
      const std::string name = fmt::format("unknown/point-{}", id);
      pen.Varint(name.size());
      pen.Raw(name.data(), name.size());
    }
  }
}

// False, with nothing written that counts, when too many values are no decimals.
bool FrameEncoder::Buffers::PutDecimal(Pen& pen, const Batch& batch, size_t begin, size_t rows,
                                       const double* values) {
  const int decimals = DecimalsOf(values, rows);
  if (decimals < 0) return false;
  const double power = kPower[static_cast<size_t>(decimals)];
  last.assign(table.size(), 0);
  exceptions.clear();
  Pen trial = pen;
  trial.Byte(kDecimal);
  trial.Byte(static_cast<uint8_t>(decimals));
  for (size_t i = 0; i < rows; ++i) {
    int64_t& before = last[index[batch.point[begin + i].value]];
    int64_t whole;
    if (!AsDecimal(values[i], power, &whole)) [[unlikely]] {
      exceptions.push_back(static_cast<uint32_t>(i));
      if (exceptions.size() * 8 > rows + 8) return false;
      whole = before;
    }
    trial.Varint(wire::ZigZag(whole - before));
    before = whole;
  }
  trial.Varint(exceptions.size());
  uint32_t previous = 0;
  for (const uint32_t row : exceptions) {
    trial.Varint(row - previous);
    trial.Raw(&values[row], sizeof(double));
    previous = row;
  }
  pen = trial;
  return true;
}

namespace {

// All first bytes, then all second bytes ...
void PutPlanes(Pen& pen, const double* values, size_t rows) {
  pen.Byte(kPlanes);
  uint8_t* plane = pen.at();
  for (size_t i = 0; i < rows; ++i) {
    const auto bits = std::bit_cast<uint64_t>(values[i]);
    for (size_t b = 0; b < 8; ++b) plane[b * rows + i] = static_cast<uint8_t>(bits >> (8 * b));
  }
  pen.Skip(rows * 8);
}

}  // namespace

FrameEncoder::FrameEncoder() : buffers_(std::make_unique<Buffers>()) {
  CHECK(buffers_->zstd != nullptr);
  ZSTD_CCtx_setParameter(buffers_->zstd.get(), ZSTD_c_compressionLevel, kZstdLevel);
}
FrameEncoder::~FrameEncoder() = default;

void FrameEncoder::TakeTexts(const Texts* texts, size_t bytes_max) {
  buffers_->known_texts = texts;
  buffers_->text_bytes_max = std::min(bytes_max, kFrameTextBytesMax);
}

size_t FrameEncoder::Encode(const Batch& batch, size_t begin, size_t end,
                            const std::vector<std::string>& paths, const Batch::Origin& origin,
                            Bytes& out) {
  CHECK(begin <= end && end <= batch.size() && end - begin <= kFrameRowsMax &&
        origin.edge.size() <= kFrameEdgeBytesMax);
  Buffers& b = *buffers_;
  end = b.FindTexts(batch, begin, end);
  const size_t rows = end - begin;
  b.Number(batch, begin, end);
  const double* values = batch.value.data() + begin;
  if (!b.text_rows.empty()) {
    b.numbers.assign(values, values + rows);
    for (const auto& [row, place] : b.text_rows) b.numbers[row] = 0;
    values = b.numbers.data();
  }
  // A varint has at most 10 bytes; runs write two for each two rows at most.
  b.body.resize((rows + 1) * kBytesPerRowMax + b.table.size() * (kFramePathBytesMax + 2) +
                b.text_bytes);
  Pen pen(b.body.data());
  b.PutTable(pen, paths);
  PutRunsOfSteps(pen, rows,
                 [&](size_t i) { return uint64_t{b.index[batch.point[begin + i].value]}; });
  PutRunsOfSteps(pen, rows, [&](size_t i) {
    return static_cast<uint64_t>(ToMicros(batch.source_time[begin + i]));
  });
  PutRunsOfSteps(pen, rows, [&](size_t i) {
    return static_cast<uint64_t>(ToMicros(batch.ingest_time[begin + i]));
  });
  PutRunsOfSteps(pen, rows, [&](size_t i) { return uint64_t{batch.quality[begin + i]}; });
  if (!b.PutDecimal(pen, batch, begin, rows, values)) PutPlanes(pen, values, rows);
  if (!b.text_rows.empty()) b.PutTexts(pen);
  const size_t body = static_cast<size_t>(pen.at() - b.body.data());
  CHECK(body <= b.body.size());

  const size_t at = out.size(), head = kFrameHeaderBytes + origin.edge.size();
  out.resize(at + head + ZSTD_compressBound(body));
  size_t payload = ZSTD_compress2(b.zstd.get(), out.data() + at + head, out.size() - at - head,
                                  b.body.data(), body);
  const bool compressed = ZSTD_isError(payload) == 0 && payload < body;
  if (!compressed) {
    std::memcpy(out.data() + at + head, b.body.data(), body);
    payload = body;
  }
  out.resize(at + head + payload);
  uint8_t* h = out.data() + at;
  std::memcpy(h, kFrameMagic, sizeof kFrameMagic);
  wire::Store(h + 12, static_cast<uint32_t>(payload));
  wire::Store(h + 16, static_cast<uint32_t>(body));
  wire::Store(h + 20, static_cast<uint32_t>(rows));
  wire::Store(h + 24, static_cast<uint32_t>(b.table.size()));
  h[28] = compressed ? 1 : 0;
  h[29] = static_cast<uint8_t>(origin.edge.size());
  h[30] = b.text_rows.empty() ? 0 : kHasTexts;
  h[31] = 0;
  wire::Store(h + 32, origin.epoch);
  wire::Store(h + 40, origin.first);
  if (!origin.edge.empty())
    std::memcpy(h + kFrameHeaderBytes, origin.edge.data(), origin.edge.size());
  wire::Store(h + kCrcAt, Crc32c(ByteView(h + kCrcFrom, head + payload - kCrcFrom)));
  return end;
}

// --- Decoder

struct FrameDecoder::Buffers {
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> zstd{ZSTD_createDCtx(), ZSTD_freeDCtx};
  Bytes body;
  std::vector<int64_t> last;

  Result<ByteView> Inflate(const Header& header, ByteView payload);
  Status GetValues(FrameReader& reader, size_t rows, const Frame& frame, std::vector<double>& out);
  Status GetDecimal(FrameReader& reader, size_t rows, const Frame& frame, std::vector<double>& out);
};

Result<ByteView> FrameDecoder::Buffers::Inflate(const Header& header, ByteView payload) {
  if (header.compression == 0) {
    // A copy, so that the paths live as long as the decoder says.
    body.assign(payload.begin(), payload.end());
    if (payload.size() == header.body_bytes) return ByteView(body);
    return InvalidArgument("frame: {} bytes where its header says {}", payload.size(),
                           header.body_bytes);
  }
  body.resize(header.body_bytes);
  const size_t got =
      ZSTD_decompressDCtx(zstd.get(), body.data(), body.size(), payload.data(), payload.size());
  if (ZSTD_isError(got) != 0)
    return InvalidArgument("frame: cannot inflate: {}", ZSTD_getErrorName(got));
  if (got != header.body_bytes)
    return InvalidArgument("frame: {} bytes inflated where its header says {}", got,
                           header.body_bytes);
  return ByteView(body);
}

Status FrameDecoder::Buffers::GetDecimal(FrameReader& reader, size_t rows, const Frame& frame,
                                         std::vector<double>& out) {
  uint8_t decimals = 0;
  if (!reader.Byte(&decimals) || decimals >= kPower.size()) return reader.Bad("number of decimals");
  const double power = kPower[decimals];
  last.assign(frame.paths.size(), 0);
  const std::vector<PointId>& point = frame.batch.point;
  for (size_t i = 0; i < rows; ++i) {
    uint64_t change = 0;
    if (!reader.Varint(&change)) return reader.Bad("values");
    int64_t& before = last[point[i].value];
    before = static_cast<int64_t>(static_cast<uint64_t>(before) +
                                  static_cast<uint64_t>(wire::UnZigZag(change)));
    out[i] = static_cast<double>(before) / power;
  }
  uint64_t exceptions = 0, row = 0, step = 0;
  if (!reader.Varint(&exceptions) || exceptions > rows) return reader.Bad("exceptions");
  for (uint64_t i = 0; i < exceptions; ++i) {
    if (!reader.Varint(&step) || step > rows || (row += step) >= rows)
      return reader.Bad("exceptions");
    const uint8_t* raw = reader.Take(sizeof(double));
    if (raw == nullptr) return reader.Bad("exceptions");
    out[row] = wire::Load<double>(raw);
  }
  return {};
}

Status FrameDecoder::Buffers::GetValues(FrameReader& reader, size_t rows, const Frame& frame,
                                        std::vector<double>& out) {
  out.resize(rows);
  uint8_t form = 0;
  if (!reader.Byte(&form) || form > kDecimal) return reader.Bad("form of the values");
  if (form == kDecimal) return GetDecimal(reader, rows, frame, out);
  const uint8_t* plane = reader.Take(rows * 8);
  if (plane == nullptr) return reader.Bad("values");
  for (size_t i = 0; i < rows; ++i) {
    uint64_t bits = 0;
    for (size_t b = 0; b < 8; ++b) bits |= static_cast<uint64_t>(plane[b * rows + i]) << (8 * b);
    out[i] = std::bit_cast<double>(bits);
  }
  return {};
}

FrameDecoder::FrameDecoder() : buffers_(std::make_unique<Buffers>()) {
  CHECK(buffers_->zstd != nullptr);
}
FrameDecoder::~FrameDecoder() = default;

Result<size_t> FrameLength(ByteView bytes) {
  if (bytes.size() < kFrameHeaderBytes) return 0;
  ASSIGN_OR_RETURN(const Header header, ReadHeader(bytes));
  return kFrameHeaderBytes + header.edge_bytes + header.payload_bytes;
}

namespace {

Status GetPaths(FrameReader& reader, size_t points, std::vector<std::string_view>& paths) {
  paths.clear();
  paths.reserve(points);
  for (size_t i = 0; i < points; ++i) {
    uint64_t size = 0;
    if (!reader.Varint(&size) || size > kFramePathBytesMax) return reader.Bad("table of points");
    const uint8_t* text = reader.Take(size);
    if (text == nullptr) return reader.Bad("table of points");
    const std::string_view path(reinterpret_cast<const char*>(text), size);
    if (!IsPath(path))
      return InvalidArgument("frame: point {} of {} is no path like thing/property", i, points);
    paths.push_back(path);
  }
  return {};
}

Status GetTexts(FrameReader& reader, Frame& frame) {
  uint64_t texts = 0, rows = 0, size = 0, step = 0, place = 0, bytes = 0;
  const size_t all = frame.batch.size();
  if (!reader.Varint(&texts) || texts == 0 || texts > all) return reader.Bad("number of texts");
  std::vector<double> codes;
  codes.reserve(texts);
  for (uint64_t i = 0; i < texts; ++i) {
    if (!reader.Varint(&size) || size > kTextBytesMax || (bytes += size) > kFrameTextBytesMax)
      return reader.Bad("table of texts");
    const uint8_t* raw = reader.Take(size);
    if (raw == nullptr) return reader.Bad("table of texts");
    const std::string_view text(reinterpret_cast<const char*>(raw), size);
    if (auto is_text = CheckText(text); !is_text)
      return InvalidArgument("frame: text {} of {}: {}", i, texts, is_text.error().message);
    frame.texts.emplace_back(text, UINT32_MAX);
    codes.push_back(TextCode(text));
  }
  if (!reader.Varint(&rows) || rows < texts || rows > all) return reader.Bad("rows of texts");
  frame.text_rows.reserve(rows);
  for (uint64_t i = 0, row = 0; i < rows; ++i) {
    if (!reader.Varint(&step) || step > all || (i > 0 && step == 0) || (row += step) >= all ||
        !reader.Varint(&place) || place >= texts)
      return reader.Bad("rows of texts");
    frame.batch.value[row] = codes[place];
    frame.text_rows.push_back(static_cast<uint32_t>(row));
    uint32_t& first = frame.texts[place].second;
    first = std::min(first, static_cast<uint32_t>(row));
  }
  for (const auto& [text, first] : frame.texts)
    if (first == UINT32_MAX) return InvalidArgument("frame: a text that no row has");
  return {};
}

bool IsEdgeName(std::string_view name) {
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  return true;
}

}  // namespace

Result<size_t> FrameDecoder::Decode(ByteView bytes, Frame& frame, size_t rows_max) {
  ASSIGN_OR_RETURN(const Header header, ReadHeader(bytes));
  if (header.rows > rows_max)
    return OutOfRange("frame: {} rows; at most {} more here", header.rows, rows_max);
  const size_t head = kFrameHeaderBytes + header.edge_bytes, size = head + header.payload_bytes;
  if (bytes.size() < size) return InvalidArgument("frame: {} of {} bytes", bytes.size(), size);
  if (Crc32c(bytes.subspan(kCrcFrom, size - kCrcFrom)) != header.crc)
    return InvalidArgument("frame: damaged, its checksum differs");
  frame.edge = AsText(bytes.subspan(kFrameHeaderBytes, header.edge_bytes));
  if (!IsEdgeName(frame.edge)) return InvalidArgument("frame: its edge's name is not a-z, 0-9, -");
  frame.epoch = header.epoch;
  frame.first = header.first;
  ASSIGN_OR_RETURN(const ByteView body,
                   buffers_->Inflate(header, bytes.subspan(head, header.payload_bytes)));
  FrameReader reader(body);
  TRY(GetPaths(reader, header.points, frame.paths));
  Batch& batch = frame.batch;
  const size_t rows = header.rows;
  batch.Clear();
  frame.texts.clear();
  frame.text_rows.clear();
  batch.point.resize(rows);
  batch.source_time.resize(rows);
  batch.ingest_time.resize(rows);
  batch.quality.resize(rows);
  TRY(GetSteps(reader, rows, "points", [&](size_t i, uint64_t word) {
    batch.point[i] = PointId{static_cast<uint32_t>(word)};
    return word < header.points;
  }));
  TRY(GetSteps(reader, rows, "source times", [&](size_t i, uint64_t word) {
    batch.source_time[i] = FromMicros(static_cast<int64_t>(word));
    return true;
  }));
  TRY(GetSteps(reader, rows, "ingest times", [&](size_t i, uint64_t word) {
    batch.ingest_time[i] = FromMicros(static_cast<int64_t>(word));
    return true;
  }));
  TRY(GetSteps(reader, rows, "qualities", [&](size_t i, uint64_t word) {
    batch.quality[i] = static_cast<Quality>(word);
    return word <= UINT32_MAX;
  }));
  TRY(buffers_->GetValues(reader, rows, frame, batch.value));
  if (header.flags == kHasTexts) TRY(GetTexts(reader, frame));
  if (reader.left() > 0)
    return InvalidArgument("frame: {} bytes too many behind its {}", reader.left(),
                           header.flags == kHasTexts ? "texts" : "values");
  return size;
}

}  // namespace penstock::telemetry
