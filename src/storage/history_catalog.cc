// The manifest is text, one line per file, because the person who looks for lost data opens it with
// an editor:
//
//   penstock-history 1
//   end 180000
//   point pump pump-7/flow
//   file pump 2026-01-31 0 1799 0 1800 5120 1769846400000000 1769846459000000
//   crc 5b9a1f02
//
// It is written anew at each flush. That is a write of some 100 bytes per file and minute, and buys
// that no state but "before" and "after" exists. Merging works by levels like a log-structured
// tree: a row is rewritten once per level, so a day of 1440 flushes costs each row two rewrites,
// not hundreds.
#include "storage/history_catalog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace penstock::storage {
namespace {

constexpr std::string_view kFirstLine = "penstock-history 1";
constexpr size_t kMergeOfPastDay = 4;

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '@' || c == '.';
}

template <typename T>
bool TakeNumber(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

Result<HistoryFile> ParseFile(const std::vector<std::string_view>& words) {
  HistoryFile file;
  int64_t first_us = 0, last_us = 0;
  const bool numbers = words.size() == 10 && TakeNumber(words[3], file.first_sequence) &&
                       TakeNumber(words[4], file.last_sequence) &&
                       TakeNumber(words[5], file.level) && TakeNumber(words[6], file.rows) &&
                       TakeNumber(words[7], file.bytes) && TakeNumber(words[8], first_us) &&
                       TakeNumber(words[9], last_us);
  if (!numbers) return DataLoss("a file line has a product, a day and seven numbers");
  ASSIGN_OR_RETURN(file.product, UnescapeName(words[1]));
  file.day = words[2];
  TRY(DayBegin(file.day));
  file.first_time = FromMicros(first_us);
  file.last_time = FromMicros(last_us);
  return file;
}

Status ParseLine(std::string_view line, const std::string& folder, Catalog& catalog) {
  const auto words = Words(line);
  if (words.size() == 2 && words[0] == "end" && TakeNumber(words[1], catalog.sequence_end))
    return {};
  if (words.size() == 3 && words[0] == "point") {
    ASSIGN_OR_RETURN(const std::string product, UnescapeName(words[1]));
    ASSIGN_OR_RETURN(std::string path, UnescapeName(words[2]));
    catalog.points[product].insert(std::move(path));
    return {};
  }
  if (!words.empty() && words[0] == "file") {
    ASSIGN_OR_RETURN(HistoryFile file, ParseFile(words));
    catalog.files.push_back(std::make_shared<const StoredFile>(folder, std::move(file)));
    return {};
  }
  return DataLoss("neither end, point nor file");
}

}  // namespace

std::string HistoryFile::RelativePath() const {
  return fmt::format("{}/{}/{:012}-{:012}.parquet", EscapeName(product), day, first_sequence,
                     last_sequence);
}

StoredFile::~StoredFile() {
  if (obsolete_) unlink(path.c_str());
}

std::vector<StoredFilePointer> Catalog::FilesOf(const std::string& path, Time from, Time to) const {
  std::vector<StoredFilePointer> found;
  for (const StoredFilePointer& file : files) {
    if (file->info.last_time < from || file->info.first_time >= to) continue;
    const auto product = points.find(file->info.product);
    if (product != points.end() && product->second.contains(path)) found.push_back(file);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a->info.first_time < b->info.first_time;
  });
  return found;
}

std::string FormatManifest(const Catalog& catalog) {
  std::string text = fmt::format("{}\nend {}\n", kFirstLine, catalog.sequence_end);
  for (const auto& [product, paths] : catalog.points)
    for (const std::string& path : paths)
      text += fmt::format("point {} {}\n", EscapeName(product), EscapeName(path, true));
  for (const StoredFilePointer& stored : catalog.files) {
    const HistoryFile& file = stored->info;
    text += fmt::format("file {} {} {} {} {} {} {} {} {}\n", EscapeName(file.product), file.day,
                        file.first_sequence, file.last_sequence, file.level, file.rows, file.bytes,
                        ToMicros(file.first_time), ToMicros(file.last_time));
  }
  return text + fmt::format("crc {:08x}\n", Crc32c(AsBytes(text)));
}

