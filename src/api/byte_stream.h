// The bytes of one accepted connection: plain at first, under TLS after StartTls.
//
// One class for both, with the library's templates behind it, so that what speaks HTTP over it is
// compiled once: a stream type as a template parameter made the server four times as slow to
// compile, under the sanitizers five minutes.
//
// Thread rule: the I/O thread alone; one read and one write at a time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "trust/tls.h"

namespace penstock::api {

class ByteStream {
 public:
  using ErrorCode = boost::system::error_code;

  explicit ByteStream(boost::asio::ip::tcp::socket socket);
  ~ByteStream();
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  // The peer's address without port; "" when it is gone already.
  std::string Address() const;

  // From here on reads and writes fail with beast::error::timeout when they end later.
  void ExpiresAfter(std::chrono::nanoseconds time);
  void ExpiresNever();

  // At least one byte, or an error: asio::error::eof at the end. `error` outlives the call.
  boost::asio::awaitable<size_t> ReadSome(boost::asio::mutable_buffer into, ErrorCode& error);
  // One after the other, in one call to the system where they fit; any may be empty. Throws
  // boost::system::system_error.
  boost::asio::awaitable<void> Write(boost::asio::const_buffer first,
                                     boost::asio::const_buffer second = {},
                                     boost::asio::const_buffer third = {});

  // The handshake as a server; `first` are bytes that were read before. `context` and
  // `error` outlive the call.
  boost::asio::awaitable<void> StartTls(const trust::Tls::Context& context,
                                        boost::asio::const_buffer first, ErrorCode& error);
  // What the peer showed in the handshake; nothing without TLS.
  trust::TlsPeer Peer() const;

  // Lets a plain peer read the end while we still take what it sends. Nothing under TLS.
  void StopSending();
  // Says goodbye and waits for the peer's as long as ExpiresAfter lets it.
  boost::asio::awaitable<void> End();

 private:
  struct Layers;
  std::unique_ptr<Layers> layers_;
};

}  // namespace penstock::api
