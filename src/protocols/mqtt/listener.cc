// Sockets of the listener: one thread, one event loop.
//
// A connection that says nothing owns no buffer. When its socket is readable, the thread reads into
// one large buffer that all connections share, and the broker parses in place; only a packet torn
// at the end of a read is kept by the connection, in a buffer that grows with the bytes that really
// came, never with what was announced. So ten thousand idle sensors cost little, and a stream of
// small messages costs one system call per quarter megabyte.
//
// Sending collects: the broker appends to a connection's text, and when the handler ends every
// touched connection is written once. What a socket does not take waits for it to become writable.
//
// TLS lies between socket and broker: the handshake is part of reading, and what OpenSSL has
// decrypted but not handed out is read before the socket is waited for.
//
// Fairness: a connection that always has more to read yields after each full buffer.
#include "protocols/mqtt/listener.h"

#include <cerrno>
#include <future>
#include <thread>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.h"
#include "base/metrics.h"

namespace penstock::protocols::mqtt {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kTornInPlaceMax = 4096;  // A longer torn packet is completed in its own buffer.
constexpr size_t kKeptCapacityMax = 16 << 10;
constexpr std::chrono::milliseconds kAcceptPause{100};

class Connection;

// What connections need of the listener.
struct Hub {
  Broker* broker = nullptr;
  std::unique_ptr<uint8_t[]> scratch;                // kTornInPlaceMax + kReadBytes + kReadAhead.
  std::vector<std::shared_ptr<Connection>> touched;  // With something to send, or to close.
  std::unordered_map<uint64_t, std::shared_ptr<Connection>> connections;  // By the broker's number.
  bool flush_scheduled = false;
  asio::io_context* io = nullptr;

