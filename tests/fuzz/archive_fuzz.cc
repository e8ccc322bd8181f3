// What an S3 server answers and what an archive's manifest says: refused or understood, never more.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "storage/blobs_archive.h"
#include "storage/postgres_sql.h"
#include "storage/s3_xml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock::storage;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ParseS3List(text);
  (void)ParseS3UploadId(text);
  (void)ParseS3Error(text);
  if (const auto manifest = ParseArchiveManifest(text))
    CHECK(ParseArchiveManifest(FormatArchiveManifest(*manifest)).has_value());
  (void)SplitStatements(text);
  (void)ToStorableText(text);
  return 0;
}
