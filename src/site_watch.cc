#include "site_watch.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

namespace penstock {
namespace {

namespace fs = std::filesystem;

// The files of a folder as texts that differ when a file does; sorted, because a folder is not.
void AddFile(const fs::path& file, std::set<std::string>& stamps) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  if (error) return;
  const auto size = fs::file_size(file, error);
  stamps.insert(fmt::format("{} {} {}", file.string(), size, time.time_since_epoch().count()));
}

}  // namespace

std::string SiteWatch::Stamp() const {
  std::set<std::string> stamps;
  std::error_code error;
  for (const char* folder : {"contracts", "models", "kpis", "usecases"})
    for (const auto& entry : fs::directory_iterator(fs::path(site_) / folder, error))
      if (entry.path().extension() == ".yaml") AddFile(entry.path(), stamps);
  for (const auto& entry : fs::directory_iterator(models_, error))
    AddFile(entry.path() / "active", stamps);
  return fmt::format("{}", fmt::join(stamps, "\n"));
}

bool SiteWatch::Changed() {
  std::string now = Stamp();
  if (now == seen_) return false;
  seen_ = std::move(now);
  return true;
}

}  // namespace penstock
