#include "api/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace penstock::api {
namespace {

constexpr size_t kStep = 64 << 10;

// An inflater of gzip members only; let go with its scope.
struct Inflater {
  z_stream stream{};
  bool open = inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK;
  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() {
    if (open) inflateEnd(&stream);
  }
};

}  // namespace

Result<std::string> Gunzip(std::string_view gzip, size_t bytes_max) {
  Inflater inflater;
  if (!inflater.open) return ResourceExhausted("no memory to inflate a gzip body");
  z_stream& stream = inflater.stream;
  if (gzip.size() > std::numeric_limits<unsigned>::max())
    return OutOfRange("gzip body of {} bytes", gzip.size());
  // zlib's signature has no const; it only reads there.
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(gzip.data()));
  stream.avail_in = static_cast<unsigned>(gzip.size());
  std::string out;
  while (true) {
    const size_t size = out.size();
    // One byte of room beyond the bound tells "just fits" from "more".
    const size_t room = std::min(kStep, bytes_max + 1 - size);
    out.resize(size + room);
    stream.next_out = reinterpret_cast<unsigned char*>(out.data() + size);
    stream.avail_out = static_cast<unsigned>(room);
    const int state = inflate(&stream, Z_NO_FLUSH);
    out.resize(size + room - stream.avail_out);
    if (out.size() > bytes_max)
      return OutOfRange("gzip body inflates to more than {} bytes", bytes_max);
    if (state == Z_STREAM_END) {
      if (stream.avail_in == 0) return out;
      if (inflateReset(&stream) != Z_OK) return Internal("cannot go on to the next gzip member");
      continue;
    }
    if (state == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0)) continue;
    const size_t at = gzip.size() - stream.avail_in;
    if (state == Z_OK || state == Z_BUF_ERROR)
      return InvalidArgument("gzip body is torn: it ends at byte {} within a member", at);
    return InvalidArgument("gzip body is damaged at byte {}: {}", at,
                           stream.msg != nullptr ? stream.msg : "no gzip");
  }
}

}  // namespace penstock::api
