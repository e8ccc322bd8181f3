// A code is made from the text by a hash and not by counting: an edge and its hub, a node before
// and after it lost a file, a backup and its original agree about it without a word. Of SHA-256,
// because a stranger who may send texts must not be able to make one that takes the code of
// another's (for a given text that is 2^51 attempts); two that collide by chance are noticed when
// the second comes, and refused.
//
// The file only grows: a record per text, in the order of coming. Sync appends what is new in one
// write and one fdatasync, before the log's own; nearly always there is nothing new.
#include "telemetry/texts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/wire.h"

namespace penstock::telemetry {
namespace {

constexpr char kTextsMagic[8] = {'P', 'S', 'T', 'E', 'X', 'T', '1', '\n'};
constexpr size_t kTextHead = 10;  // CRC-32C, point, length.
constexpr uint64_t kCodeBits = (uint64_t{1} << 51) - 1;

uint64_t WordOfText(std::string_view text) {
  const Sha256 digest = Sha256Of(AsBytes(text));
  return (wire::Load<uint64_t>(digest.data()) & kCodeBits) | (uint64_t{1} << 51);
}

// The length of the whole UTF-8 sequence at `at`, or 0 (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF, and here no NUL).
size_t Utf8Length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(at);
  if (first < 0x80) return first == 0 ? 0 : 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() - at < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  const uint8_t second = byte(at + 1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  return length;
}

struct TextRecord {
  uint32_t point = 0;
  std::string_view text;
  size_t bytes = 0;  // In the file; 0: none is here.
};

TextRecord ReadTextRecord(ByteView bytes, size_t at) {
  if (bytes.size() - at < kTextHead) return {};
  const uint8_t* head = bytes.data() + at;
  const size_t length = wire::Load<uint16_t>(head + 8);
  if (length > kTextBytesMax || bytes.size() - at - kTextHead < length) return {};
  const ByteView covered = bytes.subspan(at + 4, kTextHead - 4 + length);
  if (Crc32c(covered) != wire::Load<uint32_t>(head)) return {};
  return {wire::Load<uint32_t>(head + 4), AsText(bytes.subspan(at + kTextHead, length)),
          kTextHead + length};
}

void PutTextRecord(Bytes& out, PointId point, std::string_view text) {
  const size_t at = out.size();
  wire::Put(out, uint32_t{0});
  wire::Put(out, point.value);
  wire::Put(out, static_cast<uint16_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
  wire::Store(out.data() + at, Crc32c(ByteView(out).subspan(at + 4)));
}

Metric& KnownTexts() {
  static Metric& metric = Gauge("penstock_texts", "Distinct texts that the node keeps.");
  return metric;
}

std::unexpected<Error> TooMany(std::string message) {
  Counter("penstock_texts_refused_total", "Texts beyond the bounds of the node's table.").Add();
  auto error = ResourceExhausted("{}", message);
  error.error().Fix(
      "a text that never repeats (a time, a serial number) fits a point of type integer, or the "
      "records of another system");
  return error;
}

}  // namespace

double TextCode(std::string_view text) { return static_cast<double>(WordOfText(text)); }

Status CheckText(std::string_view text) {
  if (text.size() > kTextBytesMax)
    return InvalidArgument("a text of {} bytes, at most {} are kept", text.size(), kTextBytesMax);
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text, at);
    if (length == 0)
      return InvalidArgument("the text is not UTF-8 without NUL: byte 0x{:02X} at {}",
                             static_cast<uint8_t>(text[at]), at);
    at += length;
  }
  return {};
}

std::string_view TextRule(const Error& error) {
  return error.code == Code::kInvalidArgument ? "text" : "text_bound";
}

Texts::~Texts() {
  if (fd_ >= 0) close(fd_);
}

Result<std::unique_ptr<Texts>> Texts::Open(const std::string& file, TextLimits limits,
                                           storage::Disk& disk) {
  std::unique_ptr<Texts> texts(new Texts(file, limits, disk));
  TRY(texts->Load());
  return texts;
}

Status Texts::Load() {
  auto content = ReadFile(file_, size_t{1} << 30);
  if (!content && content.error().code != Code::kNotFound) return std::unexpected(content.error());
  const std::string_view magic(kTextsMagic, sizeof kTextsMagic);
  // Also the first writing, which a crash cut short.
  if (!content || (content->size() < magic.size() && magic.starts_with(*content))) {
    TRY(WriteFileAtomically(file_, magic));
    content = std::string(magic);
    complete_ = false;
  }
  const ByteView bytes = AsBytes(*content);
  bool damaged = !content->starts_with(magic);
  size_t end = damaged ? 0 : magic.size();  // Behind the last whole record.
  for (size_t at = end; at < bytes.size();) {
    const TextRecord record = ReadTextRecord(bytes, at);
    const uint64_t code = record.bytes == 0 ? 0 : WordOfText(record.text);
    if (record.bytes == 0 || by_code_.contains(code) || !CheckText(record.text)) {
      ++at;
      continue;
    }
    damaged = damaged || at != end;
    Add(PointId{record.point}, record.text, code);
    end = at += record.bytes;
  }
  if (damaged) TRY(Mend(*content));
  fd_ = open(file_.c_str(), O_RDWR | O_CLOEXEC);
  if (fd_ < 0) return storage::FileError(errno, "cannot open the table of texts", file_);
  if (!damaged) file_bytes_ = end;
  // The end of a write that nobody was told of.
  if (const int error = end < bytes.size() && !damaged ? disk_.Truncate(fd_, end) : 0; error != 0)
    return storage::FileError(error, "cannot cut the table of texts", file_);
  durable_ = count_.load();
  KnownTexts().Set(static_cast<int64_t>(count_));
  return {};
}

