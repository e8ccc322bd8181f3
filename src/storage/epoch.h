// The epoch of a data folder: a number that no other life of this node has. Sequences count within
// it, so (node, epoch, sequence) names a sample for ever, also when an older copy of the folder
// comes back and gives sequences a second time.
//
// The file DATA/epoch says which file it is by its inode. A folder that was restored from a backup
// or copied has another one and gets an epoch of its own. (A machine that was set back with its
// whole disk cannot be told: remove the file then.)
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::storage {

struct Epoch {
  uint64_t value = 0;  // Below 2^53; larger than those before it while the clock goes forward.
  bool fresh = false;  // Made by this call.
};

// The one of `folder`, or a new one that is durable when this returns.
Result<Epoch> OpenEpoch(const std::string& folder, Time now);

}  // namespace penstock::storage
