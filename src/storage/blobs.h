// Blobs: whole files under a key, in a local folder or in S3-compatible storage. What Put returned
// for can be read back by anyone with the same address.
//
// Thread rule: any thread; calls wait for the network (retries with back-off included).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace penstock::storage {

// The largest content that Put and Get hold in memory; files go through PutFile and GetFile.
inline constexpr size_t kBlobInMemoryMax = 64 << 20;

struct BlobInfo {
  std::string key;
  uint64_t bytes = 0;
  Time modified;
  std::string sha256;  // Hex, of the whole content; empty where the store does not say (List).
};

struct BlobPage {
  std::vector<BlobInfo> items;  // By key, in byte order.
  std::string next;             // Give as `after` for the next page; empty at the end.
};

class Blobs {
 public:
  virtual ~Blobs() = default;
  // "file:/var/backup/penstock", or "s3://BUCKET[/PREFIX]@HOST[:PORT][?region=R&tls=off&ca=FILE]",
  // TLS with a verified certificate unless off, which only loopback may. S3 credentials come from
  // AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or the profile AWS_PROFILE
  // ("default") of the file AWS_SHARED_CREDENTIALS_FILE. Nothing is sent before the first call.
  static Result<std::unique_ptr<Blobs>> Open(const std::string& address);

  // Keys: 1 to 900 bytes of letters, digits and "/-_.%@=+", no "//", no "." or ".." between
  // slashes; else kInvalidArgument. A Put replaces the whole content at once or not at all.
  virtual Status Put(const std::string& key, ByteView content) = 0;
  // The content of a local file, of any size, with bounded memory. `sha256`: if not null, gets the
  // digest of what was stored. kDataLoss when the file changed meanwhile.
  virtual Status PutFile(const std::string& key, const std::string& path, Sha256* sha256) = 0;
  // [offset, offset + bytes), less at the end of the content. kNotFound; kInvalidArgument beyond
  // kBlobInMemoryMax or behind the end.
  virtual Result<Bytes> Get(const std::string& key, uint64_t offset, uint64_t bytes) = 0;
  // Into a new file, atomically; a broken transfer goes on where it broke. kDataLoss when the
  // content differs from the digest stored with it.
  virtual Status GetFile(const std::string& key, const std::string& path) = 0;
  virtual Result<BlobInfo> Head(const std::string& key) = 0;  // kNotFound.
  // Keys that begin with `prefix` and come after `after`, at most 1000 a page.
  virtual Result<BlobPage> List(const std::string& prefix, const std::string& after) = 0;
  virtual Status Delete(const std::string& key) = 0;  // Fine when there is none.
  // Ends waits and transfers: they and all later calls get kCancelled.
  virtual void Stop() = 0;
};

Status CheckBlobKey(std::string_view key);

}  // namespace penstock::storage
