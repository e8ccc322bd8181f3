// Records in PostgreSQL, for a node whose records must outlive its machine.
//
// One schema of a database belongs to one node at a time: the writer holds an advisory lock for as
// long as its session lives, and takes it again after each reconnect before it writes anything. A
// second node is refused; when the first one dies, the server lets the lock go.
#pragma once

#include <memory>
#include <string>

#include "storage/records.h"

namespace penstock::storage {

// "postgresql://USER@HOST[:PORT]/DATABASE[?schema=NAME&...]"; the other options are libpq's. The
// schema (default "penstock") is made when it is not there. Other hosts than loopback need
// sslmode=verify-full, which is the default then.
Result<std::unique_ptr<Records>> OpenPostgresRecords(const std::string& address, bool read_only);

}  // namespace penstock::storage
