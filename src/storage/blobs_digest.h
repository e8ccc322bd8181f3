// A SHA-256 that grows with what it is given.
#pragma once

#include <memory>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/check.h"

namespace penstock::storage {

class Digest {
 public:
  Digest() { CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1); }
  void Add(ByteView bytes) {
    CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  Sha256 Finish() {
    Sha256 digest{};
    CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
    return digest;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

// The digest of a whole file, read in pieces.
Result<Sha256> Sha256OfFile(const std::string& path, uint64_t* bytes);

}  // namespace penstock::storage
