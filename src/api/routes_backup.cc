// Backups of a running node: a copy below DATA/backups, from where `penstock
// backup` takes it.
#include "api/routes.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>

#include "storage/backup.h"

namespace penstock::api {
namespace {

// "2026-11-22T10:20:30.000000Z" -> "2026-11-22T10-20-30Z"
std::string NameOf(Time now) {
  std::string name = FormatTime(now).substr(0, 19) + "Z";
  std::replace(name.begin(), name.end(), ':', '-');
  return name;
}

Result<Response> MakeBackup(const Services& services, const Request& request, std::mutex& busy) {
  const std::unique_lock lock(busy, std::try_to_lock);
  if (!lock.owns_lock()) return FailedPrecondition("another backup is being made");
  const Settings& settings = services.settings;
  const bool own_records = settings.cluster.records.empty();
  const std::string folder = settings.data + "/backups/" + NameOf(services.clock.Now());
  auto made = storage::BackUp({.data = settings.data,
                               .records = own_records ? &services.records : nullptr,
                               .history = &services.history,
                               .site = settings.folder},
                              folder, services.clock.Now());
  if (!made) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    return std::unexpected(made.error());
  }
  TRY(services.audit.Append(request.principal.name, "backup", folder, "", *made));
  return JsonResponse(*made);
}

}  // namespace

void AddBackupRoutes(Router& router, const Services& s) {
  // Shared by the handlers that the router copies.
  auto busy = std::make_shared<std::mutex>();
  router.Add({"POST", "/api/v1/backups", trust::Role::kAdmin,
              "Copy the data folder, consistently, below DATA/backups",
              [&s, busy](const Request& r) { return MakeBackup(s, r, *busy); }});
}

}  // namespace penstock::api