  void SendTouched();
  void ScheduleFlush();
};

class Connection final : public Wire, public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Hub& hub) : socket_(std::move(socket)), hub_(hub) {}

  // Before Start. False: out of memory.
  bool UseTls(const trust::Tls::Context& context) {
    tls_.reset(SSL_new(context.get()));
    if (!tls_ || SSL_set_fd(tls_.get(), socket_.native_handle()) != 1) return false;
    SSL_set_accept_state(tls_.get());
    return true;
  }

  void Start() {
    error_code ignored;
    socket_.non_blocking(true, ignored);
    socket_.set_option(tcp::no_delay(true), ignored);
    const auto remote = socket_.remote_endpoint(ignored);
    const auto address = remote.address();
    id_ = hub_.broker->Open(*this, address.is_v6()
                                       ? fmt::format("[{}]:{}", address.to_string(), remote.port())
                                       : fmt::format("{}:{}", address.to_string(), remote.port()));
    hub_.connections.emplace(id_, shared_from_this());
    AwaitRead();
  }

  // Wire.
  std::string& out() override {
    Touch();
    return out_;
  }
  size_t unsent() const override { return out_.size() - sent_; }
  void Close() override {
    closing_ = true;
    Touch();
  }

  // Writes what the socket takes now.
  void Send() {
    touched_ = false;
    while (socket_.is_open() && sent_ < out_.size()) {
      error_code error;
      const size_t count = WriteSome(out_.data() + sent_, out_.size() - sent_, error);
      sent_ += count;
      if (error == asio::error::would_block || error == asio::error::try_again) break;
      if (error) return Gone(error.message());
    }
    if (closing_) return Gone("closed");  // What an unwilling client did not take is lost to it.
    if (sent_ == out_.size()) {
      out_.clear();
      sent_ = 0;
      if (out_.capacity() > kKeptCapacityMax) out_.shrink_to_fit();
      return;
    }
    AwaitWrite();
  }

  trust::TlsPeer tls_peer() const override {
    return tls_ ? trust::PeerOf(tls_.get()) : trust::TlsPeer{};
  }

  void Gone(std::string_view why) {
    if (gone_) return;
    gone_ = true;
    error_code ignored;
    if (tls_ && SSL_is_init_finished(tls_.get())) SSL_shutdown(tls_.get());
    if (socket_.is_open()) {
      socket_.shutdown(tcp::socket::shutdown_both, ignored);
      socket_.close(ignored);
    }
    hub_.broker->Closed(id_, why);
    hub_.connections.erase(id_);  // The caller holds a reference.
  }

 private:
  void Touch() {
    if (touched_ || gone_) return;
    touched_ = true;
    hub_.touched.push_back(shared_from_this());
  }

  void AwaitRead() {
    socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
      if (self->gone_) return;
      if (error) {
        self->Gone(error.message());
      } else {
        self->Read();
      }
      self->hub_.SendTouched();
    });
  }

  void AwaitWrite() {
    if (awaits_write_) return;
    awaits_write_ = true;
    socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code error) {
      self->awaits_write_ = false;
      if (self->gone_) return;
      if (error) {
        self->Gone(error.message());
      } else {
        self->Send();
      }
      self->hub_.SendTouched();
    });
  }

  void Read() {
    const bool in_place = torn_.size() <= kTornInPlaceMax;
    uint8_t* const begin = hub_.scratch.get();
    const size_t kept = in_place ? torn_.size() : 0;
    std::copy_n(torn_.data(), kept, begin);
    error_code error;
    const size_t count = ReadSome(begin + kept, kReadBytes, error);
    if (error == asio::error::would_block || error == asio::error::try_again) return AwaitRead();
    if (error) return Gone(error == asio::error::eof ? "closed by the client" : error.message());
    const bool more = tls_ && SSL_has_pending(tls_.get()) == 1;
    if (in_place) {
      const ByteView bytes(begin, kept + count);
      const size_t taken = hub_.broker->Take(id_, bytes, bytes.size() + PayloadMapper::kReadAhead);
      torn_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
    } else {
      torn_.insert(torn_.end(), begin, begin + count);
      const size_t taken = hub_.broker->Take(id_, torn_, torn_.size());
      torn_.erase(torn_.begin(), torn_.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    if (torn_.empty() && torn_.capacity() > 0) torn_ = {};
    hub_.ScheduleFlush();
    if (closing_ || gone_) return;
    if (!more) return AwaitRead();
    asio::post(*hub_.io, [self = shared_from_this()] {
      if (self->gone_) return;
      self->Read();
      self->hub_.SendTouched();
    });
  }

  // What OpenSSL's answer means for a socket that does not wait.
  error_code TlsError(int result) {
    const int kind = SSL_get_error(tls_.get(), result);
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
      return asio::error::would_block;
    if (kind == SSL_ERROR_ZERO_RETURN) return asio::error::eof;
    const unsigned long code = ERR_peek_error();
    if (!SSL_is_init_finished(tls_.get()) &&
        ERR_GET_REASON(code) != SSL_R_CERTIFICATE_VERIFY_FAILED)  // Counted with its reason.
      trust::CountTlsRefusal(
          ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER ? "not tls" : "handshake failed");
    ERR_clear_error();
    return asio::error::connection_reset;
  }

  size_t ReadSome(uint8_t* into, size_t size, error_code& error) {
    if (!tls_) return socket_.read_some(asio::buffer(into, size), error);
    ERR_clear_error();
    size_t count = 0;
    const int result = SSL_read_ex(tls_.get(), into, size, &count);
    if (result != 1) error = TlsError(result);
    return count;
  }

  size_t WriteSome(const char* from, size_t size, error_code& error) {
    if (!tls_) return socket_.write_some(asio::buffer(from, size), error);
    ERR_clear_error();
    size_t count = 0;
    const int result = SSL_write_ex(tls_.get(), from, size, &count);
    if (result != 1) error = TlsError(result);
    return count;
  }

  struct FreeTls {
    void operator()(SSL* tls) const { SSL_free(tls); }
  };
  std::unique_ptr<SSL, FreeTls> tls_;  // Over the socket's descriptor; none: plain.
  tcp::socket socket_;
  Hub& hub_;
  uint64_t id_ = 0;
  std::string out_;
  size_t sent_ = 0;
  Bytes torn_;
  bool touched_ = false, closing_ = false, gone_ = false, awaits_write_ = false;
};

void Hub::SendTouched() {
  while (!touched.empty()) {  // Closing one may touch others: their wills.
    const auto batch = std::exchange(touched, {});
    for (const auto& connection : batch) connection->Send();
  }
}

void Hub::ScheduleFlush() {
  if (flush_scheduled) return;
  flush_scheduled = true;
  asio::post(*io, [this] {
    flush_scheduled = false;
    broker->Flush();
    SendTouched();
  });
}

}  // namespace

