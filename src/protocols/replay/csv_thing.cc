#include "protocols/replay/csv_thing.h"

#include <algorithm>
#include <fstream>
#include <map>

#include "protocols/replay/csv.h"

namespace penstock::protocols {
namespace {

bool IsTimeName(std::string_view column) {
  std::string lower = PropertyNameOf(column);
  return lower == "datetime" || lower == "date_time" || lower == "time" || lower == "timestamp" ||
         lower == "date" || lower == "ts";
}

}  // namespace

std::string PropertyNameOf(std::string_view column) {
  std::string name;
  bool was_small = false;  // A lower-case letter or a digit came last: a capital begins a word.
  for (const char c : column) {
    const bool capital = c >= 'A' && c <= 'Z';
    const bool small = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool gap = !name.empty() && name.back() != '_';
    if (capital && was_small && gap) name += '_';
    if (capital)
      name += static_cast<char>(c + 32);
    else if (small)
      name += c;
    else if (gap)
      name += '_';
    was_small = small;
  }
  while (name.ends_with('_')) name.pop_back();
  return name.substr(0, 64);
}

Result<std::vector<std::string>> CsvHeader(const std::string& path, char separator) {
  auto stream = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!stream->is_open()) {
    auto error = NotFound("cannot open the CSV file");
    error.error().Where(path).Fix("give the path of a file that can be read");
    return error;
  }
  auto reader = CsvReader::Open(std::move(stream), separator);
  if (!reader) return std::unexpected(reader.error().Where(path));
  return reader->header();
}

Result<Json> ThingDescriptionForCsv(const std::vector<std::string>& header, const CsvThing& about) {
  const std::string time = about.time_column.empty()
                               ? [&] {
                                   const auto found = std::find_if(header.begin(), header.end(), IsTimeName);
                                   return found == header.end() ? std::string() : *found;
                                 }()
                               : about.time_column;
  Json properties = Json::object();
  std::map<std::string, std::string> columns;
  for (const std::string& column : header) {
    if (column == time ||
        std::find(about.exclude.begin(), about.exclude.end(), column) != about.exclude.end())
      continue;
    const std::string name = PropertyNameOf(column);
    if (name.empty())
      return InvalidArgument("column \"{}\" has no letter or digit to name a property by",
                             column.substr(0, 80));
    if (const auto [other, added] = columns.emplace(name, column); !added) {
      auto error = InvalidArgument("columns \"{}\" and \"{}\" both give the property {}",
                                   other->second, column, name);
      error.error().Fix("exclude one, or rename it");
      return error;
    }
    properties[name] = {
        {"title", column.substr(0, 200)},
        {"type", "number"},
        {"readOnly", true},
        {"observable", true},
        {"ps:column", column},
        {"forms", {{{"href", fmt::format("file:{}.csv", about.name)}, {"op", "observeproperty"}}}}};
  }
  if (properties.empty()) return InvalidArgument("no column is left to replay");
  Json thing = {
      {"@context", {"https://www.w3.org/2022/wot/td/v1.1", {{"ps", "urn:penstock:v1#"}}}},
      {"id", "urn:dev:replay:" + about.name},
      {"title", about.title.empty() ? about.name : about.title},
      {"ps:asset", about.asset.empty() ? "example/site/replay/" + about.name : about.asset},
      {"securityDefinitions", {{"nosec_sc", {{"scheme", "nosec"}}}}},
      {"security", "nosec_sc"},
      {"properties", std::move(properties)}};
  if (!about.model.empty()) thing["ps:model"] = about.model;
  return thing;
}

}  // namespace penstock::protocols
