// Frames of strangers. The checksum is put right first, so that mutations reach what is behind it;
// what decodes must encode and decode to the same again.
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include <unistd.h>

#include "base/check.h"
#include "telemetry/frame.h"
#include "telemetry/texts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  using namespace penstock::telemetry;
  static FrameDecoder* const decoder = new FrameDecoder;
  static FrameEncoder* const encoder = new FrameEncoder;
  Bytes bytes(data, data + size);
  if (const auto length = FrameLength(bytes); length && *length >= 12 && *length <= size) {
    const uint32_t crc = Crc32c(ByteView(bytes).subspan(12, *length - 12));
    std::memcpy(bytes.data() + 8, &crc, sizeof crc);
  }
  Frame frame;
  if (!decoder->Decode(bytes, frame)) return 0;
  std::vector<std::string> paths(frame.paths.begin(), frame.paths.end());
  const Batch batch = frame.batch;
  // Texts live in a table of the test's own; it is small, so that its bounds are met.
  static Texts* const texts = [] {
    return Texts::Open(fmt::format("/tmp/penstock-frame-fuzz-{}", getpid()),
                       {.texts = 1000, .bytes = 1 << 16})
        .value()
        .release();
  }();
  bool all_kept = true;
  for (const auto& [text, row] : frame.texts)
    all_kept = texts->Intern(batch.point[row], text).has_value() && all_kept;
  for (const uint32_t row : frame.text_rows) CHECK(MayBeText(batch.value[row]));
  const auto text_rows = frame.text_rows;
  encoder->TakeTexts(all_kept ? texts : nullptr);
  Bytes again;
  encoder->Encode(batch, 0, batch.size(), paths, {frame.edge, frame.epoch, frame.first}, again);
  Frame second;
  const auto decoded = decoder->Decode(again, second);
  CHECK(decoded && *decoded == again.size() && second.batch.size() == batch.size());
  if (all_kept && !text_rows.empty()) CHECK(second.text_rows.size() >= text_rows.size());
  CHECK(second.edge == frame.edge && second.epoch == frame.epoch && second.first == frame.first);
  CHECK(second.batch.source_time == batch.source_time && second.batch.quality == batch.quality);
  CHECK(second.batch.ingest_time == batch.ingest_time);
  for (size_t i = 0; i < batch.size(); ++i) {
    CHECK(second.paths[second.batch.point[i].value] == paths[batch.point[i].value]);
    CHECK(std::bit_cast<uint64_t>(second.batch.value[i]) ==
          std::bit_cast<uint64_t>(batch.value[i]));
  }
  return 0;
}
