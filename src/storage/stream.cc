// libnats does the talking. What is chosen here: a work queue, so that a message goes when its
// partition's reader is done with it and the stream's size is what is on its way; "discard new", so
// that a full stream pushes back to the log of who publishes instead of losing what nobody has
// read; explicit acknowledgement, one durable pull consumer a partition.
//
// Publishing is asynchronous with a window; the library calls back for each message on a thread of
// its own. One failure stops publishing until Restart, because the order within a partition would
// be lost otherwise, and what was behind the failed one is sent again anyway.
#include "storage/stream.h"

#include <nats/nats.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "base/log.h"
#include "base/metrics.h"

namespace penstock::storage {
namespace {

constexpr int64_t kDuplicatesNs = 120'000'000'000;
constexpr int64_t kRequestMs = 5000;
constexpr size_t kMessageBytesMax = 1 << 20;

template <typename T, void (*kDestroy)(T*)>
using Held = std::unique_ptr<T, decltype([](T* t) { kDestroy(t); })>;
using Connection = Held<natsConnection, natsConnection_Destroy>;
using Context = Held<jsCtx, jsCtx_Destroy>;
using Store = Held<kvStore, kvStore_Destroy>;

Code CodeOfNats(natsStatus status) {
  switch (status) {
    case NATS_TIMEOUT:
      return Code::kDeadlineExceeded;
    case NATS_NOT_FOUND:
      return Code::kNotFound;
    case NATS_NOT_PERMITTED:
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_SSL_ERROR:
      return Code::kPermissionDenied;
    case NATS_INVALID_ARG:
      return Code::kInvalidArgument;
    case NATS_NO_MEMORY:
    case NATS_INSUFFICIENT_BUFFER:
    case NATS_SLOW_CONSUMER:
      return Code::kResourceExhausted;
    default:
      return Code::kUnavailable;
  }
}

std::unexpected<Error> Failed(natsStatus status, std::string_view what, jsErrCode code = {}) {
  const char* const detail = nats_GetLastError(nullptr);
  return std::unexpected(Error{
      CodeOfNats(status),
      fmt::format("stream: {}: {}{}{}{}", what, natsStatus_GetText(status),
                  detail != nullptr && *detail != 0 ? ": " : "", detail != nullptr ? detail : "",
                  code != 0 ? fmt::format(" ({})", static_cast<int>(code)) : "")});
}

// Nobody knows whether it was done.
bool IsAway(natsStatus status) {
  return status == NATS_TIMEOUT || status == NATS_CONNECTION_DISCONNECTED ||
         status == NATS_CONNECTION_CLOSED || status == NATS_NO_RESPONDERS;
}

bool IsName(std::string_view name, std::string_view more) {
  return !name.empty() && name.size() <= 200 && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.contains(c);
  });
}

class NatsReader final : public StreamReader {
 public:
  NatsReader(natsConnection* connection, natsSubscription* subscription)
      : connection_(connection), subscription_(subscription) {}
  ~NatsReader() override { natsSubscription_Destroy(subscription_); }

  Result<std::vector<StreamMessage>> Fetch(size_t max, size_t max_bytes,
                                           std::chrono::milliseconds wait) override {
    natsMsgList list{};
    jsFetchRequest request;
    (void)jsFetchRequest_Init(&request);
    request.Batch = static_cast<int>(max);
    request.MaxBytes = static_cast<int64_t>(max_bytes);
    request.Expires = std::chrono::nanoseconds(wait).count();
    const natsStatus status = natsSubscription_FetchRequest(&list, subscription_, &request);
    if (status == NATS_TIMEOUT) return std::vector<StreamMessage>();
    if (status != NATS_OK) return Failed(status, "cannot fetch");
    std::vector<StreamMessage> messages;
    messages.reserve(static_cast<size_t>(list.Count));
    for (int i = 0; i < list.Count; ++i) {
      natsMsg* const message = list.Msgs[i];
      const char* id = nullptr;
      (void)natsMsgHeader_Get(message, "Nats-Msg-Id", &id);
      // Acknowledged by its reply subject: natsMsg_Ack wants the subscription to live still.
      const char* const reply = natsMsg_GetReply(message);
      messages.push_back(
          {.id = id == nullptr ? "" : id,
           .bytes = std::string(natsMsg_GetData(message),
                                static_cast<size_t>(natsMsg_GetDataLength(message))),
           .done = [connection = connection_, to = std::string(reply == nullptr ? "" : reply)] {
             (void)natsConnection_PublishString(connection, to.c_str(), "+ACK");
           }});
    }
    natsMsgList_Destroy(&list);
    return messages;
  }

