// Against a real S3 server when PENSTOCK_TEST_S3 names one (tests/cluster starts it and runs
// these); what a server does wrong comes from a scripted one.
#include "storage/s3_blobs.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

// Answers one request after the other with the given texts; "" closes the connection instead.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(listen(listener_, 8) == 0);
    CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { Serve(); });
  }
  ~ScriptedServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::string address() const { return fmt::format("s3://plant@127.0.0.1:{}?tls=off", port_); }
  std::vector<std::string> requests;  // First lines; read after the calls.

 private:
  void Serve() {
    for (const std::string& answer : answers_) {
      const int peer = accept(listener_, nullptr, nullptr);
      if (peer < 0) return;
      std::string request;
      char buffer[4096];
      size_t body = 0, head = std::string::npos;
      while (head == std::string::npos || request.size() < head + 4 + body) {
        const ssize_t got = read(peer, buffer, sizeof buffer);
        if (got <= 0) break;
        request.append(buffer, static_cast<size_t>(got));
        head = request.find("\r\n\r\n");
        if (const size_t at = request.find("Content-Length: "); at != std::string::npos)
          body = std::stoul(request.substr(at + 16));
      }
      requests.push_back(request.substr(0, request.find("\r\n")));
      if (!answer.empty()) (void)!write(peer, answer.data(), answer.size());
      close(peer);
    }
  }

  const std::vector<std::string> answers_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::jthread thread_;
};

std::string Answer(int status, std::string_view body, std::string_view headers = "") {
  return fmt::format("HTTP/1.1 {} x\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n{}", status,
                     body.size(), headers, body);
}

std::unique_ptr<Blobs> At(const std::string& address, S3Limits limits = {}) {
  return MakeS3Blobs(*ParseS3Address(address), {"key", "secret", ""}, limits);
}

TEST(S3BlobsTest, TriesAgainWhatABusyServerRefuses) {
  ScriptedServer server(
      {"", Answer(503, "<Error><Code>SlowDown</Code></Error>"), Answer(500, ""), Answer(200, "")});
  EXPECT_TRUE(At(server.address())->Put("a", AsBytes("content")));
  EXPECT_EQ(server.requests.size(), 4u);
}

TEST(S3BlobsTest, DoesNotRepeatWhatWillNotHelp) {
  ScriptedServer server(
      {Answer(403, "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>")});
  const auto put = At(server.address())->Put("a", AsBytes("content"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::kPermissionDenied);
  EXPECT_NE(put.error().message.find("SignatureDoesNotMatch"), std::string::npos);
}

TEST(S3BlobsTest, AbortsAnUploadThatFails) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "file", std::string(100, 'x')));
  const std::string begun =
      "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
  ScriptedServer server({Answer(200, begun), Answer(200, "", "ETag: \"1\"\r\n"),
                         Answer(400, "<Error><Code>EntityTooSmall</Code></Error>"),
                         Answer(204, "")});
  const auto put = At(server.address(), {.single_put_max = 10, .part_bytes = 60})
                       ->PutFile("big", folder / "file", nullptr);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::kInvalidArgument);
  ASSERT_EQ(server.requests.size(), 4u);
  EXPECT_TRUE(server.requests[3].starts_with("DELETE /plant/big?uploadId=u1"));
}

TEST(S3BlobsTest, GoesOnWhereATransferBroke) {
  const TemporaryFolder folder;
  const std::string digest = ToHex(Sha256Of(AsBytes("0123456789")));
  const std::string headers = fmt::format("ETag: \"e\"\r\nx-amz-meta-sha256: {}\r\n", digest);
  ScriptedServer server(
      {fmt::format("HTTP/1.1 200 x\r\nContent-Length: 10\r\n{}\r\n0123", headers),
       fmt::format("HTTP/1.1 200 x\r\nConnection: close\r\nContent-Length: 10\r\n{}\r\n", headers),
       Answer(206, "456789", headers)});
  const auto got = At(server.address())->GetFile("a", folder / "a");
  ASSERT_TRUE(got) << got.error().ToString();
  EXPECT_EQ(*ReadFile(folder / "a"), "0123456789");
}

TEST(S3BlobsTest, NoticesAnotherContentThanWasStored) {
  const TemporaryFolder folder;
  ScriptedServer server(
      {Answer(200, "other", fmt::format("x-amz-meta-sha256: {}\r\n", std::string(64, '0')))});
  const auto got = At(server.address())->GetFile("a", folder / "a");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kDataLoss);
  EXPECT_NE(access((folder / "a").c_str(), F_OK), 0);
}

TEST(S3BlobsTest, UnderstandsAddresses) {
  const auto full = ParseS3Address("s3://plant/cologne/a@s3.example:9000?region=eu-1&ca=/c.pem");
  ASSERT_TRUE(full) << full.error().ToString();
  EXPECT_EQ(full->bucket, "plant");
  EXPECT_EQ(full->prefix, "cologne/a/");
  EXPECT_EQ(full->host, "s3.example:9000");
  EXPECT_EQ(full->region, "eu-1");
  EXPECT_TRUE(full->tls);
  for (const char* text :
       {"", "s3://plant", "s3://@host", "s3://PLANT@host", "s3://plant/../x@host",
        "s3://plant@host?tls=off", "s3://plant@127.0.0.1?what=1", "s3://plant@host/x"})
    EXPECT_FALSE(ParseS3Address(text)) << text;
}

