// The manifest is text, one line per file, because the person who looks for
// lost data opens it with an editor:
//
//   penstock-history 2
//   end 180000
//   file pump 2026-01-31 0 1799 1 1800 5120 1769846400000000 1769846459000000
//   -mh 812 rollup h pump 2026-01 0 1799 0 60 2211 1769846400000000
//   1769846400000000 crc 5b9a1f02
//
// It is written anew at each flush. That is a write of some 100 bytes per file
// and minute, and buys that no state but "before" and "after" exists. Merging
// works by levels like a log-structured tree: a row is rewritten once per
// level, so a day of 1440 flushes costs each row two rewrites, not hundreds.
#include "storage/history_catalog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/bytes.h"
#include "storage/whole_number.h"

namespace penstock::storage {
namespace {

constexpr std::string_view kManifestFirstLine = "penstock-history 2",
                           kOldFirstLine = "penstock-history 1";
constexpr size_t kRollupsToMerge = 8, kRollupsOfPastMonth = 3;
constexpr size_t kMergeOfPastDay = 4;

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '@' || c == '.';
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
  const bool rolled = words.size() == 12;
  const bool numbers =
      (words.size() == 10 || rolled) && TakeNumber(words[3], file.first_sequence) &&
      TakeNumber(words[4], file.last_sequence) && TakeNumber(words[5], file.level) &&
      TakeNumber(words[6], file.rows) && TakeNumber(words[7], file.bytes) &&
      TakeNumber(words[8], first_us) && TakeNumber(words[9], last_us);
  const bool marked =
      !rolled || words[10].size() == 3 || (words[10].size() == 4 && words[10][3] == 'a');
  if (!numbers || !marked || (rolled && !TakeNumber(words[11], file.rollup_bytes)))
    return DataLoss("a file line has a product, a day, seven numbers, marks and a number");
  if (rolled) {
    file.by_second = words[10][0] == 's';
    file.by_minute = words[10][1] == 'm';
    file.by_hour = words[10][2] == 'h';
    file.archived = words[10].size() == 4;
  }
  ASSIGN_OR_RETURN(file.product, UnescapeName(words[1]));
  file.day = words[2];
  TRY(DayBegin(file.day));
  file.first_time = FromMicros(first_us);
  file.last_time = FromMicros(last_us);
  return file;
}

Result<HistoryRollup> ParseRollup(const std::vector<std::string_view>& words) {
  HistoryRollup rollup;
  int64_t first_us = 0, last_us = 0;
  const bool numbers = words.size() == 11 && (words[1] == "h" || words[1] == "m") &&
                       TakeNumber(words[4], rollup.first_sequence) &&
                       TakeNumber(words[5], rollup.last_sequence) &&
                       TakeNumber(words[6], rollup.level) && TakeNumber(words[7], rollup.rows) &&
                       TakeNumber(words[8], rollup.bytes) && TakeNumber(words[9], first_us) &&
                       TakeNumber(words[10], last_us);
  if (!numbers) return DataLoss("a rollup line has h or m, a product, a period and seven numbers");
  rollup.hours = words[1] == "h";
  ASSIGN_OR_RETURN(rollup.product, UnescapeName(words[2]));
  rollup.period = words[3];
  TRY(DayBegin(rollup.hours ? rollup.period + "-01" : rollup.period));
  rollup.first_time = FromMicros(first_us);
  rollup.last_time = FromMicros(last_us);
  return rollup;
}

Status ParseLine(std::string_view line, const std::string& folder, Catalog& catalog) {
  const auto words = Words(line);
  if (words.size() == 2 && words[0] == "end" && TakeNumber(words[1], catalog.sequence_end))
    return {};
  if (words.size() == 3 && words[0] == "point") {
    ASSIGN_OR_RETURN(const std::string product, UnescapeName(words[1]));
    ASSIGN_OR_RETURN(std::string path, UnescapeName(words[2]));
    catalog.old_points.emplace_back(product, std::move(path));
    return {};
  }
  if (!words.empty() && words[0] == "file") {
    ASSIGN_OR_RETURN(HistoryFile file, ParseFile(words));
    catalog.files.push_back(std::make_shared<const StoredFile>(folder, std::move(file)));
    return {};
  }
  if (!words.empty() && words[0] == "rollup") {
    ASSIGN_OR_RETURN(HistoryRollup rollup, ParseRollup(words));
    catalog.rollups.push_back(std::make_shared<const StoredRollup>(folder, std::move(rollup)));
    return {};
  }
  return DataLoss("neither end, point, file nor rollup");
}

}  // namespace

std::string HistoryFile::RelativePath() const {
  return fmt::format("{}/{}/{:012}-{:012}.parquet", EscapeName(product), day, first_sequence,
                     last_sequence);
}

std::string HistoryFile::SecondsPath() const { return "rollup-1s/" + RelativePath(); }
std::string HistoryFile::MinutesPath() const { return "rollup-1m/" + RelativePath(); }

std::string HistoryRollup::RelativePath() const {
  return fmt::format("rollup-1{}/{}/{}/{:012}-{:012}-{}.parquet", hours ? 'h' : 'm',
                     EscapeName(product), period, first_sequence, last_sequence, level);
}

