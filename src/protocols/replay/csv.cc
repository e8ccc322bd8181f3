// The reader keeps one chunk of the file and one line; cells are views of that line. A cell with
// doubled quotes is the only one that is copied, into a text whose capacity is reserved before, so
// that views into it stay good.
#include "protocols/replay/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

namespace penstock::protocols {
namespace {

constexpr size_t kChunk = 64 << 10;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

char SeparatorOf(std::string_view header) {
  char best = ',';
  ptrdiff_t most = 0;
  for (const char candidate : {',', ';', '\t', '|'}) {
    const ptrdiff_t count = std::count(header.begin(), header.end(), candidate);
    if (count > most) {
      best = candidate;
      most = count;
    }
  }
  return best;
}

bool SameWord(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

}  // namespace

Result<CsvReader> CsvReader::Open(std::unique_ptr<std::istream> stream, char separator) {
  CsvReader reader(std::move(stream));
  if (!reader.ReadLine() || Trimmed(reader.text_).empty()) {
    auto error = InvalidArgument("no header in the first line");
    error.error().Fix("the first line names the columns: datetime;pressure;flow");
    return error;
  }
  if (reader.text_.starts_with("\xEF\xBB\xBF")) reader.text_.erase(0, 3);
  reader.separator_ = separator == 0 ? SeparatorOf(reader.text_) : separator;
  std::vector<std::string_view> names;
  if (!reader.Split(names)) return InvalidArgument("header: {}", reader.torn_);
  for (const std::string_view name : names) {
    const std::string_view trimmed = Trimmed(name);
    if (!trimmed.empty() &&
        std::find(reader.header_.begin(), reader.header_.end(), trimmed) != reader.header_.end())
      return InvalidArgument("column given twice: \"{}\"", trimmed.substr(0, 80));
    reader.header_.emplace_back(trimmed);
  }
  // Files that end every line with a separator have one column without a name.
  if (reader.header_.size() > 1 && reader.header_.back().empty()) reader.header_.pop_back();
  return reader;
}

bool CsvReader::ReadLine() {
  text_.clear();
  torn_.clear();
  bool any = false;
  while (true) {
    const void* newline = at_ < buffer_.size()
                              ? std::memchr(buffer_.data() + at_, '\n', buffer_.size() - at_)
                              : nullptr;
    const size_t end =
        newline == nullptr
            ? buffer_.size()
            : static_cast<size_t>(static_cast<const char*>(newline) - buffer_.data());
    const size_t room = kMaxCsvRow - text_.size();
    if (end - at_ > room) torn_ = fmt::format("longer than {} bytes", kMaxCsvRow);
    text_.append(buffer_, at_, std::min(end - at_, room));
    any = any || end > at_ || newline != nullptr;
    at_ = newline == nullptr ? end : end + 1;
    if (newline != nullptr) break;
    buffer_.resize(kChunk);
    stream_->read(buffer_.data(), kChunk);
    buffer_.resize(static_cast<size_t>(stream_->gcount()));
    at_ = 0;
    if (buffer_.empty()) break;
  }
  if (text_.ends_with('\r')) text_.pop_back();
  if (any) ++line_;
  return any;
}

CsvReader::Row CsvReader::Next(std::vector<std::string_view>& cells) {
  do {
    if (!ReadLine()) return Row::kEnd;
  } while (Trimmed(text_).empty() && torn_.empty());
  if (!torn_.empty() || !Split(cells)) return Row::kTorn;
  if (cells.size() == header_.size() + 1 && Trimmed(cells.back()).empty()) cells.pop_back();
  if (cells.size() == header_.size()) return Row::kWhole;
  torn_ = fmt::format("{} cells, the header has {}", cells.size(), header_.size());
  return Row::kTorn;
}

bool CsvReader::Split(std::vector<std::string_view>& cells) {
  cells.clear();
  unquoted_.clear();
  unquoted_.reserve(text_.size());
  const std::string_view line = text_;
  for (size_t at = 0;;) {
    if (cells.size() >= kMaxCsvColumns) {
      torn_ = fmt::format("more than {} cells", kMaxCsvColumns);
      return false;
    }
    if (at < line.size() && line[at] == '"') {
      const size_t first = unquoted_.size();
      for (++at;; ++at) {
        if (at >= line.size()) {
          torn_ = "a quote is not closed on its line";
          return false;
        }
        if (line[at] == '"' && (++at >= line.size() || line[at] != '"')) break;
        unquoted_ += line[at];
      }
      if (at < line.size() && line[at] != separator_) {
        torn_ = "text behind a closing quote";
        return false;
      }
      cells.push_back(std::string_view(unquoted_).substr(first));
    } else {
      const size_t end = std::min(line.find(separator_, at), line.size());
      cells.push_back(line.substr(at, end - at));
      at = end;
    }
    if (at >= line.size()) return true;
    ++at;  // The separator; behind the last one there is one more cell, an empty one.
  }
}

bool IsMissing(std::string_view cell) {
  const std::string_view text = Trimmed(cell);
  return text.empty() || text == "-" || SameWord(text, "na") || SameWord(text, "n/a") ||
         SameWord(text, "nan") || SameWord(text, "null");
}

Result<double> ParseCell(std::string_view cell, bool decimal_comma) {
  std::string_view text = Trimmed(cell);
  std::array<char, 64> copy;
  if (const size_t comma = text.find(','); decimal_comma && comma != text.npos &&
                                           text.size() <= copy.size() &&
                                           text.find('.') == text.npos) {
    std::copy(text.begin(), text.end(), copy.begin());
    copy[comma] = '.';
    text = std::string_view(copy.data(), text.size());
  }
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && std::isfinite(value))
    return value;
  return InvalidArgument("no number: \"{}\"", cell.substr(0, 80));
}

Result<Time> ParseCellTime(std::string_view cell) {
  const std::string_view text = Trimmed(cell);
  if (text.size() > 40) return InvalidArgument("no time: \"{}\"", text.substr(0, 40));
  if (text.size() > 10 && text[4] == '-') {
    const bool zone =
        text.back() == 'Z' || text.back() == 'z' || text.find_first_of("+-", 11) != text.npos;
    std::string whole(text);
    if (text.size() == 16) whole += ":00";  // "2020-02-08 13:30"
    return ParseTime(zone ? whole : whole + "Z");
  }
  if (text.size() == 10 && text[4] == '-') return ParseTime(std::string(text) + "T00:00:00Z");
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !(number >= 0 && number < 9.2e18))
    return InvalidArgument("no time: \"{}\"", text);
  // Before 1e11 these are seconds until the year 5138, and so on by a thousand.
  if (number < 1e11)
    number *= 1e6;
  else if (number < 1e14)
    number *= 1e3;
  else if (number >= 1e17)
    number /= 1e3;
  if (number > 9'214'646'400'000'000)
    return InvalidArgument("time beyond the year 2261: \"{}\"", text);
  return FromMicros(std::llround(number));
}

}  // namespace penstock::protocols
