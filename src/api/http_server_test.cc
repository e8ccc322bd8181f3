// The server over a real socket, with a client that can also misbehave.
#include "api/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "api/event_hub.h"

namespace penstock::api {
namespace {

class Client {
 public:
  explicit Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval patience{5, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  void Send(const std::string& text) {
    EXPECT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Reads until `end` came or the server closed.
  std::string ReadUntil(const std::string& end) {
    char buffer[4096];
    while (text_.find(end) == std::string::npos) {
      const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      text_.append(buffer, static_cast<size_t>(got));
    }
    return std::exchange(text_, "");
  }

 private:
  int fd_;
  std::string text_;
};

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    HttpServerOptions options;
    options.listen = {"127.0.0.1", 0};
    options.body_bytes_max = 1000;
    options.bodies_bytes_max = 1500;
    options.body_wait = std::chrono::milliseconds(30);
    server_ =
        std::move(HttpServer::Start(options, [this](Request request, const Responder& respond) {
                    if (request.path == "/events") {
                      Response response;
                      response.events = hub_.Subscribe({}, 0).value();
                      return respond(std::move(response));
                    }
                    respond(JsonResponse({{"method", request.method},
                                          {"path", request.path},
                                          {"q", request.Query("q")},
                                          {"size", request.body.size()}}));
                  }).value());
  }
  EventHub hub_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersSeveralRequestsOnOneConnection) {
  Client client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("POST /a%20b?q=x%26y HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    const std::string answer = client.ReadUntil("}");
    EXPECT_NE(answer.find("200 OK"), std::string::npos);
    EXPECT_NE(answer.find("Content-Security-Policy: default-src 'self'"), std::string::npos);
    EXPECT_NE(answer.find(R"("path":"/a b","q":"x&y","size":3)"), std::string::npos) << answer;
  }
}

TEST_F(HttpServerTest, RefusesABodyBeyondTheLimitBeforeReadingIt) {
  Client client(server_->port());
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 268435456\r\n\r\n");
  EXPECT_NE(client.ReadUntil("}").find("413 "), std::string::npos);
}

TEST_F(HttpServerTest, RefusesBodiesThatTogetherAreTooMuch) {
  Client slow(server_->port());
  slow.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nbegun");
  // A request that is answered after `slow` was read proves that its claim stands.
  std::string answer;
  for (int i = 0; i < 200 && answer.find("429") == std::string::npos; ++i) {
    Client next(server_->port());
    next.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 700\r\n\r\n" + std::string(700, 'x'));
    answer = next.ReadUntil("}");
  }
  EXPECT_NE(answer.find("429"), std::string::npos) << answer;
  slow.Send(std::string(895, 'y'));
  EXPECT_NE(slow.ReadUntil("}").find("\"size\":900"), std::string::npos);
}

// The sender feels a full queue: while a handler holds what came before, the next body stays in its
// socket, and is taken when there is room.
TEST(HttpBackPressureTest, ABodyWaitsInItsSocketForRoom) {
  HttpServerOptions options;
  options.listen = {"127.0.0.1", 0};
  options.bodies_bytes_max = 1500;
  std::mutex mutex;
  std::vector<std::pair<size_t, Responder>> held;
  std::condition_variable came;
  auto server =
      std::move(HttpServer::Start(options, [&](Request request, const Responder& respond) {
                  const std::lock_guard lock(mutex);
                  held.emplace_back(request.body.size(), respond);
                  came.notify_all();
                }).value());
  const auto wait_for = [&](size_t count) {
    std::unique_lock lock(mutex);
    return came.wait_for(lock, std::chrono::seconds(4), [&] { return held.size() >= count; });
  };
  Client first(server->port()), second(server->port());
  first.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n" + std::string(900, 'a'));
  ASSERT_TRUE(wait_for(1));
  second.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 800\r\n\r\n" + std::string(800, 'b'));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(held.size(), 1U);
    held[0].second(JsonResponse({{"size", held[0].first}}));
  }
  EXPECT_NE(first.ReadUntil("}").find("\"size\":900"), std::string::npos);
  ASSERT_TRUE(wait_for(2));
  held[1].second(JsonResponse({{"size", held[1].first}}));
  EXPECT_NE(second.ReadUntil("}").find("\"size\":800"), std::string::npos);
  server->Stop();
}

TEST_F(HttpServerTest, AnswersGarbageAndGoesOn) {
  Client bad(server_->port());
  bad.Send("\x16\x03\x01 what is this\r\n\r\n");
  EXPECT_NE(bad.ReadUntil("}").find("400"), std::string::npos);
  Client good(server_->port());
  good.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(good.ReadUntil("}").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, StreamsEventsWithIds) {
  Client client(server_->port());
  client.Send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.ReadUntil("retry: 2000").find("text/event-stream"), std::string::npos);
  hub_.Publish("alarm", {{"id", "A-1"}});
  EXPECT_NE(client.ReadUntil("A-1").find("id: 1\nevent: alarm\ndata: "), std::string::npos);
}

TEST_F(HttpServerTest, APortInUseIsSaidWithAFix) {
  HttpServerOptions options;
  options.listen = {"127.0.0.1", server_->port()};
  const auto second = HttpServer::Start(options, [](Request, const Responder&) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kAlreadyExists);
  EXPECT_NE(second.error().fix.find("another port"), std::string::npos);
}

TEST(EventHubTest, GivesBackWhatAClientMissed) {
  EventHub hub;
  hub.Publish("alarm", 1);
  hub.Publish("values", 2, false);
  hub.Publish("alarm", 3);
  const auto client = hub.Subscribe({"alarm"}, 1).value();
  const std::string text = client->Take();
  EXPECT_EQ(text.find("data: 1"), std::string::npos);
  EXPECT_EQ(text.find("data: 2"), std::string::npos);
  EXPECT_NE(text.find("id: 3\nevent: alarm\ndata: 3"), std::string::npos);
}

TEST(EventHubTest, DropsASlowClientInsteadOfGrowing) {
  EventHub hub;
  const auto client = hub.Subscribe({}, 0).value();
  for (size_t i = 0; i < kClientQueue + 5; ++i) hub.Publish("alarm", i);
  EXPECT_TRUE(client->dropped());
}

}  // namespace
}  // namespace penstock::api
