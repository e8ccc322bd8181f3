// The only file that instantiates Asio's and Beast's stream operations, for TCP and for TLS over
// it: reading and writing one buffer sequence, the handshake and its end.
#include "api/byte_stream.h"

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <optional>
#include <utility>

namespace penstock::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

template <typename Stream>
awaitable<void> WriteAll(Stream& stream, std::array<asio::const_buffer, 3> buffers) {
  while (asio::buffer_size(buffers) > 0) {
    size_t sent = co_await stream.async_write_some(buffers, use_awaitable);
    for (asio::const_buffer& buffer : buffers) {
      const size_t part = std::min(sent, buffer.size());
      buffer += part;
      sent -= part;
    }
  }
}

}  // namespace

struct ByteStream::Layers {
  explicit Layers(tcp::socket socket) : plain(std::move(socket)) {}

  beast::tcp_stream plain;
  std::optional<asio::ssl::context> context;
  std::optional<beast::ssl_stream<beast::tcp_stream&>> tls;
};

ByteStream::ByteStream(tcp::socket socket) : layers_(std::make_unique<Layers>(std::move(socket))) {
  ErrorCode gone;  // Then the first read says so.
  layers_->plain.socket().set_option(tcp::no_delay(true), gone);
}

ByteStream::~ByteStream() = default;

std::string ByteStream::Address() const {
  ErrorCode gone;
  const tcp::endpoint peer = layers_->plain.socket().remote_endpoint(gone);
  return gone ? "" : peer.address().to_string();
}

void ByteStream::ExpiresAfter(std::chrono::nanoseconds time) { layers_->plain.expires_after(time); }

void ByteStream::ExpiresNever() { layers_->plain.expires_never(); }

awaitable<size_t> ByteStream::ReadSome(asio::mutable_buffer into, ErrorCode& error) {
  auto token = asio::redirect_error(use_awaitable, error);
  return layers_->tls ? layers_->tls->async_read_some(into, token)
                      : layers_->plain.async_read_some(into, token);
}

awaitable<void> ByteStream::Write(asio::const_buffer first, asio::const_buffer second,
                                  asio::const_buffer third) {
  const std::array buffers = {first, second, third};
  return layers_->tls ? WriteAll(*layers_->tls, buffers) : WriteAll(layers_->plain, buffers);
}

awaitable<void> ByteStream::StartTls(const trust::Tls::Context& context, asio::const_buffer first,
                                     ErrorCode& error) {
  // Asio's context takes a reference of its own and gives it back.
  SSL_CTX_up_ref(context.get());
  layers_->context.emplace(context.get());
  layers_->tls.emplace(layers_->plain, *layers_->context);
  co_await layers_->tls->async_handshake(asio::ssl::stream_base::server, first,
                                         asio::redirect_error(use_awaitable, error));
}

trust::TlsPeer ByteStream::Peer() const {
  return layers_->tls ? trust::PeerOf(layers_->tls->native_handle()) : trust::TlsPeer();
}

void ByteStream::StopSending() {
  ErrorCode gone;
  if (!layers_->tls) layers_->plain.socket().shutdown(tcp::socket::shutdown_send, gone);
}

awaitable<void> ByteStream::End() {
  StopSending();
  ErrorCode gone;
  if (layers_->tls)
    co_await layers_->tls->async_shutdown(asio::redirect_error(use_awaitable, gone));
}

}  // namespace penstock::api
