#include "edge_hub.h"

#include <unistd.h>

#include <algorithm>

#include "base/log.h"

namespace penstock {
namespace {

constexpr auto kRefreshEvery = std::chrono::seconds(10);
constexpr auto kReloadPatience = std::chrono::seconds(30);

std::string HostName() {
  char name[256] = "localhost";
  (void)gethostname(name, sizeof name - 1);
  return name;
}

bool IsAnyAddress(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

// The first is what edges are told; all are in the certificate.
std::vector<std::string> NamesOf(const Settings& settings) {
  std::vector<std::string> names = settings.tls.names;
  const auto add = [&names](const std::string& name) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
  };
  for (const Endpoint* endpoint : {&settings.http, &settings.mqtt}) {
    if (IsAnyAddress(endpoint->host))
      add(HostName());
    else
      add(endpoint->host);
  }
  add("localhost");
  add("127.0.0.1");
  add("::1");
  return names;
}

class MqttByCertificate final : public protocols::mqtt::MqttAuthorizer {
 public:
  MqttByCertificate(const trust::DeviceCertificates& devices, const trust::Users& users)
      : devices_(devices), users_(users) {}

  Result<std::string> Connect(const Login& login) override {
    if (!login.peer.fingerprint.empty()) {
      ASSIGN_OR_RETURN(const trust::Principal device, devices_.Resolve(login.peer));
      return device.name;
    }
    if (login.password) {
      ASSIGN_OR_RETURN(const trust::Principal machine,
                       users_.ByToken(std::string(*login.password)));
      if (!machine.Has(trust::Role::kEngineer))
        return PermissionDenied("{} is {}; publishing needs the role engineer", machine.name,
                                trust::RoleName(machine.role));
      return machine.name;
    }
    return protocols::mqtt::LoopbackOnly().Connect(login);
  }
  bool MayPublish(std::string_view, std::string_view) override { return true; }
  bool MaySubscribe(std::string_view, std::string_view) override { return true; }

 private:
  const trust::DeviceCertificates& devices_;
  const trust::Users& users_;
};

}  // namespace

Result<std::unique_ptr<EdgeHub>> EdgeHub::Open(Parts parts) {
  std::unique_ptr<EdgeHub> self(new EdgeHub(parts));
  if (!parts.settings.tls_off) TRY(self->OpenTls());
  if (!parts.settings.uplink.hub.empty()) TRY(self->OpenUplink());
  return self;
}

EdgeHub::~EdgeHub() { Stop(); }

Status EdgeHub::OpenTls() {
  const Settings& settings = parts_.settings;
  trust::TlsOptions options;
  options.folder = settings.data + "/tls";
  options.site = settings.site;
  options.names = NamesOf(settings);
  options.certificate_file = settings.tls.certificate;
  options.key_file = settings.tls.key;
  ASSIGN_OR_RETURN(tls_, trust::Tls::Open(std::move(options), parts_.real_clock));
  ASSIGN_OR_RETURN(certificates_, trust::DeviceCertificates::Open(parts_.records, parts_.real_clock,
                                                                  parts_.audit));
  ASSIGN_OR_RETURN(origins_, telemetry::Origins::Open(parts_.records));
  receiver_ =
      std::make_unique<protocols::uplink::Receiver>(parts_.pipeline, *origins_, parts_.point_ids);
  things_ = std::make_unique<protocols::uplink::EdgeThings>(settings.folder);
  parts_.pipeline.Subscribe([this](const telemetry::Batch& batch) { origins_->Observe(batch); },
                            telemetry::Pipeline::Replay::kYes);
  parts_.pipeline.BeforeCursor([this] { return origins_->Persist(); });
  mqtt_authorizer_ = std::make_unique<MqttByCertificate>(*certificates_, parts_.users);
  services_.tls = tls_.get();
  services_.certificates = certificates_.get();
  services_.origins = origins_.get();
  services_.receiver = receiver_.get();
  services_.things = things_.get();
  services_.url = [this] { return Url(); };
  services_.reload = [this] { ReloadAndWait(); };
  return {};
}

Status EdgeHub::OpenUplink() {
  const Settings& settings = parts_.settings;
  protocols::uplink::UplinkOptions options;
  options.hub = settings.uplink.hub;
  options.folder = settings.data + "/uplink";
  options.site = settings.site;
  options.epoch = parts_.epoch;
  options.bits_per_second = settings.uplink.bits_per_second;
  options.backfill_share = settings.uplink.backfill_share;
  options.evict = settings.uplink.evict;
  ASSIGN_OR_RETURN(
      uplink_, protocols::uplink::Uplink::Open(
                   std::move(options),
                   {parts_.log, parts_.directory, parts_.records, parts_.real_clock,
                    [this] { return parts_.pipeline.next_sequence(); }, parts_.pipeline.texts()}));
  parts_.pipeline.Subscribe([this](const telemetry::Batch&) { uplink_->Wake(); });
  services_.uplink = uplink_.get();
  return {};
}

Status EdgeHub::Start() {
  if (uplink_) uplink_->Start();
  return {};
}

void EdgeHub::Stop() {
  if (uplink_) uplink_->Stop();
  if (receiver_) receiver_->Stop();
}

void EdgeHub::Housekeep() {
  const auto now = std::chrono::steady_clock::now();
  if (tls_ && now > refresh_at_) {
    refresh_at_ = now + kRefreshEvery;
    if (const auto fresh = tls_->Refresh(); !fresh)
      LogSometimes(LogLevel::kError, "tls",
                   "tls: keeps the old certificate: " + fresh.error().ToString());
  }
  {
    const std::lock_guard lock(mutex_);
    ++passes_;
  }
  passed_.notify_all();
}

// The first pass may have begun before the files were written; the second one has not.
void EdgeHub::ReloadAndWait() {
  std::unique_lock lock(mutex_);
  const uint64_t wanted = passes_ + 2;
  passed_.wait_for(lock, kReloadPatience, [&] { return passes_ >= wanted; });
}

std::function<trust::Tls::Context()> EdgeHub::tls() const {
  if (!tls_) return nullptr;
  return [tls = tls_.get()] { return tls->context(); };
}

protocols::mqtt::MqttAuthorizer& EdgeHub::mqtt_authorizer() {
  return mqtt_authorizer_ ? *mqtt_authorizer_ : protocols::mqtt::LoopbackOnly();
}

std::string EdgeHub::Url() const {
  const std::string host = NamesOf(parts_.settings).front();
  return fmt::format("https://{}:{}", host.find(':') == std::string::npos ? host : "[" + host + "]",
                     port_);
}

}  // namespace penstock
