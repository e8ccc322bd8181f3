// Everything that the routes speak with. The node constructs it all and outlives the server.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/event_hub.h"
#include "base/clock.h"
#include "base/site.h"
#include "decisions/alarms.h"
#include "decisions/provenance.h"
#include "fleet/device_registry.h"
#include "fleet/twin.h"
#include "learning/labels.h"
#include "storage/history.h"
#include "storage/records.h"
#include "telemetry/live_values.h"
#include "telemetry/pipeline.h"
#include "telemetry/quarantine.h"
#include "things/directory.h"
#include "trust/audit_log.h"
#include "trust/titles.h"
#include "trust/users.h"
#include "value/gate.h"
#include "value/kpis.h"
#include "value/states.h"
#include "value/usecase.h"

namespace penstock::api {

struct Services {
  const Settings& settings;
  const Clock& clock;
  std::string node_name;
  things::Directory& directory;
  telemetry::Pipeline& pipeline;
  telemetry::LiveValues& live;
  telemetry::QuarantineStore& quarantine;
  storage::History& history;
  storage::Records& records;
  fleet::DeviceRegistry& devices;
  fleet::Twins& twins;
  decisions::Alarms& alarms;
  decisions::Provenance& provenance;
  learning::Labels& labels;
  trust::Users& users;
  trust::Titles& titles;
  trust::AuditLog& audit;
  EventHub& events;
  value::Kpis& kpis;
  value::States& states;
  value::UseCases& usecases;
  value::Gates& gates;
  // 5th to 95th percentile of healthy training rows for a point, or nothing without a model that
  // watches it.
  std::function<std::optional<std::pair<double, double>>(const things::Point&)> normal_band;
  std::function<Json()> models;  // As /models lists them.
  // Whether somebody may read the point's history: the access of its data product, and whether its
  // values are personal. Unset: everybody who is logged in.
  std::function<Status(const trust::Principal&, const things::Point&)> may_read = {};
  // Whether its values are personal and not for this reader, its present one included. Unset:
  // never.
  std::function<bool(const trust::Principal&, const things::Point&)> withholds = {};
};

}  // namespace penstock::api
