// Line protocol: any bytes, with a parser that knows series from the inputs before; the columns
// stay equally long and the counts add up.
#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "protocols/line_protocol/line_protocol.h"
#include "telemetry/texts.h"

namespace {

using penstock::PointId;
using penstock::things::Property;
using penstock::things::Snapshot;
using penstock::things::Thing;
using penstock::things::ValueType;

const Snapshot& Site() {
  static const Snapshot* const site = [] {
    auto* snapshot = new Snapshot;
    Thing thing;
    thing.name = "pump-7";
    for (const auto& [name, type] :
         {std::pair{"flow", ValueType::kNumber}, std::pair{"count", ValueType::kInteger},
          std::pair{"running", ValueType::kBoolean}, std::pair{"note", ValueType::kString}}) {
      Property property;
      property.point.thing = thing.name;
      property.point.property = name;
      property.point.type = type;
      property.point.id = PointId{static_cast<uint32_t>(thing.properties.size())};
      thing.properties.push_back(property);
    }
    snapshot->things.push_back(thing);
    for (Property& property : snapshot->things[0].properties) {
      snapshot->by_path[property.point.path()] = property.point.id;
      snapshot->by_id.push_back(&property);
    }
    return snapshot;
  }();
  return *site;
}

// Keeps no text, but says what its code is.
class TextCodes final : public penstock::telemetry::SampleSink {
 public:
  void Write(penstock::telemetry::Batch, std::function<void(const penstock::Status&)>) override {}
  penstock::Result<double> Intern(PointId, std::string_view text) override {
    TRY(penstock::telemetry::CheckText(text));
    return penstock::telemetry::TextCode(text);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock::protocols;
  static LineParser* const parser = new LineParser;
  if (size == 0) return 0;
  const auto precision = static_cast<Precision>(data[0] % 4);
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const penstock::Time now = penstock::FromMicros(1'700'000'000'000'000);
  static TextCodes texts;
  const LineResult known = parser->Parse(body, precision, Site(), now, &texts);
  const LineResult fresh = ParseLines(body, precision, Site(), now, &texts);
  const auto& batch = known.batch;
  CHECK(batch.point.size() == batch.size() && batch.source_time.size() == batch.size());
  CHECK(batch.ingest_time.size() == batch.size() && batch.quality.size() == batch.size());
  CHECK(known.good <= known.lines && known.lines - known.good <= known.error_count);
  CHECK(known.errors.size() <= LineResult::kMaxErrors);
  for (size_t i = 0; i < batch.size(); ++i) {
    CHECK(batch.point[i].value < 4 && std::isfinite(batch.value[i]));
    CHECK(penstock::ToMicros(batch.source_time[i]) >= 0);
  }
  // What the parser remembers never changes what a line means.
  CHECK(batch.point == fresh.batch.point && batch.value == fresh.batch.value);
  CHECK(batch.source_time == fresh.batch.source_time && known.error_count == fresh.error_count);
  return 0;
}
