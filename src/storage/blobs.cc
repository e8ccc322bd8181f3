// Blobs in a local folder (a mounted share, a test), and which kind of store an address means.
// Keys are relative paths; each content is written aside, synced and renamed, so that a reader
// sees the old or the new one.
#include "storage/blobs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "storage/blobs_digest.h"
#include "storage/blobs_file.h"
#include "storage/disk.h"
#include "storage/s3_blobs.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
constexpr size_t kKeyMax = 900;  // S3 has 1024, the prefix takes some.
constexpr size_t kPageItems = 1000;

class FolderBlobs final : public Blobs {
 public:
  explicit FolderBlobs(std::string folder) : folder_(std::move(folder)) {}

  Status Put(const std::string& key, ByteView content) override {
    TRY(Ready(key));
    ASSIGN_OR_RETURN(WritingFile file, WritingFile::Create(PathOf(key)));
    TRY(file.Write(content));
    return file.Commit();
  }

  Status PutFile(const std::string& key, const std::string& path, Sha256* sha256) override {
    TRY(Ready(key));
    ASSIGN_OR_RETURN(const Sha256 digest, Copy(path, PathOf(key)));
    if (sha256 != nullptr) *sha256 = digest;
    return {};
  }

  Result<Bytes> Get(const std::string& key, uint64_t offset, uint64_t bytes) override {
    TRY(Ready(key));
    if (bytes == 0 || bytes > kBlobInMemoryMax)
      return InvalidArgument("{}: a range of {} bytes; 1 to {} can be read", key, bytes,
                             kBlobInMemoryMax);
    ASSIGN_OR_RETURN(ReadingFile file, ReadingFile::Open(PathOf(key)));
    if (offset > 0 && offset >= file.bytes())
      return InvalidArgument("{}: offset {} is behind its {} bytes", key, offset, file.bytes());
    Bytes content(std::min(bytes, file.bytes() - offset));
    TRY(file.Seek(offset));
    TRY(file.ReadExactly(content));
    return content;
  }

  Status GetFile(const std::string& key, const std::string& path) override {
    TRY(Ready(key));
    TRY(Copy(PathOf(key), path));
    return {};
  }

  Result<BlobInfo> Head(const std::string& key) override {
    TRY(Ready(key));
    struct stat about {};
    if (stat(PathOf(key).c_str(), &about) != 0) return FromErrno(errno, key);
    if (!S_ISREG(about.st_mode)) return NotFound("no such blob: {}", key);
    return InfoOf(key, about);
  }

  Result<BlobPage> List(const std::string& prefix, const std::string& after) override {
    if (stopped_) return Cancelled("the store is stopped");
    std::vector<std::string> keys;
    std::error_code error;
    if (fs::exists(folder_, error)) {
      for (fs::recursive_directory_iterator it(folder_, error), end; !error && it != end;
           it.increment(error)) {
        std::error_code gone;
        if (!it->is_regular_file(gone)) continue;
        std::string key = it->path().lexically_relative(folder_).string();
        if (key.starts_with(prefix) && key > after && !key.ends_with(".part"))
          keys.push_back(std::move(key));
      }
    }
    if (error) return FileError(error.value(), "cannot list", folder_);
    std::ranges::sort(keys);
    BlobPage page;
    for (const std::string& key : keys) {
      if (page.items.size() == kPageItems) {
        page.next = page.items.back().key;
        break;
      }
      struct stat about {};
      if (stat(PathOf(key).c_str(), &about) == 0) page.items.push_back(InfoOf(key, about));
    }
    return page;
  }

  Status Delete(const std::string& key) override {
    TRY(Ready(key));
    if (unlink(PathOf(key).c_str()) == 0 || errno == ENOENT) return {};
    return FromErrno(errno, "cannot delete " + key);
  }

  void Stop() override { stopped_ = true; }

 private:
  Status Ready(const std::string& key) const {
    if (stopped_) return Cancelled("the store is stopped");
    return CheckBlobKey(key);
  }
  std::string PathOf(const std::string& key) const { return folder_ + "/" + key; }

  static BlobInfo InfoOf(const std::string& key, const struct stat& about) {
    return {.key = key,
            .bytes = static_cast<uint64_t>(about.st_size),
            .modified = FromMicros(about.st_mtim.tv_sec * 1'000'000 + about.st_mtim.tv_nsec / 1000),
            .sha256 = {}};
  }

  static Result<Sha256> Copy(const std::string& from, const std::string& to) {
    ASSIGN_OR_RETURN(ReadingFile file, ReadingFile::Open(from));
    ASSIGN_OR_RETURN(WritingFile copy, WritingFile::Create(to));
    Digest digest;
    Bytes piece(1 << 18);
    while (true) {
      ASSIGN_OR_RETURN(const size_t got, file.ReadSome(piece));
      if (got == 0) break;
      digest.Add(ByteView(piece).first(got));
      TRY(copy.Write(ByteView(piece).first(got)));
    }
    TRY(copy.Commit());
    return digest.Finish();
  }

  const std::string folder_;
  std::atomic<bool> stopped_{false};
};

}  // namespace

Status CheckBlobKey(std::string_view key) {
  const auto bad = [&](std::string_view why) -> Status {
    return InvalidArgument("no usable key, {}: \"{}\"", why, key.substr(0, 100));
  };
  if (key.empty() || key.size() > kKeyMax) return bad(fmt::format("{} bytes", key.size()));
  for (const char c : key) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       std::string_view("/-_.%@=+").contains(c);
    if (!plain) return bad("a byte other than letters, digits and /-_.%@=+");
  }
  for (size_t at = 0; at <= key.size();) {
    const size_t end = std::min(key.find('/', at), key.size());
    const std::string_view part = key.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return bad("an empty, \".\" or \"..\" part");
    at = end + 1;
  }
  return {};
}

Result<std::unique_ptr<Blobs>> Blobs::Open(const std::string& address) {
  if (address.starts_with("s3://")) {
    ASSIGN_OR_RETURN(S3Address s3, ParseS3Address(address));
    ASSIGN_OR_RETURN(S3Credentials credentials, FindS3Credentials());
    return MakeS3Blobs(std::move(s3), std::move(credentials));
  }
  if (address.starts_with("file:/")) return std::make_unique<FolderBlobs>(address.substr(5));
  auto error = InvalidArgument("no address of a blob store: \"{}\"", address.substr(0, 200));
  error.error().Fix("file:/FOLDER or s3://BUCKET[/PREFIX]@HOST[:PORT]");
  return error;
}

}  // namespace penstock::storage
