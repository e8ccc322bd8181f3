// Thing Descriptions and Thing Models: any bytes; what is accepted is usable, what is refused has a
// reason.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "things/model.h"
#include "things/reader.h"
#include "things/site_check.h"
#include "things/units.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  using namespace penstock::things;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // Bytes that are no JSON test the unit codes, which have a grammar of their own.
  const auto document = ParseJson(text);
  if (!document) {
    if (const auto unit = ParseUnit(text)) CHECK(unit->factor != 0);
    return 0;
  }
  const ReadThing thing = ReadThingDescription(*document, "fuzz.td.json");
  bool error = false;
  for (const Finding& finding : thing.findings) {
    error = error || finding.is_error;
    CHECK(!finding.error.message.empty() && !FormatFinding(finding).empty());
  }
  CHECK(thing.thing.has_value() == !error);
  if (thing.thing) {
    SiteCheck site;
    site.Check(*thing.thing);
    site.Add(*thing.thing);
    CHECK(!site.Check(*thing.thing).empty());  // Its own id is taken now.
  }
  const ReadModel model = ReadThingModel(*document, "fuzz.tm.json");
  const auto whole = ResolveModel(
      *document, [](const std::string&) -> Result<Json> { return NotFound("no file"); });
  if (whole && model.model) {
    if (const auto instance = Instantiate(*whole, Json::object()))
      ReadThingDescription(*instance, "fuzz.td.json");
  }
  return 0;
}