 private:
  natsConnection* connection_;
  natsSubscription* subscription_;
};

class NatsStream final : public Stream {
 public:
  explicit NatsStream(StreamOptions options) : options_(std::move(options)) {}
  ~NatsStream() override;

  Status Connect();
  Status Publish(uint32_t partition, const std::string& id, ByteView bytes) override;
  Status WaitPublished(std::chrono::milliseconds wait) override;
  void Restart() override;
  Result<std::unique_ptr<StreamReader>> Read(uint32_t partition) override;
  Result<StreamFact> Fact(const std::string& key) override;
  Result<uint64_t> SetFact(const std::string& key, const std::string& value,
                           uint64_t number) override;
  Status Tell(const std::string& topic, const std::string& text) override;
  Status Listen(const std::string& topic, std::function<void(std::string)> heard) override;
  Result<uint64_t> TakeLease(const std::string& name, const std::string& holder) override;
  Result<uint64_t> RenewLease(const std::string& name, const std::string& holder,
                              uint64_t number) override;
  void GiveLease(const std::string& name) override;
  Result<std::vector<std::string>> Leases() override;
  const StreamOptions& options() const override { return options_; }

 private:
  static void OnAck(jsCtx*, natsMsg* message, jsPubAck*, jsPubAckErr* error, void* self);
  Status MakeStream();
  Status MakeStore(const std::string& bucket, std::chrono::milliseconds ttl, Store* out);
  std::string Subject(uint32_t partition) const {
    return fmt::format("{}.p{:02}", options_.name, partition);
  }

  const StreamOptions options_;
  Connection connection_;
  Context context_;
  Store facts_, leases_;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable acknowledged_;
  size_t waiting_ = 0, waiting_bytes_ = 0;
  Status failed_;
  struct Listener {
    natsSubscription* subscription;
    std::function<void(std::string)> heard;
  };
  std::vector<std::unique_ptr<Listener>> listeners_;
};

NatsStream::~NatsStream() {
  for (const auto& listener : listeners_) natsSubscription_Destroy(listener->subscription);
  if (context_) {
    (void)WaitPublished(std::chrono::milliseconds(2000));
    facts_.reset();
    leases_.reset();
    context_.reset();
  }
  if (connection_) natsConnection_Close(connection_.get());
  connection_.reset();
  // A callback that is running still holds the lock.
  const std::lock_guard lock(mutex_);
}

