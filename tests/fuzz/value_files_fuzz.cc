// KPI and use case files: whatever YAML says, reading ends with a value or an error that has a
// pointer.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "telemetry/feature.h"
#include "value/kpi_file.h"
#include "value/usecase.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  const auto document = ParseYaml({reinterpret_cast<const char*>(data), size});
  if (!document) return 0;
  if (const auto file = value::KpiFileFromJson(*document, nullptr)) CHECK(!file->machines.empty());
  if (const auto use = value::UseCaseFromJson(*document, nullptr)) CHECK(!use->name.empty());
  if (const auto schema = telemetry::FeatureSchema::FromJson(*document)) {
    const auto again = telemetry::FeatureSchema::FromJson(schema->ToJson());
    CHECK(again && again->features.size() == schema->features.size());
  }
  return 0;
}
