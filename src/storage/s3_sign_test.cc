#include "storage/s3_sign.h"

#include <gtest/gtest.h>

namespace penstock::storage {
namespace {

// Keys, times and signatures of "Signature Calculations for the Authorization Header", AWS S3 API
// Reference.
const S3Credentials kCredentials{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                 ""};
const Time kTime = *ParseTime("2013-05-24T00:00:00Z");

std::string SignatureOf(const S3Request& request) {
  const std::string& text = request.headers.at("authorization");
  return text.substr(text.rfind('=') + 1);
}

TEST(S3SignTest, ReadsARange) {
  S3Request request{
      .method = "GET",
      .path = "/test.txt",
      .query = {},
      .headers = {{"host", "examplebucket.s3.amazonaws.com"}, {"range", "bytes=0-9"}}};
  SignS3Request(request, {}, kCredentials, "us-east-1", kTime);
  EXPECT_EQ(SignatureOf(request),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(S3SignTest, PutsContentUnderAnEscapedKey) {
  S3Request request{.method = "PUT",
                    .path = "/test$file.text",
                    .query = {},
                    .headers = {{"host", "examplebucket.s3.amazonaws.com"},
                                {"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}};
  SignS3Request(request, AsBytes("Welcome to Amazon S3."), kCredentials, "us-east-1", kTime);
  EXPECT_EQ(SignatureOf(request),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(S3SignTest, ListsWithAQuery) {
  S3Request request{.method = "GET",
                    .path = "/",
                    .query = {{"max-keys", "2"}, {"prefix", "J"}},
                    .headers = {{"host", "examplebucket.s3.amazonaws.com"}}};
  SignS3Request(request, {}, kCredentials, "us-east-1", kTime);
  EXPECT_EQ(SignatureOf(request),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(S3SignTest, EmptyQueryValuesKeepTheirSign) {
  S3Request request{.method = "GET",
                    .path = "/",
                    .query = {{"lifecycle", ""}},
                    .headers = {{"host", "examplebucket.s3.amazonaws.com"}}};
  SignS3Request(request, {}, kCredentials, "us-east-1", kTime);
  EXPECT_EQ(SignatureOf(request),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

}  // namespace
}  // namespace penstock::storage
