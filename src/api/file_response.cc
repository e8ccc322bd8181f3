#include "api/file_response.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace penstock::api {
namespace {

constexpr size_t kBlock = 256 << 10;

class FileStream final : public BodyStream {
 public:
  FileStream(int fd, uint64_t at, uint64_t left, std::shared_ptr<const void> keep)
      : fd_(fd), at_(at), left_(left), keep_(std::move(keep)) {}
  ~FileStream() override { close(fd_); }
  FileStream(const FileStream&) = delete;
  FileStream& operator=(const FileStream&) = delete;

  Result<std::string> Next() override {
    std::string block(std::min<uint64_t>(left_, kBlock), '\0');
    if (block.empty()) return block;
    const ssize_t count = pread(fd_, block.data(), block.size(), static_cast<off_t>(at_));
    if (count < 0) return FromErrno(errno, "cannot read the file");
    if (count == 0) return DataLoss("the file became shorter while it was sent");
    block.resize(static_cast<size_t>(count));
    at_ += block.size();
    left_ -= block.size();
    return block;
  }

 private:
  const int fd_;
  uint64_t at_, left_;
  const std::shared_ptr<const void> keep_;
};

bool TakeNumber(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<std::optional<ByteRange>> ParseByteRange(std::string_view header, uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  const std::optional<ByteRange> whole;
  if (!header.starts_with(kUnit)) return whole;
  const std::string_view set = Trim(header.substr(kUnit.size()));
  const size_t dash = set.find('-');
  if (dash == set.npos || set.find(',') != set.npos) return whole;
  const std::string_view begin = Trim(set.substr(0, dash)), end = Trim(set.substr(dash + 1));
  ByteRange range;
  const auto outside = [&] {
    return OutOfRange("no byte of {} is in the range {}", size, set.substr(0, 60));
  };
  if (begin.empty()) {
    uint64_t count = 0;
    if (!TakeNumber(end, count)) return whole;
    if (count == 0 || size == 0) return outside();
    range = {size - std::min(count, size), size - 1};
    return std::optional(range);
  }
  range.last = UINT64_MAX;
  if (!TakeNumber(begin, range.first) || (!end.empty() && !TakeNumber(end, range.last)) ||
      range.first > range.last)
    return whole;
  if (range.first >= size) return outside();
  range.last = std::min(range.last, size - 1);
  return std::optional(range);
}

bool MatchesEtag(std::string_view header, std::string_view etag, bool weak) {
  while (!header.empty()) {
    const size_t comma = header.find(',');
    std::string_view one = Trim(header.substr(0, comma));
    header = comma == header.npos ? std::string_view() : header.substr(comma + 1);
    if (one == "*") return true;
    if (one.starts_with("W/")) {
      if (!weak) continue;
      one.remove_prefix(2);
    }
    if (one.size() == etag.size() + 2 && one.front() == '"' && one.back() == '"' &&
        one.substr(1, etag.size()) == etag)
      return true;
  }
  return false;
}

Result<Response> FileResponse(const Request& request, const FileAnswer& file) {
  const int fd = open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, "the file cannot be opened");
  struct stat info {};
  const bool known = fstat(fd, &info) == 0;
  const uint64_t size = known ? static_cast<uint64_t>(info.st_size) : 0;
  auto stream = [&](uint64_t at, uint64_t count) {
    return std::make_shared<FileStream>(fd, at, count, file.keep);
  };
  Response response;
  response.content_type = file.content_type;
  response.headers = {{"ETag", "\"" + file.etag + "\""},
                      {"Accept-Ranges", "bytes"},
                      {"Cache-Control", "private, no-cache"},
                      {"Vary", "Authorization, Cookie, Accept"}};
  if (!file.name.empty())
    response.headers.emplace_back("Content-Disposition",
                                  "attachment; filename=\"" + file.name + "\"");
  if (const std::string none = request.Header("if-none-match");
      !none.empty() && MatchesEtag(none, file.etag, true)) {
    close(fd);
    response.status = 304;
    return response;
  }
  // A range of a file that is another by now would not fit to what the client has.
  const std::string if_range = request.Header("if-range");
  const bool same = if_range.empty() || MatchesEtag(if_range, file.etag, false);
  const auto range = ParseByteRange(same ? request.Header("range") : "", size);
  if (!range) {
    close(fd);
    Response refusal = ProblemAs(416, range.error());
    refusal.headers.emplace_back("Content-Range", fmt::format("bytes */{}", size));
    return refusal;
  }
  ByteRange part{0, size - 1};
  if (*range) {
    part = **range;
    response.status = 206;
    response.headers.emplace_back("Content-Range",
                                  fmt::format("bytes {}-{}/{}", part.first, part.last, size));
  }
  response.length = size == 0 ? 0 : part.last - part.first + 1;
  response.stream = stream(part.first, *response.length);
  return response;
}

}  // namespace penstock::api
