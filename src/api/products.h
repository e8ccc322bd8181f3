// The data products as the API offers them: the catalogue, who may read, and a product's rows as
// Parquet files, those not yet in the history included. All ways to read (files, exports, SQL)
// go through here, so that access and privacy are decided in one place.
//
// Thread rule: any thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "storage/history.h"
#include "storage/sql_runner.h"
#include "storage/sql_worker.h"
#include "things/data_product.h"
#include "things/product_access.h"
#include "trust/principal.h"
#include "trust/privacy.h"

namespace penstock::api {

// What somebody may see of a product.
struct ReadPermission {
  bool personal = false;  // Personal values as they are.
};

// The rows of a product at one moment, as files; shared by all who read within a second.
struct ProductFiles {
  std::vector<storage::HistoryFileView> files;
  std::optional<storage::HistoryFileView> tail;
  std::string tail_name;  // "tail-7": as it is asked for.
  std::shared_ptr<const void> keep_tail;
  std::chrono::steady_clock::time_point made;
};

class Products {
 public:
  struct Parts {
    const Clock& clock;
    const things::Directory& directory;
    storage::History& history;
    things::ProductAccessStore& access;
    std::function<std::shared_ptr<const things::ContractSet>()> contracts;
    // Whether this name holds the title of a product's owner or team.
    std::function<bool(const std::string& name, const std::string& title)> holds_title;
    Duration retention;
    std::string folder;  // For tails and exports; emptied at the start.
    std::string privacy_key_file;
  };
  static Result<std::unique_ptr<Products>> Open(Parts parts);

  // By name; as the site's files say now.
  std::shared_ptr<const std::vector<things::DataProduct>> List() const;
  Result<things::DataProduct> Find(const std::string& name) const;
  storage::ProductSize SizeOf(const std::string& name) const;

  bool IsOwner(const trust::Principal& who, const things::DataProduct& product) const;
  // kPermissionDenied with what to do.
  Result<ReadPermission> MayRead(const trust::Principal& who,
                                 const things::DataProduct& product) const;
  // The same of one point: also refused when its values are personal and not for this reader.
  Status MayReadPoint(const trust::Principal& who, const things::Point& point) const;
  // Whether the point's values are personal and not for this reader, its present one included.
  bool Withholds(const trust::Principal& who, const things::Point& point) const;

  // At most a second old.
  Result<std::shared_ptr<const ProductFiles>> Files(const std::string& name);
  // The file where it can be read; an archived one is brought here (History::Local).
  Result<storage::HistoryFileView> Local(const storage::HistoryFileView& file) const {
    return parts_.history.Local(file);
  }
  // A tail that was listed before; kNotFound when it is older than two minutes.
  Result<std::shared_ptr<const ProductFiles>> Tail(const std::string& name,
                                                   const std::string& tail_name);

  // The product as a table of a question; `keep` gets what must live until it is answered.
  // Files whose times are outside [from, to) are left out.
  Result<storage::SqlTable> TableOf(const things::DataProduct& product, ReadPermission permission,
                                    Time from, Time to,
                                    std::vector<std::shared_ptr<const void>>& keep);
  // The same of given files.
  static storage::SqlTable TableOf(const things::DataProduct& product, ReadPermission permission,
                                   std::vector<std::string> files);
  // Whether anything of it is withheld or changed for this permission.
  static bool HidesFrom(const things::DataProduct& product, ReadPermission permission);
  // For SqlJob::privacy: the rules of these products' personal values and the key's file. "": none.
  std::string PrivacyOf(std::span<const things::DataProduct> products) const;

  std::string NewFile(std::string_view suffix);  // A name in the folder that nobody has.
  const Parts& parts() const { return parts_; }

 private:
  explicit Products(Parts parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const ProductFiles> Recent(const std::string& name,
                                             std::chrono::steady_clock::duration age) const;

  const Parts parts_;
  mutable std::mutex mutex_;  // Guards what follows.
  std::map<std::string, std::deque<std::shared_ptr<const ProductFiles>>> recent_;  // Newest last.
  uint64_t next_file_ = 1;
  // Made once for each state of the site's files.
  mutable std::shared_ptr<const things::Snapshot> listed_snapshot_;
  mutable std::shared_ptr<const things::ContractSet> listed_contracts_;
  mutable std::shared_ptr<const std::vector<things::DataProduct>> listed_;
  std::mutex making_;  // One tail is written at a time; taken before mutex_.
};

// Deletes the file when the last one who holds it lets go.
std::shared_ptr<const void> RemoveWhenUnused(const std::string& path);

// The worker's side of PrivacyOf.
Result<storage::PrivateNumber> PrivateNumberOf(const std::string& privacy);

}  // namespace penstock::api
