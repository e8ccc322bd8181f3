// Source: OpenLineage specification 2-0-2 and its facets schema (1-1-1), dataSource (1-0-1),
// columnLineage (1-2-0) and jobType (2-0-3). What is our own stands in the run facet
// "penstock_facts". Producer and schema of our own facets are named by URNs: an installation knows
// no address of its maker.
//
// Both events of an interval are made when it is over: a START that is never followed says only
// that the node was killed, and the counts of the ledger go on where they were told last.
#include "telemetry/lineage.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/ids.h"

namespace penstock::telemetry {
namespace {

constexpr const char* kProducer = "urn:penstock:v1";
constexpr const char* kEventSchema =
    "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

Json Facet(const char* schema) { return {{"_producer", kProducer}, {"_schemaURL", schema}}; }

// 16 bytes as a UUID of version 4 (random) or 8 (made of a digest), RFC 9562.
std::string UuidOf(std::array<uint8_t, 16> bytes, uint8_t version) {
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0F) | (version << 4));
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3F) | 0x80);
  const std::string hex = ToHex(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

std::string RunIdOf(const LineageRun& run) {
  if (run.id.empty()) return UuidOf(TraceId::Random().bytes, 4);
  const Sha256 digest = Sha256Of(AsBytes(run.job + "\n" + run.id));
  std::array<uint8_t, 16> bytes;
  std::copy_n(digest.begin(), bytes.size(), bytes.begin());
  return UuidOf(bytes, 8);
}

Json ColumnLineage(const LineageDataset& dataset) {
  Json fields = Json::object();
  for (size_t i = 0; i < std::min(dataset.fields.size(), Lineage::kFieldsMax); ++i) {
    const LineageField& field = dataset.fields[i];
    if (field.from.empty()) continue;
    Json inputs = Json::array();
    for (const auto& source : field.from) {
      Json input = {{"namespace", source.dataset_namespace},
                    {"name", source.dataset},
                    {"field", source.field}};
      input["transformations"] =
          Json::array({{{"type", "DIRECT"},
                        {"subtype", field.how == "identity" ? "IDENTITY" : "AGGREGATION"},
                        {"description", field.how},
                        {"masking", false}}});
      inputs.push_back(std::move(input));
    }
    fields[field.name] = {{"inputFields", std::move(inputs)}};
  }
  return fields;
}

Json DatasetJson(const LineageDataset& dataset, bool output) {
  Json facets = Json::object();
  if (!dataset.fields.empty()) {
    Json schema = Facet("https://openlineage.io/spec/facets/1-1-1/SchemaDatasetFacet.json");
    schema["fields"] = Json::array();
    for (size_t i = 0; i < std::min(dataset.fields.size(), Lineage::kFieldsMax); ++i) {
      const LineageField& field = dataset.fields[i];
      Json one = {{"name", field.name}, {"type", field.type}};
      if (!field.description.empty()) one["description"] = field.description;
      schema["fields"].push_back(std::move(one));
    }
    facets["schema"] = std::move(schema);
  }
  if (!dataset.uri.empty()) {
    Json source = Facet("https://openlineage.io/spec/facets/1-0-1/DatasourceDatasetFacet.json");
    source["name"] = dataset.name;
    source["uri"] = dataset.uri;
    facets["dataSource"] = std::move(source);
  }
  if (Json fields = output ? ColumnLineage(dataset) : Json(); !fields.empty()) {
    Json columns = Facet("https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json");
    columns["fields"] = std::move(fields);
    facets["columnLineage"] = std::move(columns);
  }
  return {{"namespace", dataset.dataset_namespace}, {"name", dataset.name}, {"facets", facets}};
}

}  // namespace

