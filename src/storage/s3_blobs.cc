// A file goes up in one request or, when it is large, in parts of 8 MiB, one in memory at a time;
// the parts grow where 10,000 of them would not do. An upload that fails is aborted, since parts
// that nobody completes would be stored, and paid for, for ever. Each request carries the SHA-256
// of its content in the signature, which the server checks; the digest of the whole file travels
// as metadata and is checked when the file comes back.
//
// A file comes down into a temporary file; a transfer that breaks goes on with a range from where
// it broke, bound to the same content by If-Match.
#include "storage/s3_blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "storage/blobs_digest.h"
#include "storage/blobs_file.h"
#include "storage/s3_xml.h"
#include "storage/whole_number.h"

namespace penstock::storage {
namespace {

constexpr uint64_t kPartsMax = 10'000;
constexpr const char* kDigestHeader = "x-amz-meta-sha256";

std::string HeaderOr(const S3Answer& answer, const std::string& name) {
  const auto found = answer.headers.find(name);
  return found == answer.headers.end() ? "" : found->second;
}

Result<uint64_t> NumberIn(std::string_view text) {
  uint64_t number = 0;
  if (!TakeNumber(text, number))
    return DataLoss("no number in the answer: \"{}\"", text.substr(0, 40));
  return number;
}

class S3Blobs final : public Blobs {
 public:
  S3Blobs(S3Address address, S3Credentials credentials, S3Limits limits)
      : client_(std::move(address), std::move(credentials)), limits_(limits) {}

  Status Put(const std::string& key, ByteView content) override {
    TRY(CheckBlobKey(key));
    if (content.size() > kBlobInMemoryMax)
      return InvalidArgument("{}: {} bytes are too many for one request", key, content.size());
    S3Request request{.method = "PUT", .path = {}, .query = {}, .headers = {}};
    request.headers[kDigestHeader] = ToHex(Sha256Of(content));
    TRY(client_.Call(key, request, content));
    return {};
  }

  Status PutFile(const std::string& key, const std::string& path, Sha256* sha256) override {
    TRY(CheckBlobKey(key));
    uint64_t bytes = 0;
    ASSIGN_OR_RETURN(const Sha256 digest, Sha256OfFile(path, &bytes));
    if (sha256 != nullptr) *sha256 = digest;
    ASSIGN_OR_RETURN(auto file, ReadingFile::Open(path));
    if (bytes > limits_.single_put_max) return PutParts(key, file, bytes, digest);
    Bytes content(bytes);
    TRY(file.ReadExactly(content));
    if (Sha256Of(content) != digest) return ChangedMeanwhile(path);
    return Put(key, content);
  }

  Result<Bytes> Get(const std::string& key, uint64_t offset, uint64_t bytes) override;
  Status GetFile(const std::string& key, const std::string& path) override;

  Result<BlobInfo> Head(const std::string& key) override {
    TRY(CheckBlobKey(key));
    const S3Request request{.method = "HEAD", .path = {}, .query = {}, .headers = {}};
    ASSIGN_OR_RETURN(const S3Answer answer, client_.Call(key, request));
    BlobInfo info{.key = key, .sha256 = HeaderOr(answer, kDigestHeader)};
    ASSIGN_OR_RETURN(info.bytes, NumberIn(HeaderOr(answer, "content-length")));
    return info;
  }

  Result<BlobPage> List(const std::string& prefix, const std::string& after) override {
    const std::string& base = client_.address().prefix;
    S3Request request{.method = "GET",
                      .path = {},
                      .query = {{"list-type", "2"}, {"max-keys", "1000"}},
                      .headers = {}};
    request.query["prefix"] = base + prefix;
    if (!after.empty()) request.query["start-after"] = base + after;
    ASSIGN_OR_RETURN(const S3Answer answer, client_.Call("", request));
    ASSIGN_OR_RETURN(BlobPage page, ParseS3List(answer.body));
    for (BlobInfo& item : page.items) {
      if (!item.key.starts_with(base))
        return DataLoss("a listed key without the prefix: {}", item.key.substr(0, 200));
      item.key.erase(0, base.size());
    }
    if (!page.next.empty()) page.next.erase(0, base.size());
    return page;
  }