Result<Catalog> ParseManifest(std::string_view text, const std::string& folder) {
  const size_t last_line = text.rfind("crc ");
  if (last_line == std::string_view::npos || !text.starts_with(kFirstLine))
    return DataLoss("not a history manifest, or cut short");
  const std::string_view body = text.substr(0, last_line);
  if (text.substr(last_line) != fmt::format("crc {:08x}\n", Crc32c(AsBytes(body))))
    return DataLoss("history manifest damaged: checksum differs");
  Catalog catalog;
  std::string_view rest = body.substr(std::min(kFirstLine.size() + 1, body.size()));
  for (int number = 2; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    if (const Status status = ParseLine(rest.substr(0, end), folder, catalog); !status)
      return DataLoss("history manifest, line {}: {}", number, status.error().message);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return catalog;
}

std::string EscapeName(std::string_view name, bool keep_slashes) {
  std::string escaped;
  for (size_t i = 0; i < name.size(); ++i) {
    // A leading dot would hide the folder, and "." and ".." mean others.
    const bool plain = IsPlain(name[i]) || (keep_slashes && name[i] == '/');
    if (plain && (name[i] != '.' || i > 0)) {
      escaped += name[i];
    } else {
      escaped += fmt::format("%{:02X}", static_cast<uint8_t>(name[i]));
    }
  }
  return escaped.empty() ? "%" : escaped;
}

Result<std::string> UnescapeName(std::string_view escaped) {
  if (escaped == "%") return std::string();
  std::string name;
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] != '%') {
      name += escaped[i];
      continue;
    }
    const auto byte = FromHex(escaped.substr(i + 1, 2));
    if (!byte || byte->size() != 1) return DataLoss("bad escape in \"{}\"", escaped.substr(0, 200));
    name += static_cast<char>((*byte)[0]);
    i += 2;
  }
  return name;
}

std::string DayOf(Time time) {
  constexpr Time kEnd = std::chrono::sys_days(std::chrono::year(2262) / 1 / 1);
  return FormatTime(std::clamp(time, Time{}, kEnd - Duration(1))).substr(0, 10);
}

Result<Time> DayBegin(std::string_view day) {
  if (day.size() != 10) return InvalidArgument("not a day: \"{}\"", day.substr(0, 40));
  return ParseTime(std::string(day) + "T00:00:00Z");
}

std::optional<HistoryFile> FileOfPath(std::string_view path) {
  constexpr std::string_view kSuffix = ".parquet";
  const size_t name_at = path.rfind('/');
  if (name_at == std::string_view::npos || name_at < 12 || !path.ends_with(kSuffix))
    return std::nullopt;
  const std::string_view name =
      path.substr(name_at + 1, path.size() - name_at - 1 - kSuffix.size());
  const size_t dash = name.find('-');
  HistoryFile file;
  if (dash == std::string_view::npos || !TakeNumber(name.substr(0, dash), file.first_sequence) ||
      !TakeNumber(name.substr(dash + 1), file.last_sequence))
    return std::nullopt;
  file.day = path.substr(name_at - 10, 10);
  if (!DayBegin(file.day) || path[name_at - 11] != '/') return std::nullopt;
  const std::string_view folder = path.substr(0, name_at - 11);
  auto product = UnescapeName(folder);
  if (!product || folder.find('/') != std::string_view::npos) return std::nullopt;
  file.product = std::move(*product);
  return file;
}

std::vector<StoredFilePointer> FindMerge(const Catalog& catalog, size_t small_files) {
  std::map<std::string_view, std::string_view> newest_day;  // By product.
  using Key = std::tuple<std::string_view, std::string_view, int>;
  std::map<Key, std::vector<StoredFilePointer>> groups;
  for (const StoredFilePointer& file : catalog.files) {
    std::string_view& newest = newest_day[file->info.product];
    newest = std::max(newest, std::string_view(file->info.day));
    groups[{file->info.product, file->info.day, file->info.level}].push_back(file);
  }
  for (auto& [key, files] : groups) {
    const bool day_is_over = std::get<1>(key) < newest_day[std::get<0>(key)];
    if (files.size() < (day_is_over ? std::min(kMergeOfPastDay, small_files) : small_files))
      continue;
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
      return a->info.first_sequence < b->info.first_sequence;
    });
    return std::move(files);
  }
  return {};
}

}  // namespace penstock::storage