Result<std::unique_ptr<Lineage>> Lineage::Open(storage::Records& records, const std::string& site) {
  TRY(records.Migrate("lineage", {{1, R"sql(
    CREATE TABLE lineage_events (
      number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, run TEXT NOT NULL,
      job TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL);
    CREATE INDEX lineage_events_job ON lineage_events (job, number);
    CREATE INDEX lineage_events_run ON lineage_events (run);
    CREATE TABLE lineage_told (run TEXT PRIMARY KEY);
    CREATE TABLE lineage_counts (flow TEXT PRIMARY KEY, count INTEGER NOT NULL);
  )sql"}}));
  std::unique_ptr<Lineage> lineage(new Lineage(records, "penstock:" + site));
  ASSIGN_OR_RETURN(const auto rows, records.Query("SELECT flow, count FROM lineage_counts"));
  for (const auto& row : rows)
    lineage->counts_[row.Text(0)] = static_cast<uint64_t>(row.Integer(1));
  return lineage;
}

Json Lineage::EventJson(const LineageRun& run, const std::string& run_id, const char* type,
                        Time at) const {
  Json facts = Facet("urn:penstock:v1:lineage#FactsRunFacet");
  for (const auto& [key, value] : run.facts.items()) facts[key] = value;
  facts["from"] = FormatTime(run.begin);
  facts["to"] = FormatTime(run.end);
  Json job = Facet("https://openlineage.io/spec/facets/2-0-3/JobTypeJobFacet.json");
  const bool streaming = run.kind == "INGEST" || run.kind == "FEATURES" || run.kind == "SCORE";
  job["processingType"] = streaming ? "STREAMING" : "BATCH";
  job["integration"] = "PENSTOCK";
  job["jobType"] = run.kind;
  Json inputs = Json::array(), outputs = Json::array();
  for (const LineageDataset& dataset : run.inputs) inputs.push_back(DatasetJson(dataset, false));
  for (const LineageDataset& dataset : run.outputs) outputs.push_back(DatasetJson(dataset, true));
  return {
      {"eventType", type},
      {"eventTime", FormatTime(at)},
      {"producer", kProducer},
      {"schemaURL", kEventSchema},
      {"run", {{"runId", run_id}, {"facets", {{"penstock_facts", std::move(facts)}}}}},
      {"job",
       {{"namespace", namespace_}, {"name", run.job}, {"facets", {{"jobType", std::move(job)}}}}},
      {"inputs", std::move(inputs)},
      {"outputs", std::move(outputs)}};
}

Status Lineage::Tell(const std::vector<LineageRun>& runs) {
  std::vector<Json> told;
  TRY(records_.Transaction([&]() -> Status {
    told.clear();
    for (size_t i = 0; i < std::min(runs.size(), kJobsMax); ++i) {
      const LineageRun& run = runs[i];
      const std::string id = RunIdOf(run);
      if (!run.id.empty()) {
        ASSIGN_OR_RETURN(const int64_t added,
                         records_.Run("INSERT INTO lineage_told VALUES (?) ON CONFLICT (run) DO "
                                      "NOTHING",
                                      {id}));
        if (added == 0) continue;
      }
      for (const auto& [type, at] :
           {std::pair("START", run.begin), std::pair(run.good ? "COMPLETE" : "FAIL", run.end)}) {
        Json event = EventJson(run, id, type, at);
        TRY(
            records_.Run("INSERT INTO lineage_events (at, run, job, type, body) VALUES "
                         "(?, ?, ?, ?, ?)",
                         {ToMicros(at), id, run.job, std::string(type), event.dump()}));
        told.push_back(std::move(event));
      }
    }
    TRY(
        records_.Run("DELETE FROM lineage_events WHERE number <= (SELECT coalesce(max(number), 0) "
                     "FROM lineage_events) - ?",
                     {static_cast<int64_t>(kEventsMax)}));
    return {};
  }));
  const std::lock_guard lock(mutex_);
  if (sink_)
    for (const Json& event : told) sink_(event);
  return {};
}

void Lineage::SendTo(std::function<void(const Json& event)> sink) {
  const std::lock_guard lock(mutex_);
  sink_ = std::move(sink);
}

std::map<std::string, uint64_t> Lineage::Counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

Status Lineage::SetCounts(const std::map<std::string, uint64_t>& counts) {
  TRY(records_.Transaction([&]() -> Status {
    for (const auto& [flow, count] : counts)
      TRY(
          records_.Run("INSERT INTO lineage_counts VALUES (?, ?) "
                       "ON CONFLICT (flow) DO UPDATE SET count = excluded.count",
                       {flow, static_cast<int64_t>(count)}));
    return {};
  }));
  const std::lock_guard lock(mutex_);
  for (const auto& [flow, count] : counts) counts_[flow] = count;
  return {};
}

Result<std::vector<Lineage::Event>> Lineage::Events(uint64_t after, size_t limit,
                                                    const std::string& job) {
  const auto from = static_cast<int64_t>(std::min<uint64_t>(after, INT64_MAX));
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT number, body FROM lineage_events WHERE number > ?1 AND "
                                  "(?2 = '' OR job = ?2) ORDER BY number LIMIT ?3",
                                  {from, job, static_cast<int64_t>(limit)}));
  std::vector<Event> events;
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(Json body, ParseJson(row.Text(1)));
    events.push_back({static_cast<uint64_t>(row.Integer(0)), std::move(body)});
  }
  return events;
}

Result<Json> Lineage::Graph() {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT body FROM lineage_events WHERE number IN (SELECT "
                                  "max(number) FROM lineage_events GROUP BY job) ORDER BY job "
                                  "LIMIT ?",
                                  {static_cast<int64_t>(kJobsMax)}));
  Json nodes = Json::array(), edges = Json::array();
  std::set<std::string> known;
  const auto dataset = [&](const Json& body) {
    const std::string id =
        "dataset:" + StringOr(body, "namespace", "") + "/" + StringOr(body, "name", "");
    if (known.insert(id).second)
      nodes.push_back({{"id", id},
                       {"type", "dataset"},
                       {"namespace", body["namespace"]},
                       {"name", body["name"]}});
    return id;
  };
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(const Json event, ParseJson(row.Text(0)));
    const Json& job = event["job"];
    const std::string id = "job:" + StringOr(job, "name", "");
    nodes.push_back({{"id", id},
                     {"type", "job"},
                     {"namespace", job["namespace"]},
                     {"name", job["name"]},
                     {"kind", job["facets"]["jobType"]["jobType"]},
                     {"last_run", event["run"]["runId"]},
                     {"last", event["eventTime"]},
                     {"state", event["eventType"]},
                     {"facts", event["run"]["facets"]["penstock_facts"]}});
    for (const Json& input : event["inputs"])
      edges.push_back({{"from", dataset(input)}, {"to", id}});
    for (const Json& output : event["outputs"])
      edges.push_back({{"from", id}, {"to", dataset(output)}});
  }
  return Json{{"nodes", std::move(nodes)}, {"edges", std::move(edges)}};
}

}  // namespace penstock::telemetry