  Status Delete(const std::string& key) override {
    TRY(CheckBlobKey(key));
    const S3Request request{.method = "DELETE", .path = {}, .query = {}, .headers = {}};
    const auto answer = client_.Call(key, request);
    if (!answer && answer.error().code != Code::kNotFound) return std::unexpected(answer.error());
    return {};
  }

  void Stop() override { client_.Stop(); }

 private:
  static std::unexpected<Error> ChangedMeanwhile(const std::string& path) {
    auto error = DataLoss("the file changed while it was stored");
    error.error().Where(path);
    return error;
  }

  Status PutParts(const std::string& key, ReadingFile& file, uint64_t bytes, const Sha256& digest);
  Result<std::string> SendParts(const std::string& key, const std::string& upload,
                                ReadingFile& file, uint64_t bytes, const Sha256& digest);

  S3Client client_;
  const S3Limits limits_;
};

Status S3Blobs::PutParts(const std::string& key, ReadingFile& file, uint64_t bytes,
                         const Sha256& digest) {
  S3Request begin{.method = "POST", .path = {}, .query = {{"uploads", ""}}, .headers = {}};
  begin.headers[kDigestHeader] = ToHex(digest);
  ASSIGN_OR_RETURN(const S3Answer begun, client_.Call(key, begin));
  ASSIGN_OR_RETURN(const std::string upload, ParseS3UploadId(begun.body));
  const auto abort = [&](Error error) -> Status {
    const S3Request request{
        .method = "DELETE", .path = {}, .query = {{"uploadId", upload}}, .headers = {}};
    if (const auto aborted = client_.Call(key, request); !aborted)
      LogWarn("an upload of {} stays unfinished in the store: {}", key, aborted.error().ToString());
    return std::unexpected(std::move(error));
  };
  const auto list = SendParts(key, upload, file, bytes, digest);
  if (!list) return abort(list.error());
  const S3Request complete{
      .method = "POST", .path = {}, .query = {{"uploadId", upload}}, .headers = {}};
  const auto done = client_.Call(key, complete, AsBytes(*list));
  if (!done) {
    // The answer to a completion that worked may have been lost on the way.
    const auto there = Head(key);
    if (there && there->bytes == bytes && there->sha256 == ToHex(digest)) return {};
    return abort(done.error());
  }
  // S3 may find the error only after it has sent 200.
  if (const auto said = ParseS3Error(done->body); !said.code.empty())
    return abort(Error{Code::kUnavailable,
                       fmt::format("{}: not completed: {} {}", key, said.code, said.message)});
  return {};
}

// Returns the list of parts that completes the upload.
Result<std::string> S3Blobs::SendParts(const std::string& key, const std::string& upload,
                                       ReadingFile& file, uint64_t bytes, const Sha256& digest) {
  const uint64_t part_bytes = std::max(limits_.part_bytes, (bytes + kPartsMax - 1) / kPartsMax);
  if (part_bytes > kBlobInMemoryMax)
    return InvalidArgument("{}: {} bytes are more than {} parts can hold", key, bytes, kPartsMax);
  std::string list = "<CompleteMultipartUpload>";
  Digest sent;
  Bytes part;
  uint64_t done = 0;
  for (int number = 1; done < bytes; ++number) {
    part.resize(std::min(part_bytes, bytes - done));
    TRY(file.ReadExactly(part));
    sent.Add(part);
    const S3Request request{.method = "PUT",
                            .path = {},
                            .query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}},
                            .headers = {}};
    ASSIGN_OR_RETURN(const S3Answer answer, client_.Call(key, request, part));
    const std::string tag = HeaderOr(answer, "etag");
    if (tag.empty() || tag.find_first_of("<>&") != std::string::npos)
      return DataLoss("{}: part {} was stored without a usable ETag", key, number);
    list += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", number, tag);
    done += part.size();
  }
  if (sent.Finish() != digest) return ChangedMeanwhile(file.path());
  return list + "</CompleteMultipartUpload>";
}

