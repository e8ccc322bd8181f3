// A table of texts as a stranger, or a dying disk, left it: what is whole in it is kept and can be
// found, and the file is good afterwards. (In memory: the disk would be the slower part.)
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/file.h"
#include "base/wire.h"
#include "telemetry/texts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  using namespace penstock::telemetry;
  static const std::string file = fmt::format("/dev/shm/penstock-texts-fuzz-{}", getpid());
  Bytes bytes(data, data + size);
  // The first record's checksum is put right, so that mutations reach what is behind it. Records of
  // the first version have no day.
  const size_t head = size > 6 && bytes[6] == '1' ? 10 : 14;
  if (size >= 8 + head) {
    const size_t length = wire::Load<uint16_t>(bytes.data() + 8 + head - 2);
    if (8 + head + length <= size)
      wire::Store(bytes.data() + 8, Crc32c(ByteView(bytes).subspan(12, head - 4 + length)));
  }
  CHECK(WriteFileAtomically(file, AsText(bytes)));
  size_t kept = 0;
  {
    const auto texts = Texts::Open(file);
    CHECK(texts);
    kept = (*texts)->size();
    CHECK((*texts)->Intern(PointId{1}, "one more"));
    CHECK((*texts)->Sync());
    CHECK((*texts)->Tidy(20'000, 100, {}));
  }
  const auto again = Texts::Open(file);
  CHECK(again && (*again)->complete() && (*again)->size() >= kept);
  CHECK((*again)->Find(TextCode("one more")) == "one more");
  (void)unlink(file.c_str());
  (void)unlink((file + ".damaged").c_str());
  return 0;
}
