// What a hub's and an edge's routes speak with, beside the node's services. Null where the node is
// not one.
#pragma once

#include <functional>

#include "protocols/uplink/edge_things.h"
#include "protocols/uplink/receiver.h"
#include "protocols/uplink/uplink.h"
#include "telemetry/origins.h"
#include "trust/device_certificates.h"
#include "trust/tls.h"

namespace penstock::api {

struct HubServices {
  // The node as a hub: with TLS only.
  trust::Tls* tls = nullptr;
  trust::DeviceCertificates* certificates = nullptr;
  telemetry::Origins* origins = nullptr;
  protocols::uplink::Receiver* receiver = nullptr;
  protocols::uplink::EdgeThings* things = nullptr;
  std::function<std::string()> url;  // As edges reach it.
  // Has the site read again and waits until it is in force; any thread but the one that reads.
  std::function<void()> reload;
  // The node as an edge.
  protocols::uplink::Uplink* uplink = nullptr;
  std::function<Json()> stream;  // The node on a stream, as edge or hub; unset without one.
};

}  // namespace penstock::api
