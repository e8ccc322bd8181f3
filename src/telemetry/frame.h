// A frame is a batch that explains itself: its points by path, where its rows come from, columns,
// zstd, a checksum. It is what an edge sends to its hub and what POST /api/v1/frames takes. Format:
// docs/formats/frame.md.
//
// Thread rule: an encoder or decoder belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "telemetry/sample.h"

namespace penstock::telemetry {

inline constexpr size_t kFrameRowsMax = 1 << 18;   // What one record of the log can hold.
inline constexpr size_t kFramePathBytesMax = 160;  // "thing/property", 64 + 1 + 64 and some.
inline constexpr size_t kFrameEdgeBytesMax = 24;
inline constexpr size_t kFrameHeaderBytes = 48;
inline constexpr size_t kFrameTextBytesMax = 1 << 20;  // Of its texts, each counted once.

class Texts;

struct Frame {
  std::string edge;    // Who measured; "" when the sender has no sequence of its own.
  uint64_t epoch = 0;  // Of the edge's data folder.
  uint64_t first = 0;  // The edge's sequence of row 0; row i has first + i.
  std::vector<std::string_view> paths;  // Into the decoder, until its next call.
  Batch batch;                          // point[i].value is an index into `paths`.
  // Texts of rows, each once, with their first row; into the decoder, too. The rows have the codes
  // that TextCode makes of them, and are listed in `text_rows`, rising.
  std::vector<std::pair<std::string_view, uint32_t>> texts;
  std::vector<uint32_t> text_rows;
};

class FrameEncoder {
 public:
  FrameEncoder();
  ~FrameEncoder();

  // Where codes of texts are looked up; none: they are sent as the numbers they are. The frame's
  // texts have together at most `bytes_max`.
  void TakeTexts(const Texts* texts, size_t bytes_max = kFrameTextBytesMax);
  // Appends a frame of rows [begin, end) of `batch`, at most kFrameRowsMax, or of as many as their
  // texts allow, one at least; returns where it ends. `paths` by point id; a point without one is
  // called "unknown/point-ID".
  size_t Encode(const Batch& batch, size_t begin, size_t end, const std::vector<std::string>& paths,
                const Batch::Origin& origin, Bytes& out);

 private:
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

class FrameDecoder {
 public:
  FrameDecoder();
  ~FrameDecoder();

  // The frame that `bytes` begin with; returns how many bytes it has. kInvalidArgument says what is
  // wrong where; kOutOfRange for more rows than `rows_max` or kFrameRowsMax. Every length is
  // compared with a bound before anything is allocated for it: a frame costs its receiver at most
  // 64 bytes a row besides its points.
  Result<size_t> Decode(ByteView bytes, Frame& frame, size_t rows_max = kFrameRowsMax);

 private:
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

// The whole length of the frame that `bytes` begin with, from its header alone; 0 when there are
// too few bytes to say. kInvalidArgument when it is no frame.
Result<size_t> FrameLength(ByteView bytes);

}  // namespace penstock::telemetry