class Listener::Impl {
 public:
  Impl(ListenerOptions options, const DriverContext& context, MqttAuthorizer& authorizer)
      : options_(std::move(options)),
        io_(std::make_shared<asio::io_context>(1)),
        acceptor_(*io_),
        timer_(*io_),
        broker_(options_.broker, context, authorizer, [this, io = io_](std::function<void()> task) {
          asio::post(*io, [this, task = std::move(task)] {
            task();
            hub_.SendTouched();
          });
        }) {
    hub_.broker = &broker_;
    hub_.io = io_.get();
    hub_.scratch =
        std::make_unique<uint8_t[]>(kTornInPlaceMax + kReadBytes + PayloadMapper::kReadAhead);
  }

  Status Bind() {
    error_code error;
    const auto address = asio::ip::make_address(
        options_.endpoint.host == "localhost" ? "127.0.0.1" : options_.endpoint.host, error);
    if (error) {
      return InvalidArgument("mqtt listener: {} is no numeric address", options_.endpoint.host);
    }
    const tcp::endpoint endpoint(address, options_.endpoint.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(1024, error);
    if (error) {
      auto failed =
          FromErrno(error.value(), fmt::format("cannot listen on mqtt {}:{}",
                                               options_.endpoint.host, options_.endpoint.port));
      failed.error().Fix(
          "stop the other program, or choose another port: listen: {mqtt: 127.0.0.1:1884} or "
          "--mqtt");
      return failed;
    }
    port_ = acceptor_.local_endpoint(error).port();
    return {};
  }

  void Start() {
    Accept();
    Tick();
    thread_ = std::jthread([io = io_] {
      const auto work = asio::make_work_guard(*io);
      io->run();
    });
  }

  void Stop() {
    if (!thread_.joinable()) return;
    std::promise<void> stopped;
    asio::post(*io_, [&] {
      error_code ignored;
      acceptor_.close(ignored);
      timer_.cancel();
      stopped_ = true;
      auto connections = hub_.connections;
      for (auto& [id, connection] : connections) connection->Gone("the node stops");
      hub_.touched.clear();
      broker_.Flush();
      stopped.set_value();
    });
    stopped.get_future().wait();
    io_->stop();
    thread_.join();
  }

  void Use(std::shared_ptr<const TopicRouter> router) {
    asio::post(*io_, [this, router = std::move(router)] { broker_.Use(router); });
  }

  uint16_t port() const { return port_; }

 private:
  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (stopped_ || error == asio::error::operation_aborted) return;
      if (error) {  // Out of file descriptors, most likely: pause, do not spin.
        LogSometimes(LogLevel::kError, "mqtt accept",
                     fmt::format("mqtt listener: cannot accept: {}", error.message()));
        pause_.expires_after(kAcceptPause);
        return pause_.async_wait([this](error_code cancelled) {
          if (!cancelled && !stopped_) Accept();
        });
      }
      // A margin beyond the limit, so that the next client gets its CONNACK 3 instead of a silent
      // close.
      if (hub_.connections.size() < options_.broker.clients_max + 64) {
        const auto connection = std::make_shared<Connection>(std::move(socket), hub_);
        if (!options_.tls || connection->UseTls(options_.tls())) connection->Start();
      }
      Accept();
    });
  }

  void Tick() {
    broker_.Tick(std::chrono::steady_clock::now());
    hub_.SendTouched();
    timer_.expires_after(std::chrono::milliseconds(500));
    timer_.async_wait([this](error_code error) {
      if (!error && !stopped_) Tick();
    });
  }

  const ListenerOptions options_;
  std::shared_ptr<asio::io_context> io_;  // Shared with answers of the sink that come after Stop.
  tcp::acceptor acceptor_;
  asio::steady_timer timer_, pause_{*io_};
  Hub hub_;
  Broker broker_;
  uint16_t port_ = 0;
  bool stopped_ = false;
  std::jthread thread_;
};

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Listener::~Listener() { Stop(); }

Result<std::unique_ptr<Listener>> Listener::Open(ListenerOptions options,
                                                 const DriverContext& context,
                                                 MqttAuthorizer& authorizer) {
  auto impl = std::make_unique<Impl>(std::move(options), context, authorizer);
  TRY(impl->Bind());
  impl->Start();
  LogInfo("mqtt: listening on port {}", impl->port());
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

uint16_t Listener::port() const { return impl_->port(); }

void Listener::Apply(const things::Snapshot& snapshot) {
  impl_->Use(std::make_shared<const TopicRouter>(snapshot, ""));
}

void Listener::Stop() { impl_->Stop(); }

}  // namespace penstock::protocols::mqtt
