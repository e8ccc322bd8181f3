#include "telemetry/sample.h"

#include <fmt/format.h>

#include <utility>

namespace penstock::telemetry {
namespace {

// OPC UA Part 6, annex A.2: the names of the status codes in use.
constexpr std::pair<Quality, std::string_view> kNames[] = {
    {kGood, "Good"},
    {kUncertain, "Uncertain"},
    {kUncertainLastUsableValue, "Uncertain_LastUsableValue"},
    {kUncertainSubstituteValue, "Uncertain_SubstituteValue"},
    {kUncertainSensorNotAccurate, "Uncertain_SensorNotAccurate"},
    {kUncertainEngineeringUnitsExceeded, "Uncertain_EngineeringUnitsExceeded"},
    {kUncertainSubNormal, "Uncertain_SubNormal"},
    {kBad, "Bad"},
    {kBadNoCommunication, "Bad_NoCommunication"},
    {kBadSensorFailure, "Bad_SensorFailure"},
    {kBadNotConnected, "Bad_NotConnected"},
    {kBadOutOfRange, "Bad_OutOfRange"},
};

}  // namespace

std::string QualityName(Quality quality) {
  // The low half holds information bits (limits, overflow) that the name does not tell.
  for (const auto& [code, name] : kNames) {
    if (code == (quality & 0xFFFF0000U)) return std::string(name);
  }
  return fmt::format("{}_0x{:08X}",
                     IsGood(quality)        ? "Good"
                     : IsUncertain(quality) ? "Uncertain"
                                            : "Bad",
                     quality);
}

void Batch::Add(PointId id, Time source, Time ingest, double v, Quality q) {
  point.push_back(id);
  source_time.push_back(source);
  ingest_time.push_back(ingest);
  value.push_back(v);
  quality.push_back(q);
}

void Batch::Append(const Batch& other) {
  point.insert(point.end(), other.point.begin(), other.point.end());
  source_time.insert(source_time.end(), other.source_time.begin(), other.source_time.end());
  ingest_time.insert(ingest_time.end(), other.ingest_time.begin(), other.ingest_time.end());
  value.insert(value.end(), other.value.begin(), other.value.end());
  quality.insert(quality.end(), other.quality.begin(), other.quality.end());
}

void Batch::Reserve(size_t rows) {
  point.reserve(rows);
  source_time.reserve(rows);
  ingest_time.reserve(rows);
  value.reserve(rows);
  quality.reserve(rows);
}

void Batch::Clear() {
  point.clear();
  source_time.clear();
  ingest_time.clear();
  value.clear();
  quality.clear();
  first_sequence = 0;
  origin = {};
}

}  // namespace penstock::telemetry
