// Blobs in S3-compatible storage.
#pragma once

#include "storage/blobs.h"
#include "storage/s3_client.h"

namespace penstock::storage {

struct S3Limits {
  uint64_t single_put_max = 16 << 20;  // Larger files go up in parts.
  uint64_t part_bytes = 8 << 20;       // S3 wants at least 5 MiB for all but the last.
};

std::unique_ptr<Blobs> MakeS3Blobs(S3Address address, S3Credentials credentials,
                                   S3Limits limits = {});

}  // namespace penstock::storage