Result<Bytes> S3Blobs::Get(const std::string& key, uint64_t offset, uint64_t bytes) {
  TRY(CheckBlobKey(key));
  if (bytes == 0 || bytes > kBlobInMemoryMax)
    return InvalidArgument("{}: a range of {} bytes; 1 to {} can be read", key, bytes,
                           kBlobInMemoryMax);
  S3Request request{.method = "GET", .path = {}, .query = {}, .headers = {}};
  request.headers["range"] = fmt::format("bytes={}-{}", offset, offset + bytes - 1);
  for (int retry = 0;; ++retry) {
    Bytes content;
    bool again = false;
    const auto answer = client_.CallOnce(
        key, request, {},
        [&](ByteView piece) -> Status {
          if (content.size() + piece.size() > bytes)
            return DataLoss("{}: the server sends more than the range", key);
          content.insert(content.end(), piece.begin(), piece.end());
          return {};
        },
        &again);
    if (answer && answer->status != 206 && offset > 0)
      return Unimplemented("{}: the server does not serve ranges", key);
    if (answer && (offset == 0 || !content.empty())) return content;
    // Behind the end some servers answer 416, others nothing.
    if (answer || answer.error().message.find("answered 416") != std::string::npos) {
      // An empty content has no range at all.
      ASSIGN_OR_RETURN(const BlobInfo info, Head(key));
      if (offset == 0 && info.bytes == 0) return Bytes();
      return InvalidArgument("{}: offset {} is behind its {} bytes", key, offset, info.bytes);
    }
    if (!again || retry + 1 == S3Client::kTries) return std::unexpected(answer.error());
    TRY(client_.WaitBefore(retry));
  }
}

Status S3Blobs::GetFile(const std::string& key, const std::string& path) {
  TRY(CheckBlobKey(key));
  ASSIGN_OR_RETURN(WritingFile file, WritingFile::Create(path));
  Digest digest;
  uint64_t got = 0;
  std::string tag, expected;
  for (int retry = 0;; ++retry) {
    S3Request request{.method = "GET", .path = {}, .query = {}, .headers = {}};
    if (got > 0) {
      request.headers["range"] = fmt::format("bytes={}-", got);
      request.headers["if-match"] = tag;
    }
    const uint64_t before = got;
    bool again = false;
    const auto answer = client_.CallOnce(
        key, request, {},
        [&](ByteView piece) -> Status {
          TRY(file.Write(piece));
          digest.Add(piece);
          got += piece.size();
          return {};
        },
        &again);
    if (answer && before > 0 && answer->status != 206)
      return DataLoss("{}: the server began again instead of going on", key);
    if (answer) {
      expected = HeaderOr(*answer, kDigestHeader);
      break;
    }
    if (!again || retry + 1 == S3Client::kTries) return std::unexpected(answer.error());
    if (got > 0 && tag.empty()) {
      // The headers of the broken answer are gone; ask which content it was.
      const S3Request head{.method = "HEAD", .path = {}, .query = {}, .headers = {}};
      ASSIGN_OR_RETURN(const S3Answer about, client_.Call(key, head));
      tag = HeaderOr(about, "etag");
    }
    if (got > before) retry = 0;  // It moves.
    TRY(client_.WaitBefore(retry));
  }
  if (!expected.empty() && ToHex(digest.Finish()) != expected) {
    auto error = DataLoss("{}: its content differs from the digest stored with it", key);
    error.error().Fix("push it again from the node that has it");
    return error;
  }
  return file.Commit();
}

}  // namespace

std::unique_ptr<Blobs> MakeS3Blobs(S3Address address, S3Credentials credentials, S3Limits limits) {
  return std::make_unique<S3Blobs>(std::move(address), std::move(credentials), limits);
}

}  // namespace penstock::storage
