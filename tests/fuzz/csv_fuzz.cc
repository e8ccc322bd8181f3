// CSV replay: any bytes as a file; blocks come out in order, and every row is accounted for.
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>

#include "base/check.h"
#include "protocols/replay/csv_thing.h"
#include "protocols/replay/replay.h"
#include "things/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  using namespace penstock::protocols;
  const std::string text(reinterpret_cast<const char*>(data), size);
  ParseCellTime(text);
  auto reader = CsvReader::Open(std::make_unique<std::istringstream>(text));
  if (!reader) return 0;
  // A description made from whatever header there is must itself be good, and fit its file.
  const auto td = ThingDescriptionForCsv(reader->header(), {.name = "fuzz"});
  if (!td) return 0;
  things::ReadThing read = things::ReadThingDescription(*td, "");
  if (!read.thing) return 0;  // Such as a column name with "{{".
  uint32_t next = 0;
  for (things::Property& property : read.thing->properties) property.point.id = PointId{next++};
  ReplayOptions options;
  options.block_rows = 1 + size % 5;
  auto replay = CsvReplay::FromStream(std::make_unique<std::istringstream>(text), "fuzz.csv",
                                      *read.thing, options);
  if (!replay) return 0;
  Time last = Time::min();
  uint64_t rows = 0;
  for (ReplayBlock block = (*replay)->Next(); !block.empty(); block = (*replay)->Next()) {
    CHECK(block.batch.point.size() == block.batch.size());
    for (const Time at : block.rows) {
      CHECK(at >= last);
      last = at;
    }
    for (const double value : block.batch.value) CHECK(std::isfinite(value));
    rows += block.rows.size();
  }
  CHECK(rows == (*replay)->report().rows);
  return 0;
}
