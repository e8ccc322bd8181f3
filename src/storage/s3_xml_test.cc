#include "storage/s3_xml.h"

#include <gtest/gtest.h>

namespace penstock::storage {
namespace {

constexpr std::string_view kList = R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>plant</Name><Prefix/>
<KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>
<Contents><Key>history/a&amp;b</Key><LastModified>2026-01-31T08:00:00.000Z</LastModified>
<ETag>&quot;9b&quot;</ETag><Size>5</Size></Contents>
<Contents><Key>manifest</Key><LastModified>2026-01-31T08:00:01Z</LastModified><Size>0</Size></Contents>
</ListBucketResult>)";

TEST(S3XmlTest, ReadsAList) {
  const auto page = ParseS3List(kList);
  ASSERT_TRUE(page) << page.error().ToString();
  ASSERT_EQ(page->items.size(), 2u);
  EXPECT_EQ(page->items[0].key, "history/a&b");
  EXPECT_EQ(page->items[0].bytes, 5u);
  EXPECT_EQ(FormatTime(page->items[0].modified), "2026-01-31T08:00:00.000000Z");
  EXPECT_EQ(page->next, "manifest");
}

TEST(S3XmlTest, RefusesWhatIsNoList) {
  for (const std::string_view text :
       {"", "<html>busy</html>", "<ListBucketResult>", "<ListBucketResult></Other>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>",
        "<ListBucketResult><Contents><Size>5</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key><Size>x</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>&#xFFFF;</Key></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"}) {
    const auto page = ParseS3List(text);
    ASSERT_FALSE(page) << text;
    EXPECT_EQ(page.error().code, Code::kDataLoss);
  }
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += "<a>";
  EXPECT_FALSE(ParseS3List(deep));
}

TEST(S3XmlTest, ReadsErrorsAndUploads) {
  const auto error = ParseS3Error("<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>");
  EXPECT_EQ(error.code, "NoSuchKey");
  EXPECT_EQ(error.message, "gone");
  EXPECT_EQ(ParseS3Error("502 Bad Gateway").code, "");
  EXPECT_EQ(*ParseS3UploadId("<InitiateMultipartUploadResult><UploadId>u-1</UploadId>"
                             "</InitiateMultipartUploadResult>"),
            "u-1");
  EXPECT_FALSE(ParseS3UploadId("<Error/>"));
}

}  // namespace
}  // namespace penstock::storage
