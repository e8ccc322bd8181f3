#include "protocols/mqtt/session.h"

#include <algorithm>

namespace penstock::protocols::mqtt {

uint16_t Session::NextPacketId() {
  const auto taken = [&](uint16_t id) {
    return std::any_of(in_flight.begin(), in_flight.end(),
                       [&](const InFlight& each) { return each.packet_id == id; });
  };
  do {
    ++last_packet_id_;
  } while (last_packet_id_ == 0 || taken(last_packet_id_));  // In flight are few, the numbers many.
  return last_packet_id_;
}

}  // namespace penstock::protocols::mqtt
