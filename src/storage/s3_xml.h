// The few XML documents that an S3 server answers with. Bounded: a document over 8 MiB, nested
// deeper than 16 or not well-formed is kDataLoss with the place.
#pragma once

#include <string>
#include <string_view>

#include "storage/blobs.h"

namespace penstock::storage {

struct S3ErrorAnswer {
  std::string code, message;  // "NoSuchKey", "The specified key does not exist."
};

// ListBucketResult of ListObjectsV2; `next` is the last key when the answer was cut short.
Result<BlobPage> ParseS3List(std::string_view xml);
Result<std::string> ParseS3UploadId(std::string_view xml);  // InitiateMultipartUploadResult
// Error; empty fields when the text is something else (a proxy's page, nothing).
S3ErrorAnswer ParseS3Error(std::string_view xml);

}  // namespace penstock::storage
