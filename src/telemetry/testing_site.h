// A small site for the tests of this room: points without files.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

// Builds a snapshot; the points get ids from 0 in the order added.
class TestSite {
 public:
  things::Point& Add(const std::string& thing, const std::string& property,
                     things::ValueType type = things::ValueType::kNumber,
                     double sample_rate_hz = 0) {
    things::Property added;
    added.point.id = PointId{next_++};
    added.point.thing = thing;
    added.point.property = property;
    added.point.asset = "acme/cologne/" + thing;
    added.point.model = "pump@1.2";
    added.point.product = "pump";
    added.point.type = type;
    added.point.sample_rate_hz = sample_rate_hz;
    properties_.push_back(added);
    return properties_.back().point;
  }

  std::shared_ptr<const things::Snapshot> Snapshot() const {
    auto snapshot = std::make_shared<things::Snapshot>();
    for (const auto& property : properties_) {
      things::Thing* thing = nullptr;
      for (auto& known : snapshot->things) {
        if (known.name == property.point.thing) thing = &known;
      }
      if (thing == nullptr) {
        thing = &snapshot->things.emplace_back();
        thing->name = property.point.thing;
        thing->asset = property.point.asset;
        thing->model = property.point.model;
      }
      thing->properties.push_back(property);
    }
    std::ranges::sort(snapshot->things, {}, &things::Thing::name);
    snapshot->by_id.resize(next_);
    for (const auto& thing : snapshot->things) {
      for (const auto& property : thing.properties) {
        snapshot->by_id[property.point.id.value] = &property;
        snapshot->by_path[property.point.path()] = property.point.id;
      }
    }
    return snapshot;
  }

 private:
  uint32_t next_ = 0;
  std::deque<things::Property> properties_;
};

// Seconds after a fixed morning.
inline Time At(double seconds) { return FromMicros(1'780'000'200'000'000) + FromSeconds(seconds); }

// Keeps what was put away.
class TestQuarantine final : public QuarantineSink {
 public:
  void Put(QuarantineEntry entry) override { entries.push_back(std::move(entry)); }
  std::vector<QuarantineEntry> entries;
};

}  // namespace penstock::telemetry