Status NatsStream::Connect() {
  natsOptions* raw = nullptr;
  if (const natsStatus status = natsOptions_Create(&raw); status != NATS_OK)
    return Failed(status, "no options");
  const Held<natsOptions, natsOptions_Destroy> made(raw);
  std::vector<std::string> urls;
  const size_t question = std::min(options_.url.find('?'), options_.url.size());
  const std::string places = options_.url.substr(0, question);
  const std::string option = options_.url.substr(question);
  constexpr std::string_view kDomain = "?domain=";
  const std::string domain = option.starts_with(kDomain) ? option.substr(kDomain.size()) : "";
  if (!option.empty() && !IsName(domain, "-_"))
    return InvalidArgument("stream: unknown option \"{}\"; ?domain=NAME", option.substr(0, 80));
  for (size_t at = 0; at <= places.size();) {
    const size_t end = std::min(places.find(',', at), places.size());
    urls.push_back(places.substr(at, end - at));
    at = end + 1;
  }
  std::vector<const char*> servers;
  for (const std::string& url : urls) servers.push_back(url.c_str());
  natsStatus status = natsOptions_SetServers(raw, servers.data(), static_cast<int>(servers.size()));
  if (status == NATS_OK) status = natsOptions_SetName(raw, "penstock");
  if (status == NATS_OK) status = natsOptions_SetTimeout(raw, 5000);
  if (status == NATS_OK) status = natsOptions_SetMaxReconnect(raw, -1);
  if (status == NATS_OK) status = natsOptions_SetReconnectWait(raw, 250);
  if (status == NATS_OK) status = natsOptions_SetPingInterval(raw, 10'000);
  if (status == NATS_OK) status = natsOptions_SetMaxPendingMsgs(raw, 65536);
  if (status == NATS_OK && options_.url.starts_with("tls://"))
    status = natsOptions_SetSecure(raw, true);
  natsConnection* connection = nullptr;
  if (status == NATS_OK) status = natsConnection_Connect(&connection, raw);
  if (status != NATS_OK) {
    auto error = Failed(status, "cannot connect to " + options_.url);
    error.error().Fix("is a nats-server there? see docs/scaling.md");
    return error;
  }
  connection_.reset(connection);
  jsOptions js;
  (void)jsOptions_Init(&js);
  js.Wait = kRequestMs;
  if (!domain.empty()) js.Domain = domain.c_str();
  js.PublishAsync.MaxPending = static_cast<int64_t>(options_.window);
  js.PublishAsync.AckHandler = OnAck;
  js.PublishAsync.AckHandlerClosure = this;
  js.PublishAsync.StallWait = 30'000;
  jsCtx* context = nullptr;
  status = natsConnection_JetStream(&context, connection, &js);
  if (status != NATS_OK) return Failed(status, "no JetStream");
  context_.reset(context);
  TRY(MakeStream());
  TRY(MakeStore(options_.name + "-facts", std::chrono::milliseconds(0), &facts_));
  return MakeStore(options_.name + "-leases", options_.lease, &leases_);
}

Status NatsStream::MakeStream() {
  std::vector<std::string> subjects;
  std::vector<const char*> pointers;
  for (uint32_t i = 0; i < options_.partitions; ++i) subjects.push_back(Subject(i));
  for (const std::string& subject : subjects) pointers.push_back(subject.c_str());
  jsStreamConfig config;
  (void)jsStreamConfig_Init(&config);
  config.Name = options_.name.c_str();
  config.Subjects = pointers.data();
  config.SubjectsLen = static_cast<int>(pointers.size());
  config.Retention = js_WorkQueuePolicy;
  config.Discard = js_DiscardNew;
  config.Storage = js_FileStorage;
  config.MaxBytes = static_cast<int64_t>(options_.max_bytes);
  config.MaxMsgSize = static_cast<int32_t>(kMessageBytesMax);
  config.Replicas = options_.replicas;
  config.Duplicates = kDuplicatesNs;
  jsStreamInfo* info = nullptr;
  jsErrCode code{};
  natsStatus status = js_GetStreamInfo(&info, context_.get(), config.Name, nullptr, &code);
  if (status == NATS_NOT_FOUND)
    status = js_AddStream(&info, context_.get(), &config, nullptr, &code);
  if (status != NATS_OK && info == nullptr) {
    // Several nodes start at once: another one was faster.
    status = js_GetStreamInfo(&info, context_.get(), config.Name, nullptr, &code);
  }
  if (status != NATS_OK) return Failed(status, "cannot make the stream " + options_.name, code);
  const int there = info->Config->SubjectsLen;
  jsStreamInfo_Destroy(info);
  if (there == static_cast<int>(options_.partitions)) return {};
  auto error = FailedPrecondition("stream {} has {} partitions, this node wants {}", options_.name,
                                  there, options_.partitions);
  error.error().Fix("give all nodes the same number, or another name");
  return error;
}

Status NatsStream::MakeStore(const std::string& bucket, std::chrono::milliseconds ttl, Store* out) {
  kvStore* store = nullptr;
  natsStatus status = js_KeyValue(&store, context_.get(), bucket.c_str());
  if (status != NATS_OK) {
    kvConfig config;
    (void)kvConfig_Init(&config);
    config.Bucket = bucket.c_str();
    config.History = 1;
    config.TTL = std::chrono::nanoseconds(ttl).count();
    config.Replicas = static_cast<int>(options_.replicas);
    config.MaxBytes = 64 << 20;
    status = js_CreateKeyValue(&store, context_.get(), &config);
    if (status != NATS_OK) status = js_KeyValue(&store, context_.get(), bucket.c_str());
  }
  if (status != NATS_OK) return Failed(status, "cannot make the bucket " + bucket);
  out->reset(store);
  return {};
}

void NatsStream::OnAck(jsCtx*, natsMsg* message, jsPubAck*, jsPubAckErr* error, void* closure) {
  auto& self = *static_cast<NatsStream*>(closure);
  {
    const std::lock_guard lock(self.mutex_);
    --self.waiting_;
    self.waiting_bytes_ -= static_cast<size_t>(natsMsg_GetDataLength(message));
    if (error != nullptr && self.failed_)
      self.failed_ = std::unexpected(Error{
          CodeOfNats(error->Err),
          fmt::format("stream: a message was not taken: {} ({})",
                      error->ErrText != nullptr ? error->ErrText : natsStatus_GetText(error->Err),
                      static_cast<int>(error->ErrCode))});
    self.acknowledged_.notify_all();
  }
  natsMsg_Destroy(message);
}

Status NatsStream::Publish(uint32_t partition, const std::string& id, ByteView bytes) {
  if (partition >= options_.partitions || bytes.size() > kMessageBytesMax)
    return InvalidArgument("stream: {} bytes for partition {} of {}", bytes.size(), partition,
                           options_.partitions);
  {
    std::unique_lock lock(mutex_);
    const bool room = acknowledged_.wait_for(lock, std::chrono::seconds(30), [&] {
      return !failed_ || waiting_ == 0 ||
             (waiting_ < options_.window && waiting_bytes_ + bytes.size() <= options_.window_bytes);
    });
    if (!failed_) return failed_;
    if (!room) return DeadlineExceeded("stream: no acknowledgement in 30 s");
    ++waiting_;
    waiting_bytes_ += bytes.size();
  }
  natsMsg* message = nullptr;
  jsPubOptions publish;
  (void)jsPubOptions_Init(&publish);
  publish.MsgId = id.c_str();
  publish.MaxWait = 20'000;
  natsStatus status =
      natsMsg_Create(&message, Subject(partition).c_str(), nullptr,
                     reinterpret_cast<const char*>(bytes.data()), static_cast<int>(bytes.size()));
  if (status == NATS_OK) status = js_PublishMsgAsync(context_.get(), &message, &publish);
  if (status == NATS_OK) return {};
  natsMsg_Destroy(message);
  const std::lock_guard lock(mutex_);
  --waiting_;
  waiting_bytes_ -= bytes.size();
  const Status failure = Failed(status, "cannot publish");
  if (failed_) failed_ = failure;
  return failure;
}

Status NatsStream::WaitPublished(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  const bool all = acknowledged_.wait_for(lock, wait, [&] { return !failed_ || waiting_ == 0; });
  if (!failed_) return failed_;
  if (!all) return DeadlineExceeded("stream: {} messages without acknowledgement", waiting_);
  return {};
}

void NatsStream::Restart() {
  const std::lock_guard lock(mutex_);
  failed_ = {};
}

Result<std::unique_ptr<StreamReader>> NatsStream::Read(uint32_t partition) {
  const std::string name = fmt::format("p{:02}", partition), subject = Subject(partition);
  jsConsumerConfig config;
  (void)jsConsumerConfig_Init(&config);
  config.Durable = name.c_str();
  config.FilterSubject = subject.c_str();
  config.AckPolicy = js_AckExplicit;
  config.AckWait = std::chrono::nanoseconds(options_.redeliver).count();
  config.MaxAckPending = 4096;
  jsConsumerInfo* info = nullptr;
  jsErrCode code{};
  // Made anew: what an earlier reader had fetched and was not done with comes at once, in its
  // order.
  (void)js_DeleteConsumer(context_.get(), options_.name.c_str(), name.c_str(), nullptr, nullptr);
  natsStatus status =
      js_AddConsumer(&info, context_.get(), options_.name.c_str(), &config, nullptr, &code);
  jsConsumerInfo_Destroy(info);
  if (status != NATS_OK) return Failed(status, "cannot make the reader of " + subject, code);
  jsSubOptions bind;
  (void)jsSubOptions_Init(&bind);
  bind.Stream = options_.name.c_str();
  bind.Consumer = name.c_str();
  natsSubscription* subscription = nullptr;
  status = js_PullSubscribe(&subscription, context_.get(), subject.c_str(), name.c_str(), nullptr,
                            &bind, &code);
  if (status != NATS_OK) return Failed(status, "cannot read " + subject, code);
  return std::make_unique<NatsReader>(connection_.get(), subscription);
}

Result<StreamFact> NatsStream::Fact(const std::string& key) {
  if (!IsName(key, "-_.")) return InvalidArgument("stream: no key: \"{}\"", key.substr(0, 80));
  kvEntry* entry = nullptr;
  const natsStatus status = kvStore_Get(&entry, facts_.get(), key.c_str());
  if (status != NATS_OK) return Failed(status, "fact " + key);
  StreamFact fact{.value = std::string(static_cast<const char*>(kvEntry_Value(entry)),
                                       static_cast<size_t>(kvEntry_ValueLen(entry))),
                  .number = kvEntry_Revision(entry)};
  kvEntry_Destroy(entry);
  return fact;
}

Result<uint64_t> NatsStream::SetFact(const std::string& key, const std::string& value,
                                     uint64_t number) {
  if (!IsName(key, "-_.")) return InvalidArgument("stream: no key: \"{}\"", key.substr(0, 80));
  uint64_t next = 0;
  const int size = static_cast<int>(value.size());
  const natsStatus status =
      number == 0 ? kvStore_Create(&next, facts_.get(), key.c_str(), value.data(), size)
                  : kvStore_Update(&next, facts_.get(), key.c_str(), value.data(), size, number);
  if (status == NATS_OK) return next;
  if (IsAway(status)) return Failed(status, "fact " + key);
  return Aborted("stream: the fact {} was written by somebody else", key);
}

Status NatsStream::Tell(const std::string& topic, const std::string& text) {
  const std::string subject = fmt::format("{}-news.{}", options_.name, topic);
  const natsStatus status = natsConnection_Publish(connection_.get(), subject.c_str(), text.data(),
                                                   static_cast<int>(text.size()));
  if (status != NATS_OK) return Failed(status, "news of " + topic);
  return {};
}

Status NatsStream::Listen(const std::string& topic, std::function<void(std::string)> heard) {
  const std::string subject = fmt::format("{}-news.{}", options_.name, topic);
  auto listener = std::make_unique<Listener>(Listener{nullptr, std::move(heard)});
  const natsStatus status = natsConnection_Subscribe(
      &listener->subscription, connection_.get(), subject.c_str(),
      [](natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
        std::string text(natsMsg_GetData(message),
                         static_cast<size_t>(natsMsg_GetDataLength(message)));
        natsMsg_Destroy(message);
        static_cast<Listener*>(closure)->heard(std::move(text));
      },
      listener.get());
  if (status != NATS_OK) return Failed(status, "cannot listen to " + topic);
  listeners_.push_back(std::move(listener));
  return {};
}

Result<uint64_t> NatsStream::TakeLease(const std::string& name, const std::string& holder) {
  uint64_t number = 0;
  const natsStatus status =
      kvStore_CreateString(&number, leases_.get(), name.c_str(), holder.c_str());
  if (status == NATS_OK) return number;
  kvEntry* entry = nullptr;
  if (kvStore_Get(&entry, leases_.get(), name.c_str()) == NATS_OK) {
    const std::string present = kvEntry_ValueString(entry);
    const uint64_t revision = kvEntry_Revision(entry);
    kvEntry_Destroy(entry);
    // Of an earlier life of this holder.
    if (present == holder) return RenewLease(name, holder, revision);
    return AlreadyExists("stream: {} is held by {}", name, present);
  }
  return Failed(status, "lease " + name);
}

Result<uint64_t> NatsStream::RenewLease(const std::string& name, const std::string& holder,
                                        uint64_t number) {
  uint64_t next = 0;
  const natsStatus status =
      kvStore_UpdateString(&next, leases_.get(), name.c_str(), holder.c_str(), number);
  if (status == NATS_OK) return next;
  if (IsAway(status)) return Failed(status, "lease " + name);
  return Aborted("stream: the lease {} was lost", name);
}

void NatsStream::GiveLease(const std::string& name) {
  (void)kvStore_Delete(leases_.get(), name.c_str());
}

Result<std::vector<std::string>> NatsStream::Leases() {
  kvKeysList list{};
  const natsStatus status = kvStore_Keys(&list, leases_.get(), nullptr);
  if (status == NATS_NOT_FOUND) return std::vector<std::string>();
  if (status != NATS_OK) return Failed(status, "cannot list the leases");
  std::vector<std::string> names(list.Keys, list.Keys + list.Count);
  kvKeysList_Destroy(&list);
  return names;
}

}  // namespace

Result<std::unique_ptr<Stream>> Stream::Open(StreamOptions options) {
  if (!IsName(options.name, "-"))
    return InvalidArgument("stream: no name: \"{}\"", options.name.substr(0, 80));
  if (options.partitions < 1 || options.partitions > 64)
    return InvalidArgument("stream: {} partitions; 1 to 64", options.partitions);
  auto stream = std::make_unique<NatsStream>(std::move(options));
  TRY(stream->Connect());
  return stream;
}

}  // namespace penstock::storage
