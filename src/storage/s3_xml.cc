// Elements and text are all there is in these answers; attributes, comments and declarations are
// skipped, a document type is refused (it could define entities that grow).
#include "storage/s3_xml.h"

#include <charconv>
#include <functional>
#include <vector>

#include "storage/whole_number.h"

namespace penstock::storage {
namespace {

constexpr size_t kBytesMax = 8 << 20;
constexpr size_t kDepthMax = 16;
constexpr size_t kTextMax = 4096;

Result<std::string> Unescape(std::string_view text) {
  constexpr std::pair<std::string_view, char> kNames[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  std::string plain;
  while (!text.empty()) {
    const size_t at = std::min(text.find('&'), text.size());
    plain += text.substr(0, at);
    text.remove_prefix(at);
    if (text.empty()) break;
    const size_t end = text.substr(0, 12).find(';');
    if (end == std::string_view::npos) return DataLoss("an entity without end");
    std::string_view name = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    if (name.starts_with('#')) {
      name.remove_prefix(1);
      const int base = name.starts_with('x') ? 16 : 10;
      if (base == 16) name.remove_prefix(1);
      unsigned code = 0;
      const auto read = std::from_chars(name.data(), name.data() + name.size(), code, base);
      if (read.ec != std::errc() || read.ptr != name.data() + name.size() || code > 127)
        return DataLoss("a character reference that no key has");
      plain += static_cast<char>(code);
      continue;
    }
    const auto* known = std::ranges::find(kNames, name, &std::pair<std::string_view, char>::first);
    if (known == std::end(kNames)) return DataLoss("an unknown entity");
    plain += known->second;
  }
  return plain;
}

// Calls `on_end` at the end of each element with its path ("/Error/Code") and its own text.
Status WalkXml(std::string_view xml,
               const std::function<Status(std::string_view path, std::string_view text)>& on_end) {
  if (xml.size() > kBytesMax) return DataLoss("answer larger than {} bytes", kBytesMax);
  std::string path;
  std::vector<size_t> starts;
  std::string text;
  size_t at = 0;
  const auto bad = [&](std::string_view what) { return DataLoss("{} at byte {}", what, at); };
  while (at < xml.size()) {
    if (xml[at] != '<') {
      const size_t end = std::min(xml.find('<', at), xml.size());
      if (text.size() + (end - at) > kTextMax) return bad("text too long");
      text += xml.substr(at, end - at);
      at = end;
      continue;
    }
    if (xml.substr(at).starts_with("<!DOCTYPE")) return bad("a document type");
    const bool comment = xml.substr(at).starts_with("<!--");
    const std::string_view closing = comment ? "-->" : ">";
    const size_t end = xml.find(closing, at);
    if (end == std::string_view::npos) return bad("a tag without end");
    const std::string_view tag = xml.substr(at + 1, end - at - 1);
    if (comment || tag.starts_with('?') || tag.starts_with('!')) {
      at = end + closing.size();
      continue;
    }
    const bool closes = tag.starts_with('/');
    const bool empty = tag.ends_with('/');
    const std::string_view name =
        tag.substr(closes ? 1 : 0).substr(0, tag.substr(closes ? 1 : 0).find_first_of(" \t\r\n/"));
    if (!closes) {
      if (name.empty() || name.size() > 100 || starts.size() == kDepthMax) return bad("a bad tag");
      starts.push_back(path.size());
      path += "/" + std::string(name);
      text.clear();
    }
    if (closes || empty) {
      if (starts.empty() || path.substr(starts.back() + 1) != name) return bad("a wrong end tag");
      auto plain = Unescape(text);
      if (!plain) return bad(plain.error().message);
      TRY(on_end(path, *plain));
      path.resize(starts.back());
      starts.pop_back();
      text.clear();
    }
    at = end + 1;
  }
  if (!starts.empty()) return bad("the end comes too early");
  return {};
}

}  // namespace

Result<BlobPage> ParseS3List(std::string_view xml) {
  BlobPage page;
  BlobInfo item;
  bool cut = false, listed = false;
  TRY(WalkXml(xml, [&](std::string_view path, std::string_view text) -> Status {
    if (path == "/ListBucketResult/IsTruncated") cut = text == "true";
    if (path == "/ListBucketResult") listed = true;
    if (path == "/ListBucketResult/Contents/Key") item.key = text;
    if (path == "/ListBucketResult/Contents/Size" && !TakeNumber(text, item.bytes))
      return DataLoss("a size that is no number: \"{}\"", text.substr(0, 40));
    if (path == "/ListBucketResult/Contents/LastModified") {
      ASSIGN_OR_RETURN(item.modified, ParseTime(text));
    }
    if (path == "/ListBucketResult/Contents") {
      if (item.key.empty()) return DataLoss("an item without a key");
      page.items.push_back(std::exchange(item, {}));
    }
    return {};
  }));
  if (!listed) return DataLoss("no list of a bucket");
  if (cut && page.items.empty()) return DataLoss("a list that is cut short before its first item");
  if (cut) page.next = page.items.back().key;
  return page;
}

Result<std::string> ParseS3UploadId(std::string_view xml) {
  std::string id;
  TRY(WalkXml(xml, [&](std::string_view path, std::string_view text) -> Status {
    if (path == "/InitiateMultipartUploadResult/UploadId") id = text;
    return {};
  }));
  if (id.empty()) return DataLoss("no upload id in the answer");
  return id;
}

S3ErrorAnswer ParseS3Error(std::string_view xml) {
  S3ErrorAnswer answer;
  const Status walked = WalkXml(xml, [&](std::string_view path, std::string_view text) -> Status {
    if (path == "/Error/Code") answer.code = text;
    if (path == "/Error/Message") answer.message = text;
    return {};
  });
  return walked ? answer : S3ErrorAnswer();
}

}  // namespace penstock::storage
