// A client's end of a TCP connection on loopback, and HTTP/1.1 over it, as plain as possible: the
// bench shares no code with what it measures. Errors end the program with a message; there is
// nobody to mend them.
//
// Thread rule: a connection belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

[[noreturn]] void Die(const std::string& message);
double Now();                                    // Steady seconds.
double Quantile(std::vector<double>, double q);  // NaN of nothing.

class Connection {
 public:
  explicit Connection(int port);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Send(std::string_view bytes);
  // At least one byte, up to the buffer's end; "" when the other side closed.
  std::string_view Receive();
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  std::vector<char> buffer_;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// Sends requests over one kept-alive connection.
class HttpClient {
 public:
  HttpClient(int port, std::string headers) : connection_(port), headers_(std::move(headers)) {}
  // `headers` of the constructor are whole lines with their ends: "Authorization: Bearer x\r\n".
  HttpAnswer Ask(std::string_view method, std::string_view target, std::string_view body = {});

 private:
  void More();  // Reads on into pending_.
  std::string TakeLine();
  void TakeBody(size_t length, std::string& into);

  Connection connection_;
  std::string headers_, request_, pending_;
  size_t at_ = 0;  // In pending_.
};

}  // namespace penstock::bench
