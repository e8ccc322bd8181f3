#include "base/http.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace penstock {
namespace {

// Reads what one client sends at first, and sends these bytes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 1), 0);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = fmt::format("http://127.0.0.1:{}/x", ntohs(address.sin_port));
    thread_ = std::jthread([this, answer = std::move(answer)] {
      const int client = accept(socket_, nullptr, nullptr);
      char request[4096];
      const ssize_t length = read(client, request, sizeof request);
      request_.assign(request, static_cast<size_t>(std::max<ssize_t>(length, 0)));
      (void)!write(client, answer.data(), answer.size());
      close(client);
    });
  }
  ~OneAnswer() {
    if (thread_.joinable()) thread_.join();
    close(socket_);
  }
  const std::string& url() const { return url_; }
  std::string Request() {
    thread_.join();
    return request_;
  }

 private:
  int socket_;
  std::string url_, request_;
  std::jthread thread_;
};

TEST(HttpTest, BringsTheAnswerWhateverItsStatus) {
  OneAnswer server("HTTP/1.1 409 Conflict\r\nContent-Length: 7\r\n\r\nalready");
  const auto answer = AskHttp({.method = "POST", .url = server.url(), .headers = {"X-Key: 7"}});
  ASSERT_TRUE(answer) << answer.error().ToString();
  EXPECT_EQ(answer->status, 409);
  EXPECT_EQ(answer->body, "already");
  const std::string request = server.Request();
  EXPECT_TRUE(request.starts_with("POST /x HTTP/1.1\r\n")) << request;
  EXPECT_NE(request.find("X-Key: 7\r\n"), std::string::npos);
  EXPECT_NE(request.find("Content-Length: 0\r\n"), std::string::npos);
}

TEST(HttpTest, AnAnswerThatIsTornOrTooLongIsNone) {
  OneAnswer torn("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nalready");
  EXPECT_EQ(AskHttp({.url = torn.url()}).error().code, Code::kUnavailable);
  OneAnswer endless("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nalready");
  EXPECT_EQ(AskHttp({.url = endless.url(), .answer_max = 6}).error().message,
            "an answer of more than 6 bytes");
}

TEST(HttpTest, NobodyThereIsToldAndOtherProtocolsAreNotSpoken) {
  EXPECT_EQ(AskHttp({.url = "http://127.0.0.1:9/"}).error().code, Code::kUnavailable);
  EXPECT_EQ(AskHttp({.url = "file:///etc/hostname"}).error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace penstock
