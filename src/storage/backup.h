// A copy of a data folder while it is written: records, log, history and the
// rest, such that a node started on it has every sample acknowledged before the
// backup began, and no part of a sample's life without what led to it. Layout
// and order: docs/formats/backup.md.
//
// Thread rule: any thread; one backup at a time per source.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace penstock::storage {

class History;
class Records;

struct BackupSource {
  std::string data;            // The data folder.
  Records* records = nullptr;  // Null: they are not in the folder (PostgreSQL
                               // has its own tools).
  History* history = nullptr;
  std::string site;  // The site's folder: its files are copied too, the data
                     // folder left out.
};

// Into `folder`, which must be new or empty. The last thing written is
// backup.json, which names every file with its size and checksum; without it a
// backup is not whole. Returns that document without the list.
Result<Json> BackUp(const BackupSource& source, const std::string& folder, Time now);

// Checks the backup and copies it to `data`, which must be new or empty.
// kDataLoss names the file that is missing or differs.
Result<Json> Restore(const std::string& folder, const std::string& data);

}  // namespace penstock::storage
