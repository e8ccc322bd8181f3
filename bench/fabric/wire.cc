#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace penstock::bench {

void Die(const std::string& message) {
  std::fprintf(stderr, "fabric_load: %s\n", message.c_str());
  std::exit(1);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return NAN;
  const size_t at =
      std::min(values.size() - 1, static_cast<size_t>(q * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at), values.end());
  return values[at];
}

Connection::Connection(int port) : buffer_(256 << 10) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    Die("cannot connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Connection::~Connection() { close(fd_); }

void Connection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) Die(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

std::string_view Connection::Receive() {
  while (true) {
    const ssize_t got = recv(fd_, buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) Die(std::string("receive: ") + std::strerror(errno));
    return {buffer_.data(), static_cast<size_t>(got)};
  }
}

void HttpClient::More() {
  if (at_ == pending_.size()) pending_.clear(), at_ = 0;
  const std::string_view got = connection_.Receive();
  if (got.empty()) Die("the server closed the connection in the middle of an answer");
  pending_ += got;
}

std::string HttpClient::TakeLine() {
  while (true) {
    const size_t end = pending_.find("\r\n", at_);
    if (end != std::string::npos) {
      std::string line = pending_.substr(at_, end - at_);
      at_ = end + 2;
      return line;
    }
    More();
  }
}

void HttpClient::TakeBody(size_t length, std::string& into) {
  while (length > 0) {
    if (at_ == pending_.size()) More();
    const size_t some = std::min(length, pending_.size() - at_);
    into.append(pending_, at_, some);
    at_ += some;
    length -= some;
  }
}

HttpAnswer HttpClient::Ask(std::string_view method, std::string_view target,
                           std::string_view body) {
  request_.assign(method).append(" ").append(target);
  request_ += " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers_;
  if (!body.empty()) request_ += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  request_ += "\r\n";
  request_ += body;
  connection_.Send(request_);

  HttpAnswer answer;
  const std::string first = TakeLine();
  if (first.size() < 12) Die("not HTTP: " + first);
  answer.status = std::atoi(first.c_str() + 9);
  size_t length = 0;
  bool chunked = false;
  while (true) {
    std::string line = TakeLine();
    if (line.empty()) break;
    std::transform(line.begin(), line.end(), line.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (line.starts_with("content-length:")) length = std::strtoul(line.c_str() + 15, nullptr, 10);
    if (line.starts_with("transfer-encoding:") && line.find("chunked") != std::string::npos)
      chunked = true;
  }
  if (!chunked) {
    TakeBody(length, answer.body);
    return answer;
  }
  while (true) {
    const size_t size = std::strtoul(TakeLine().c_str(), nullptr, 16);
    TakeBody(size, answer.body);
    TakeLine();
    if (size == 0) return answer;
  }
}

}  // namespace penstock::bench
