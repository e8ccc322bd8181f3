// Small files as a whole, and folders.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock {

// kResourceExhausted when larger than `max_bytes`.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes = 64 << 20);
// Temporary file, fsync, rename, fsync of the folder: the old or the new content, never a mixture.
Status WriteFileAtomically(const std::string& path, std::string_view content);
Status MakeFolders(const std::string& path);  // mkdir -p
// Sorted names of the regular files whose name ends in `suffix` (no recursion).
Result<std::vector<std::string>> ListFiles(const std::string& folder, std::string_view suffix);
// Free bytes of the file system that holds `path`.
Result<uint64_t> FreeBytes(const std::string& path);

}  // namespace penstock