// The same story for both kinds of store.
void KeepsBlobs(Blobs& blobs, const std::string& prefix) {
  const TemporaryFolder folder;
  const std::string key = prefix + "a%20b/c=1/file.parquet";
  Bytes content(40'000'000);  // Three parts, the last one short.
  Random random(1);
  for (size_t i = 0; i + 8 <= content.size(); i += 8) {
    const uint64_t word = random.Next();
    std::memcpy(content.data() + i, &word, 8);
  }
  ASSERT_TRUE(WriteFileAtomically(folder / "in", AsText(content)));
  Sha256 digest{};
  const auto put = blobs.PutFile(key, folder / "in", &digest);
  ASSERT_TRUE(put) << put.error().ToString();
  EXPECT_EQ(digest, Sha256Of(content));
  EXPECT_EQ(blobs.Head(key)->bytes, content.size());
  const auto range = blobs.Get(key, 8'388'600, 16);
  ASSERT_TRUE(range) << range.error().ToString();
  EXPECT_EQ(*range, Bytes(content.begin() + 8'388'600, content.begin() + 8'388'616));
  const auto got = blobs.GetFile(key, folder / "out/file");
  ASSERT_TRUE(got) << got.error().ToString();
  EXPECT_EQ(AsText(content), *ReadFile(folder / "out/file"));

  ASSERT_TRUE(blobs.Put(prefix + "small", AsBytes("one")));
  ASSERT_TRUE(blobs.Put(prefix + "small", AsBytes("second")));
  EXPECT_EQ(AsText(*blobs.Get(prefix + "small", 0, 100)), "second");
  EXPECT_EQ(AsText(*blobs.Get(prefix + "small", 4, 100)), "nd");
  EXPECT_EQ(blobs.Get(prefix + "small", 6, 1).error().code, Code::kInvalidArgument);
  ASSERT_TRUE(blobs.Put(prefix + "nothing", {}));
  const auto nothing = blobs.Get(prefix + "nothing", 0, 10);
  ASSERT_TRUE(nothing) << nothing.error().ToString();
  EXPECT_TRUE(nothing->empty());

  const auto page = blobs.List(prefix, "");
  ASSERT_TRUE(page) << page.error().ToString();
  ASSERT_EQ(page->items.size(), 3u);
  EXPECT_EQ(page->items[0].key, key);
  EXPECT_EQ(page->items[0].bytes, content.size());
  EXPECT_EQ(page->items[2].key, prefix + "small");
  EXPECT_EQ(blobs.List(prefix, prefix + "nothing")->items.size(), 1u);

  EXPECT_TRUE(blobs.Delete(prefix + "small"));
  EXPECT_TRUE(blobs.Delete(prefix + "small"));
  EXPECT_EQ(blobs.Head(prefix + "small").error().code, Code::kNotFound);
  EXPECT_EQ(blobs.Get(prefix + "small", 0, 1).error().code, Code::kNotFound);
  EXPECT_FALSE(blobs.GetFile(prefix + "small", folder / "no"));
  EXPECT_EQ(blobs.PutFile(prefix + "x", folder / "missing", nullptr).error().code, Code::kNotFound);
  EXPECT_EQ(blobs.Put("../x", {}).error().code, Code::kInvalidArgument);
  blobs.Stop();
  EXPECT_EQ(blobs.Head(key).error().code, Code::kCancelled);
}

TEST(BlobsTest, AFolderKeepsThem) {
  const TemporaryFolder folder;
  KeepsBlobs(**Blobs::Open("file:" + (folder / "store")), "p/");
}

TEST(BlobsTest, ARealServerKeepsThem) {
  const char* const address = std::getenv("PENSTOCK_TEST_S3");
  if (address == nullptr) GTEST_SKIP() << "tests/cluster runs it with a real server";
  const auto blobs = Blobs::Open(address);
  ASSERT_TRUE(blobs) << blobs.error().ToString();
  KeepsBlobs(**blobs, fmt::format("p{}/", getpid()));
}

TEST(BlobsTest, ARealServerRefusesAWrongSecret) {
  const char* const address = std::getenv("PENSTOCK_TEST_S3");
  if (address == nullptr) GTEST_SKIP() << "tests/cluster runs it with a real server";
  const auto blobs =
      MakeS3Blobs(*ParseS3Address(address), {std::getenv("AWS_ACCESS_KEY_ID"), "wrong", ""});
  EXPECT_EQ(blobs->Put("a", AsBytes("b")).error().code, Code::kPermissionDenied);
}

TEST(BlobsTest, OpensOnlyWhatItKnows) {
  for (const char* address : {"", "plant", "http://host/x", "file:relative"})
    EXPECT_FALSE(Blobs::Open(address)) << address;
}

}  // namespace
}  // namespace penstock::storage