StoredFile::~StoredFile() {
  if (obsolete_ || moved_) unlink(path.c_str());
  if (!obsolete_) return;
  if (info.by_second) unlink((folder + "/" + info.SecondsPath()).c_str());
  if (info.by_minute) unlink((folder + "/" + info.MinutesPath()).c_str());
}

StoredRollup::~StoredRollup() {
  if (obsolete_) unlink(path.c_str());
}

std::vector<StoredFilePointer> Catalog::FilesOf(std::span<const std::string> products, Time from,
                                                Time to) const {
  std::vector<StoredFilePointer> found;
  for (const StoredFilePointer& file : files) {
    if (file->info.last_time < from || file->info.first_time >= to) continue;
    if (std::find(products.begin(), products.end(), file->info.product) != products.end())
      found.push_back(file);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a->info.first_time < b->info.first_time;
  });
  return found;
}

std::string FormatManifest(const Catalog& catalog) {
  std::string text = fmt::format("{}\nend {}\n", kManifestFirstLine, catalog.sequence_end);
  for (const auto& [product, path] : catalog.old_points)
    text += fmt::format("point {} {}\n", EscapeName(product), EscapeName(path, true));
  for (const StoredFilePointer& stored : catalog.files) {
    const HistoryFile& file = stored->info;
    text += fmt::format("file {} {} {} {} {} {} {} {} {} {}{}{}{} {}\n", EscapeName(file.product),
                        file.day, file.first_sequence, file.last_sequence, file.level, file.rows,
                        file.bytes, ToMicros(file.first_time), ToMicros(file.last_time),
                        file.by_second ? 's' : '-', file.by_minute ? 'm' : '-',
                        file.by_hour ? 'h' : '-', file.archived ? "a" : "", file.rollup_bytes);
  }
  for (const StoredRollupPointer& stored : catalog.rollups) {
    const HistoryRollup& rollup = stored->info;
    text += fmt::format("rollup {} {} {} {} {} {} {} {} {} {}\n", rollup.hours ? 'h' : 'm',
                        EscapeName(rollup.product), rollup.period, rollup.first_sequence,
                        rollup.last_sequence, rollup.level, rollup.rows, rollup.bytes,
                        ToMicros(rollup.first_time), ToMicros(rollup.last_time));
  }
  return text + fmt::format("crc {:08x}\n", Crc32c(AsBytes(text)));
}

Result<Catalog> ParseManifest(std::string_view text, const std::string& folder) {
  const size_t last_line = text.rfind("crc ");
  if (last_line == std::string_view::npos ||
      (!text.starts_with(kManifestFirstLine) && !text.starts_with(kOldFirstLine)))
    return DataLoss("not a history manifest, or cut short");
  const std::string_view body = text.substr(0, last_line);
  if (text.substr(last_line) != fmt::format("crc {:08x}\n", Crc32c(AsBytes(body))))
    return DataLoss("history manifest damaged: checksum differs");
  Catalog catalog;
  std::string_view rest = body.substr(std::min(kManifestFirstLine.size() + 1, body.size()));
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
  // The folders of rollups stand beside those of products.
  const bool like_rollup = !keep_slashes && name.starts_with("rollup-");
  for (size_t i = 0; i < name.size(); ++i) {
    // A leading dot would hide the folder, and "." and ".." mean others.
    const bool plain = IsPlain(name[i]) || (keep_slashes && name[i] == '/');
    if (plain && (i > 0 || (name[i] != '.' && !like_rollup))) {
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
    if (file->info.archived) continue;  // Not brought back for that.
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

std::vector<StoredFilePointer> FindOverlap(const Catalog& catalog) {
  std::map<std::pair<std::string_view, std::string_view>, std::vector<StoredFilePointer>> days;
  for (const StoredFilePointer& file : catalog.files)
    if (!file->info.archived) days[{file->info.product, file->info.day}].push_back(file);
  for (auto& [key, files] : days) {
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
      return a->info.first_sequence < b->info.first_sequence;
    });
    for (size_t i = 1; i < files.size(); ++i)
      if (files[i]->info.first_sequence <= files[i - 1]->info.last_sequence)
        return {files[i - 1], files[i]};
  }
  return {};
}

std::vector<StoredRollupPointer> FindRollupMerge(const Catalog& catalog) {
  std::map<std::string_view, std::string_view> newest;  // By product.
  std::map<std::pair<std::string_view, std::string_view>, std::vector<StoredRollupPointer>> months;
  for (const StoredRollupPointer& rollup : catalog.rollups) {
    if (!rollup->info.hours) continue;
    std::string_view& month = newest[rollup->info.product];
    month = std::max(month, std::string_view(rollup->info.period));
    months[{rollup->info.product, rollup->info.period}].push_back(rollup);
  }
  for (auto& [key, rollups] : months) {
    if (key.second < newest[key.first] && rollups.size() >= kRollupsOfPastMonth)
      return std::move(rollups);
    std::map<int, std::vector<StoredRollupPointer>> by_level;
    for (const auto& rollup : rollups) by_level[rollup->info.level].push_back(rollup);
    for (auto& [level, some] : by_level)
      if (some.size() >= kRollupsToMerge) return std::move(some);
  }
  return {};
}

}  // namespace penstock::storage
