// The node as a hub (with TLS: who may be an edge, and what edges bring) and as an edge (with
// `hub:` in site.yaml), and the TLS of its listeners. Owned by the node, like the other flows.
//
// Thread rule: Open, Join, Start, Stop from the owner; Housekeep from the node's housekeeping.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "api/hub_services.h"
#include "base/clock.h"
#include "base/site.h"
#include "protocols/mqtt/authorizer.h"
#include "storage/durable_log.h"
#include "storage/records.h"
#include "telemetry/pipeline.h"
#include "things/directory.h"
#include "trust/audit_log.h"
#include "trust/users.h"

namespace penstock {

class EdgeHub {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& real_clock;
    storage::Records& records;
    trust::AuditLog& audit;
    const trust::Users& users;
    things::PointIds& point_ids;
    const things::Directory& directory;
    storage::DurableLog& log;
    telemetry::Pipeline& pipeline;
    uint64_t epoch;
  };
  // Before the pipeline starts: it is given what of its rows this needs.
  static Result<std::unique_ptr<EdgeHub>> Open(Parts parts);
  ~EdgeHub();

  // The uplink, when there is a hub. kNotFound: this edge has not enrolled.
  Status Start();
  void Stop();
  void Housekeep();

  // Unset without TLS.
  std::function<trust::Tls::Context()> tls() const;
  // Who may speak MQTT: this machine, and with TLS whoever has a certificate or an engineer's token
  // as password.
  protocols::mqtt::MqttAuthorizer& mqtt_authorizer();
  std::string certificate_file() const { return tls_ ? tls_->certificate_file() : ""; }
  const api::HubServices& services() const { return services_; }
  // How the node stands to its stream, shown beside the uplink; before the routes are made.
  void ShowStream(std::function<Json()> stream) { services_.stream = std::move(stream); }
  void SetPort(uint16_t http_port) { port_ = http_port; }

 private:
  explicit EdgeHub(Parts parts) : parts_(parts) {}
  Status OpenTls();
  Status OpenUplink();
  void ReloadAndWait();
  std::string Url() const;

  const Parts parts_;
  std::unique_ptr<trust::Tls> tls_;
  std::unique_ptr<trust::DeviceCertificates> certificates_;
  std::unique_ptr<telemetry::Origins> origins_;
  std::unique_ptr<protocols::uplink::Receiver> receiver_;
  std::unique_ptr<protocols::uplink::EdgeThings> things_;
  std::unique_ptr<protocols::uplink::Uplink> uplink_;
  std::unique_ptr<protocols::mqtt::MqttAuthorizer> mqtt_authorizer_;
  api::HubServices services_;
  uint16_t port_ = 0;
  std::chrono::steady_clock::time_point refresh_at_{};
  std::mutex mutex_;
  std::condition_variable passed_;
  uint64_t passes_ = 0;  // Of the housekeeping.
};

}  // namespace penstock
