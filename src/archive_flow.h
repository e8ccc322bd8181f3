// The node copies its history to the blob store by itself, on a thread of its own: a slow store
// holds up nobody. Owned by the node, like the other flows.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/json.h"
#include "base/site.h"
#include "storage/blobs_archive.h"
#include "storage/history.h"

namespace penstock {

class ArchiveFlow {
 public:
  // Null when the site has no blob store. Speaks with nobody before Start.
  static Result<std::unique_ptr<ArchiveFlow>> Open(const Settings& settings, const Clock& clock);
  ~ArchiveFlow();  // Stop().

  // Called on its thread after a copy that moved something; before Start.
  void OnCopied(std::function<void(const storage::BlobArchive::Report&)> call) {
    on_copied_ = std::move(call);
  }
  // Whose copied files leave this disk, when site.yaml says so; before Start, outlives Stop.
  void EvictFrom(storage::History& history) { history_ = &history; }
  void Start();
  void Stop();  // Ends a copy in the middle; the next life goes on.

  storage::BlobArchive& archive() { return archive_; }

 private:
  ArchiveFlow(const Settings& settings, std::unique_ptr<storage::Blobs> blobs, const Clock& clock);
  void Run(const std::stop_token& stop);
  Status PushOnce();
  Status EvictOnce();

  const ClusterSettings settings_;
  const uint64_t history_bytes_max_;
  const Clock& clock_;
  std::unique_ptr<storage::Blobs> blobs_;
  storage::BlobArchive archive_;
  std::function<void(const storage::BlobArchive::Report&)> on_copied_;
  storage::History* history_ = nullptr;
  bool loaded_ = false;
  std::jthread thread_;
};

}  // namespace penstock
