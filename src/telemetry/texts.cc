// A code is made from the text by a hash and not by counting: an edge and its hub, a node before
// and after it lost a file, a backup and its original agree about it without a word. Of SHA-256,
// because a stranger who may send texts must not be able to make one that takes the code of
// another's (for a given text that is 2^51 attempts); two that collide by chance are noticed when
// the second comes, and refused.
//
// The file has a record per text. Sync appends what is new in one write and one fdatasync, before
// the log's own; nearly always there is nothing new. Tidy writes it anew, with the days on which
// texts came last: a text in use is written with a day that is at most one behind.
#include "telemetry/texts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/wire.h"

namespace penstock::telemetry {
namespace {

constexpr std::string_view kTextsMagic = "PSTEXT2\n";
constexpr std::string_view kTextsMagic1 = "PSTEXT1\n";  // Records without a day.
constexpr size_t kTextHead = 14, kTextHead1 = 10;       // CRC-32C, point, (day,) length.
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
  uint32_t point = 0, day = 0;
  std::string_view text;
  size_t bytes = 0;  // In the file; 0: none is here.
};

TextRecord ReadTextRecord(ByteView bytes, size_t at, size_t head_bytes) {
  if (bytes.size() - at < head_bytes) return {};
  const uint8_t* head = bytes.data() + at;
  const size_t length = wire::Load<uint16_t>(head + head_bytes - 2);
  if (length > kTextBytesMax || bytes.size() - at - head_bytes < length) return {};
  const ByteView covered = bytes.subspan(at + 4, head_bytes - 4 + length);
  if (Crc32c(covered) != wire::Load<uint32_t>(head)) return {};
  return {wire::Load<uint32_t>(head + 4),
          head_bytes == kTextHead ? wire::Load<uint32_t>(head + 8) : 0,
          AsText(bytes.subspan(at + head_bytes, length)), head_bytes + length};
}

void PutTextRecord(Bytes& out, PointId point, uint32_t day, std::string_view text) {
  const size_t at = out.size();
  wire::Put(out, uint32_t{0});
  wire::Put(out, point.value);
  wire::Put(out, day);
  wire::Put(out, static_cast<uint16_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
  wire::Store(out.data() + at, Crc32c(ByteView(out).subspan(at + 4)));
}

bool NearlyFull(size_t used, size_t bound) { return used > bound / 8 * 7; }

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
  // Also the first writing, which a crash cut short.
  if (!content || (content->size() < kTextsMagic.size() && kTextsMagic.starts_with(*content))) {
    TRY(WriteFileAtomically(file_, kTextsMagic));
    content = std::string(kTextsMagic);
    complete_ = false;
  }
  const ByteView bytes = AsBytes(*content);
  const bool old = content->starts_with(kTextsMagic1);
  bool damaged = !old && !content->starts_with(kTextsMagic);
  size_t end = damaged ? 0 : kTextsMagic.size();  // Behind the last whole record.
  for (size_t at = end; at < bytes.size();) {
    const TextRecord record = ReadTextRecord(bytes, at, old ? kTextHead1 : kTextHead);
    const uint64_t code = record.bytes == 0 ? 0 : WordOfText(record.text);
    const auto known = by_code_.find(code);
    const bool again = known != by_code_.end() && known->second->text == record.text;
    if (record.bytes == 0 || (known != by_code_.end() && !again) || !CheckText(record.text)) {
      ++at;
      continue;
    }
    damaged = damaged || at != end;
    if (again)
      known->second->day = std::max(known->second->day.load(), record.day);
    else
      Add(PointId{record.point}, record.text, code, record.day);
    end = at += record.bytes;
  }
  fresh_.clear();
  fresh_count_ = 0;
  KnownTexts().Set(static_cast<int64_t>(count_));
  if (damaged) {  // What could be read is written anew, and the file is kept beside it.
    LogError("{}: damaged; {} texts in it are whole and kept, the file is now {}.damaged", file_,
             size(), file_);
    TRY(WriteFileAtomically(file_ + ".damaged", *content));
    complete_ = false;
  }
  const std::lock_guard file(file_mutex_);
  if (damaged || old) return WriteAll({});
  TRY(OpenFile());
  file_bytes_ = end;
  // The end of a write that nobody was told of.
  if (const int error = end < bytes.size() ? disk_.Truncate(fd_, end) : 0; error != 0)
    return storage::FileError(error, "cannot cut the table of texts", file_);
  return {};
}

Status Texts::OpenFile() {
  fd_ = open(file_.c_str(), O_RDWR | O_CLOEXEC);
  if (fd_ < 0) return storage::FileError(errno, "cannot open the table of texts", file_);
  return {};
}

void Texts::Add(PointId point, std::string_view text, uint64_t code, uint32_t day) {
  auto entry = std::make_unique<Entry>(point, code, day, std::string(text));
  fresh_.push_back(entry.get());
  fresh_count_ = fresh_.size();
  by_text_.emplace(entry->text, entry.get());
  by_code_.emplace(code, std::move(entry));
  ++of_point_[point.value];
  bytes_ += text.size();
  count_ = by_code_.size();
}

// After so long that the file must have the day before a row relies on it.
void Texts::ComesAgain(Entry& entry) {
  const uint32_t today = today_;
  if (entry.day.exchange(today) == today) return;
  fresh_.push_back(&entry);
  fresh_count_ = fresh_.size();
}

Result<double> Texts::Intern(PointId point, std::string_view text) {
  {
    const std::shared_lock lock(mutex_);
    const auto known = by_text_.find(text);
    if (known != by_text_.end()) {
      Entry& entry = *known->second;
      const uint32_t today = today_.load(std::memory_order_relaxed);
      const uint32_t day = entry.day.load(std::memory_order_relaxed);
      if (day + 1 == today) entry.day.store(today, std::memory_order_relaxed);
      if (day + 1 >= today) return static_cast<double>(entry.code);
    }
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
  if (const auto known = by_text_.find(text); known != by_text_.end()) {
    ComesAgain(*known->second);
    return static_cast<double>(code);
  }
  if (const auto other = by_code_.find(code); other != by_code_.end())
    return AlreadyExists("the text has the code of another: \"{}\"",
                         std::string_view(other->second->text).substr(0, 80));
  if (by_code_.size() >= limits_.texts)
    return TooMany(fmt::format("the node keeps {} different texts, no more", by_code_.size()));
  if (bytes_ + text.size() > limits_.bytes)
    return TooMany(fmt::format("the node keeps {} bytes of texts, no more", bytes_));
  if (const auto brought = of_point_.find(point.value);
      of_point && brought != of_point_.end() && brought->second >= limits_.texts_of_point)
    return TooMany(
        fmt::format("the point brought {} different texts, no more are kept", brought->second));
  Add(point, text, code, today_);
  KnownTexts().Set(static_cast<int64_t>(count_));
  return static_cast<double>(code);
}

std::optional<std::string_view> Texts::Find(double value) const {
  if (!MayBeText(value)) return std::nullopt;
  const std::shared_lock lock(mutex_);
  const auto found = by_code_.find(static_cast<uint64_t>(value));
  if (found == by_code_.end()) return std::nullopt;
  return found->second->text;
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
  if (fresh_count_ == 0) return {};
  const std::lock_guard file(file_mutex_);
  if (fd_ < 0) TRY(OpenFile());
  buffer_.clear();
  size_t written = 0;
  {
    const std::shared_lock lock(mutex_);
    written = fresh_.size();
    for (const Entry* entry : fresh_) PutTextRecord(buffer_, entry->point, entry->day, entry->text);
  }
  int error = disk_.Write(fd_, buffer_, file_bytes_);
  if (error == 0) error = disk_.Sync(fd_);
  if (error != 0) return storage::FileError(error, "cannot write the table of texts", file_);
  file_bytes_ += buffer_.size();
  const std::unique_lock lock(mutex_);
  fresh_.erase(fresh_.begin(), fresh_.begin() + static_cast<ptrdiff_t>(written));
  fresh_count_ = fresh_.size();
  return {};
}

// --- Forgetting

bool Texts::NodeIsPressed() const {
  return NearlyFull(by_code_.size(), limits_.texts) || NearlyFull(bytes_, limits_.bytes);
}

bool Texts::PointIsPressed(uint32_t brought) const {
  return NearlyFull(brought, limits_.texts_of_point);
}

bool Texts::pressed() const {
  const std::shared_lock lock(mutex_);
  return NodeIsPressed() || std::ranges::any_of(of_point_, [this](const auto& point) {
           return PointIsPressed(point.second);
         });
}

// What may go, by address. A text that came while nobody had said what day it is stays.
std::vector<const Texts::Entry*> Texts::Unused(uint32_t before) const {
  const bool of_node = NodeIsPressed();
  std::vector<const Entry*> unused;
  for (const auto& [code, entry] : by_code_)
    if (entry->day != 0 && entry->day < before &&
        (of_node || PointIsPressed(of_point_.at(entry->point.value))))
      unused.push_back(entry.get());
  std::ranges::sort(unused);
  return unused;
}

// The file anew. What is fresh is in it, too.
Status Texts::WriteAll(std::span<const Entry* const> without) {
  Bytes all(kTextsMagic.begin(), kTextsMagic.end());
  size_t fresh = 0;
  {
    const std::shared_lock lock(mutex_);
    fresh = fresh_.size();
    for (const auto& [code, entry] : by_code_)
      if (!std::ranges::binary_search(without, entry.get()))
        PutTextRecord(all, entry->point, entry->day, entry->text);
  }
  TRY(WriteFileAtomically(file_, AsText(all)));
  file_bytes_ = all.size();
  {
    const std::unique_lock lock(mutex_);
    fresh_.erase(fresh_.begin(), fresh_.begin() + static_cast<ptrdiff_t>(fresh));
    fresh_count_ = fresh_.size();
  }
  if (fd_ >= 0) close(std::exchange(fd_, -1));  // Of the old file; Sync opens the new one.
  return {};
}

// One of them may have come again since it was left out of the file.
size_t Texts::Drop(std::span<const Entry* const> entries, uint32_t before) {
  const std::unique_lock lock(mutex_);
  forgotten_.clear();
  for (const Entry* entry : entries) {
    if (entry->day >= before) {
      fresh_.push_back(entry);
      continue;
    }
    by_text_.erase(entry->text);
    --of_point_[entry->point.value];
    bytes_ -= entry->text.size();
    forgotten_.push_back(std::move(by_code_.extract(entry->code).mapped()));
  }
  fresh_count_ = fresh_.size();
  count_ = by_code_.size();
  KnownTexts().Set(static_cast<int64_t>(count_));
  return forgotten_.size();
}

Result<size_t> Texts::Tidy(uint32_t today, uint32_t before, std::span<const double> in_use) {
  const std::lock_guard file(file_mutex_);
  today_ = today;
  std::vector<const Entry*> unused;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [code, entry] : by_code_)
      if (entry->day == 0) entry->day = today;
    for (const double value : in_use)
      if (const auto found =
              MayBeText(value) ? by_code_.find(static_cast<uint64_t>(value)) : by_code_.end();
          found != by_code_.end())
        found->second->day = today;
    unused = Unused(before);
  }
  if (unused.empty() && written_day_ == today) return 0;
  TRY(WriteAll(unused));
  written_day_ = today;
  return Drop(unused, before);
}

uint32_t Texts::newest_day() const {
  const std::shared_lock lock(mutex_);
  uint32_t newest = 0;
  for (const auto& [code, entry] : by_code_) newest = std::max(newest, entry->day.load());
  return newest;
}

size_t Texts::size() const { return count_; }

size_t Texts::bytes() const {
  const std::shared_lock lock(mutex_);
  return bytes_;
}

}  // namespace penstock::telemetry