// Writes anew what could be read of a damaged file, which is kept beside it.
Status Texts::Mend(std::string_view damaged) {
  LogError("{}: damaged; {} texts in it are whole and kept, the file is now {}.damaged", file_,
           entries_.size(), file_);
  Bytes clean(std::begin(kTextsMagic), std::end(kTextsMagic));
  for (const Entry& entry : entries_) PutTextRecord(clean, entry.point, entry.text);
  TRY(WriteFileAtomically(file_ + ".damaged", damaged));
  TRY(WriteFileAtomically(file_, AsText(clean)));
  file_bytes_ = clean.size();
  complete_ = false;
  return {};
}

void Texts::Add(PointId point, std::string_view text, uint64_t code) {
  const Entry& entry = entries_.emplace_back(point, std::string(text));
  codes_.emplace(entry.text, code);
  by_code_.emplace(code, static_cast<uint32_t>(entries_.size() - 1));
  ++of_point_[point.value];
  bytes_ += text.size();
  count_ = entries_.size();
}

Result<double> Texts::Intern(PointId point, std::string_view text) {
  {
    const std::shared_lock lock(mutex_);
    const auto known = codes_.find(text);
    if (known != codes_.end()) return static_cast<double>(known->second);
  }
  return Keep(point, text, true);
}

Status Texts::Learn(std::string_view text) {
  TRY(Keep(PointId{UINT32_MAX}, text, false));
  return {};
}

Result<double> Texts::Keep(PointId point, std::string_view text, bool of_point) {
  TRY(CheckText(text));
  const uint64_t code = WordOfText(text);
  const std::unique_lock lock(mutex_);
  if (codes_.contains(text)) return static_cast<double>(code);
  if (const auto other = by_code_.find(code); other != by_code_.end())
    return AlreadyExists("the text has the code of another: \"{}\"",
                         std::string_view(entries_[other->second].text).substr(0, 80));
  if (entries_.size() >= limits_.texts)
    return TooMany(fmt::format("the node keeps {} different texts, no more", entries_.size()));
  if (bytes_ + text.size() > limits_.bytes)
    return TooMany(fmt::format("the node keeps {} bytes of texts, no more", bytes_));
  if (const auto brought = of_point_.find(point.value);
      of_point && brought != of_point_.end() && brought->second >= limits_.texts_of_point)
    return TooMany(
        fmt::format("the point brought {} different texts, no more are kept", brought->second));
  Add(point, text, code);
  KnownTexts().Set(static_cast<int64_t>(count_));
  return static_cast<double>(code);
}

std::optional<std::string_view> Texts::Find(double value) const {
  if (!MayBeText(value)) return std::nullopt;
  const std::shared_lock lock(mutex_);
  const auto found = by_code_.find(static_cast<uint64_t>(value));
  if (found == by_code_.end()) return std::nullopt;
  return entries_[found->second].text;
}

size_t Texts::RowsWithin(std::span<const double> values, size_t text_bytes) const {
  if (count_ == 0) return values.size();
  size_t sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!MayBeText(values[i])) [[likely]]
      continue;
    const auto text = Find(values[i]);
    if (text && (sum += text->size()) > text_bytes) return std::max<size_t>(i, 1);
  }
  return values.size();
}

Status Texts::Sync() {
  const size_t end = count_;
  if (end == durable_) return {};
  buffer_.clear();
  {
    const std::shared_lock lock(mutex_);
    for (size_t i = durable_; i < end; ++i)
      PutTextRecord(buffer_, entries_[i].point, entries_[i].text);
  }
  int error = disk_.Write(fd_, buffer_, file_bytes_);
  if (error == 0) error = disk_.Sync(fd_);
  if (error != 0) return storage::FileError(error, "cannot write the table of texts", file_);
  file_bytes_ += buffer_.size();
  durable_ = end;
  return {};
}

size_t Texts::size() const { return count_; }

size_t Texts::bytes() const {
  const std::shared_lock lock(mutex_);
  return bytes_;
}

}  // namespace penstock::telemetry
