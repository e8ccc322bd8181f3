// One node: everything between the field and the console, constructed and taken down in one place.
//
// Start opens the data folder (one node per folder), recovers, then lets devices and people in.
// Stop lets nobody in any more, finishes what was taken, writes the history, closes. Thread rule:
// Start and Stop from one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/app.h"
#include "api/services.h"
#include "base/clock.h"
#include "base/site.h"

namespace penstock {

class LineageFlow;

struct NodeOptions {
  Settings settings;
  const Clock* clock = nullptr;  // Outlives the node.
  std::string models;            // Folder of the model repository; "" = <data>/models.
  bool listen = true;            // HTTP, MQTT and drivers; false for replay.
};

class Node {
 public:
  static Result<std::unique_ptr<Node>> Start(NodeOptions options);
  ~Node();  // Stop().
  void Stop();
  // Expiries, escalations, due rows, changed files. A node that listens does it by itself twice a
  // second.
  void Housekeep();

  std::string url() const;  // "http://127.0.0.1:8080"
  uint16_t http_port() const;
  uint16_t mqtt_port() const;
  // While the first admin is still to be made.
  std::optional<std::string> setup_token() const;
  // A machine's token, made anew at each start (the old one of that name is revoked).
  Result<std::string> MachineToken(const std::string& name, trust::Role role);
  // Of the TLS listener, for clients on this machine; "" without TLS.
  std::string certificate_file() const;
  const api::Services& services() const;
  // What answers its people and programs; also without a socket.
  const api::App& app() const;
  LineageFlow& lineage();  // For work with a beginning and an end: a replay.

 private:
  struct Parts;
  explicit Node(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace penstock
