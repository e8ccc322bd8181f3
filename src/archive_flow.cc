#include "archive_flow.h"

#include <condition_variable>
#include <mutex>

#include "base/log.h"
#include "base/metrics.h"

namespace penstock {

using storage::BlobArchive;

Result<std::unique_ptr<ArchiveFlow>> ArchiveFlow::Open(const Settings& settings,
                                                       const Clock& clock) {
  if (settings.cluster.blobs.empty()) return nullptr;
  ASSIGN_OR_RETURN(auto blobs, storage::Blobs::Open(settings.cluster.blobs));
  return std::unique_ptr<ArchiveFlow>(new ArchiveFlow(settings, std::move(blobs), clock));
}

ArchiveFlow::ArchiveFlow(const Settings& settings, std::unique_ptr<storage::Blobs> blobs,
                         const Clock& clock)
    : settings_(settings.cluster),
      history_bytes_max_(settings.history_bytes_max),
      clock_(clock),
      blobs_(std::move(blobs)),
      archive_(*blobs_, settings.data + "/history", settings.site, clock,
               settings.cluster.blobs_cache_bytes) {}

ArchiveFlow::~ArchiveFlow() { Stop(); }

void ArchiveFlow::Start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

void ArchiveFlow::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  blobs_->Stop();
  thread_.join();
}

void ArchiveFlow::Run(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!wake.wait_for(lock, stop, settings_.blobs_every, [] { return false; }) &&
         !stop.stop_requested()) {
    Status pushed = PushOnce();
    if (pushed) pushed = EvictOnce();
    if (pushed || stop.stop_requested()) continue;
    Counter("penstock_archive_failures_total", "Copies of the history that did not end well.")
        .Add();
    LogSometimes(LogLevel::kWarn, "archive", "archive: " + pushed.error().ToString());
  }
}

Status ArchiveFlow::PushOnce() {
  if (!loaded_) {
    TRY(archive_.Load());
    loaded_ = true;
  }
  const auto report = archive_.Push(settings_.blobs_closed_days ? BlobArchive::Take::kClosedDays
                                                                : BlobArchive::Take::kAll);
  // Before the first flush there is nothing to copy.
  if (!report && report.error().code == Code::kNotFound) return {};
  if (!report) return std::unexpected(report.error());
  if (report->files > 0)
    LogInfo("archive: {} files, {} bytes copied; {} removed", report->files, report->bytes,
            report->removed);
  if (report->files > 0 && on_copied_) on_copied_(*report);
  return {};
}

// What is old goes; where the disk fills up, more of it, before retention would delete it.
Status ArchiveFlow::EvictOnce() {
  if (history_ == nullptr || settings_.blobs_keep_local <= Duration(0)) return {};
  ASSIGN_OR_RETURN(const auto evicted,
                   history_->EvictArchived(clock_.Now() - settings_.blobs_keep_local,
                                           history_bytes_max_ / 10 * 9));
  const auto size = history_->size();
  Gauge("penstock_history_archived_bytes", "Bytes of history that are in the archive alone.")
      .Set(static_cast<int64_t>(size.archived_bytes));
  if (evicted.files > 0)
    LogInfo("archive: {} files, {} bytes left this disk; {} are in the archive alone",
            evicted.files, evicted.bytes, size.archived_files);
  return {};
}

}  // namespace penstock
