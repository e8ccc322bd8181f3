// Which flows there are:
//
//   device -> [ingest/THING/PRODUCT] -> product -> [features/MODEL] -> features of the model
//          -> [score/MODEL, with the model's version] -> decisions;  labels -> [train/MODEL] ->
//          model version;  product -> [retention] -> nothing
//
// Each is told with the fields that it really read and made; columns follow columns (a point is its
// device's property, a feature is an aggregation of its point). Sites with more than kThingsMax
// things are told by Thing Model instead, those without a model together: a graph of a million
// boxes helps nobody.
#include "lineage_flow.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "things/form.h"
#include "things/reader.h"

namespace penstock {
namespace {

using telemetry::LineageDataset;
using telemetry::LineageField;
using telemetry::LineageRun;

constexpr size_t kThingsMax = 200;
constexpr const char* kUntil = "#until";  // Among the counts: the end of the last interval told.

// Where a thing's samples come from, as a namespace: "modbus 10.0.0.7:502/1", "pushed".
std::string SourceOf(const things::Thing& thing) {
  for (const auto& property : thing.properties)
    if (const things::Form* form = property.source(); form != nullptr) {
      const std::string endpoint = things::EndpointOf(*form);
      if (!endpoint.empty())
        return endpoint.find("://") != std::string::npos
                   ? endpoint
                   : fmt::format("{}://{}", things::ProtocolName(form->protocol), endpoint);
    }
  return "pushed://local";
}

LineageField FieldOf(const things::Point& point, const std::string& name) {
  return {name, std::string(things::ValueTypeName(point.type)),
          point.unit.empty() ? point.title : fmt::format("{} in {}", point.title, point.unit)};
}

}  // namespace

Result<std::unique_ptr<LineageFlow>> LineageFlow::Open(storage::Records& records, Parts parts) {
  std::unique_ptr<LineageFlow> flow(new LineageFlow(std::move(parts)));
  ASSIGN_OR_RETURN(flow->lineage_, telemetry::Lineage::Open(records, flow->parts_.settings.site));
  if (const auto counts = flow->lineage_->Counts(); counts.contains(kUntil))
    flow->told_until_ = FromMicros(static_cast<int64_t>(counts.at(kUntil)));
  else
    flow->told_until_ = flow->parts_.clock.Now();  // 0 in a replay, before its first row.
  flow->next_ = std::chrono::steady_clock::now() + flow->parts_.settings.lineage_every;
  return flow;
}

LineageDataset LineageFlow::Product(const std::string& name) const {
  return {lineage_->site_namespace(), "product/" + name, "urn:penstock:product:" + name, {}};
}

void LineageFlow::Sweep() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + parts_.settings.lineage_every;
  Tell();
}

void LineageFlow::Finish() { Tell(); }

Status LineageFlow::TellOnce(LineageRun run) { return lineage_->Tell({std::move(run)}); }

// What came to a flow since it was told last.
uint64_t LineageFlow::Since(const std::string& flow, uint64_t count) {
  const auto found = told_counts_.find(flow);
  const uint64_t before = found == told_counts_.end() ? 0 : found->second;
  counts_[flow] = count;
  return count >= before ? count - before : count;  // Less: the count began anew.
}

void LineageFlow::Tell() {
  runs_.clear();
  counts_.clear();
  told_counts_ = lineage_->Counts();
  now_ = std::max(parts_.clock.Now(), told_until_);
  if (told_until_ == Time()) told_until_ = now_ - parts_.settings.lineage_every;
  const auto snapshot = parts_.directory.snapshot();
  AddIngestion(*snapshot);
  const Json models = parts_.models();
  for (const Json& model : models.is_array() ? models : models.value("items", Json::array()))
    AddModel(model, *snapshot);
  counts_[kUntil] = static_cast<uint64_t>(ToMicros(now_));
  Status told = lineage_->Tell(runs_);
  if (told) told = lineage_->SetCounts(counts_);
  if (!told) {
    LogSometimes(LogLevel::kWarn, "lineage", "lineage not told: " + told.error().ToString());
    return;
  }
  told_until_ = now_;
  runs_.clear();
}

void LineageFlow::AddIngestion(const things::Snapshot& snapshot) {
  const auto points = parts_.ledger.Points();
  const bool by_model = snapshot.things.size() > kThingsMax;
  struct Flow {
    const things::Thing* thing = nullptr;
    std::string source, product;
    uint64_t produced = 0, stored = 0, quarantined = 0;
    std::vector<const things::Point*> points;  // By model, one of each property.
    std::set<std::string_view> properties;
  };
  std::map<std::string, Flow> flows;
  for (const things::Thing& thing : snapshot.things) {
    const std::string by = thing.model.empty() ? "no-model" : thing.model;
    const std::string source = by_model ? by : thing.name;
    for (const things::Property& property : thing.properties) {
      const things::Point& point = property.point;
      if (point.id.value >= points.size()) continue;
      const auto& counts = points[point.id.value];
      Flow& flow = flows[fmt::format("ingest/{}/{}", source, point.product)];
      flow.thing = &thing;
      flow.source = source;
      flow.product = point.product;
      flow.produced += counts.produced;
      flow.stored += counts.durable;
      flow.quarantined += counts.quarantined;
      if (flow.points.size() < telemetry::Lineage::kFieldsMax &&
          flow.properties.insert(point.property).second)
        flow.points.push_back(&point);
    }
  }
  const auto contracts = parts_.contracts.set();
  for (auto& [job, flow] : flows) {
    const uint64_t came = Since(job, flow.produced);
    const uint64_t stored = Since(job + "#stored", flow.stored);
    const uint64_t quarantined = Since(job + "#quarantined", flow.quarantined);
    if (came == 0) continue;
    LineageRun run{job, "INGEST", told_until_, now_};
    LineageDataset input{SourceOf(*flow.thing), flow.source, "", {}};
    LineageDataset output = Product(flow.product);
    for (const things::Point* point : flow.points) {
      const std::string name = by_model ? point->property : point->path();
      input.fields.push_back(FieldOf(*point, point->property));
      output.fields.push_back(FieldOf(*point, name));
      output.fields.back().from = {{input.dataset_namespace, input.name, point->property}};
      output.fields.back().how = "identity";
    }
    const auto contract = contracts->Of(*flow.points.front());
    run.facts = {{"samples", came},
                 {"stored", stored},
                 {"quarantined", quarantined},
                 {"contract", contract != nullptr ? contract->reference() : ""}};
    run.inputs.push_back(std::move(input));
    run.outputs.push_back(std::move(output));
    runs_.push_back(std::move(run));
  }
}

void LineageFlow::AddModel(const Json& model, const things::Snapshot& snapshot) {
  const std::string name = StringOr(model, "name", "");
  const Json version = model.value("version", Json());
  const std::string release =
      version.is_null()
          ? name
          : fmt::format("{}@{}", name,
                        version.is_string() ? version.get<std::string>() : version.dump());
  const LineageDataset installed{lineage_->site_namespace(), "model/" + release, "", {}};
  if (const std::string digest = StringOr(model, "digest", ""); !digest.empty()) {
    const Time trained = ParseTime(StringOr(model, "trained_at", "")).value_or(told_until_);
    LineageRun run{"train/" + name, "TRAIN", trained, trained};
    run.id = digest;
    run.inputs.push_back({lineage_->site_namespace(), "labels/" + name, "", {}});
    run.outputs.push_back(installed);
    run.facts = {{"digest", digest},
                 {"rows", model.value("rows", Json())},
                 {"metrics", model.value("metrics", Json::object())}};
    runs_.push_back(std::move(run));
  }
  uint64_t& told = predictions_[name];
  const uint64_t all = model.value("predictions", uint64_t{0});
  const uint64_t predictions = all - std::min(all, told);
  told = all;
  if (predictions == 0) return;
  LineageRun features{"features/" + name, "FEATURES", told_until_, now_};
  LineageRun score{"score/" + name, "SCORE", told_until_, now_};
  LineageDataset rows{lineage_->site_namespace(), "features/" + name, "", {}};
  std::map<std::string, LineageDataset> products;
  for (const Json& feature : model.value("features", Json::array())) {
    const std::string text = feature.is_string() ? feature.get<std::string>() : "";
    const size_t dot = std::min(text.find('.'), text.size());
    const std::string property = text.substr(0, dot);
    const std::string statistic = text.substr(std::min(dot + 1, text.size()));
    LineageField field{text, "number", "", {}, "aggregation: " + statistic};
    for (const Json& thing : model.value("on", Json::array())) {
      const things::Point* point =
          snapshot.FindPoint((thing.is_string() ? thing.get<std::string>() : "") + "/" + property);
      if (point == nullptr) continue;
      const auto made = products.try_emplace(point->product, Product(point->product)).first;
      field.from.push_back({made->second.dataset_namespace, made->second.name, point->path()});
      auto& known = made->second.fields;
      if (std::none_of(known.begin(), known.end(),
                       [&](const LineageField& f) { return f.name == point->path(); }))
        known.push_back(FieldOf(*point, point->path()));
    }
    rows.fields.push_back(std::move(field));
  }
  for (auto& [product, dataset] : products) features.inputs.push_back(std::move(dataset));
  features.outputs.push_back(rows);
  for (LineageField& field : rows.fields) field.from.clear();
  score.inputs = {std::move(rows), installed};
  score.outputs.push_back({lineage_->site_namespace(), "decisions/" + name, "", {}});
  features.facts = score.facts = {{"rows", predictions}, {"model", release}};
  runs_.push_back(std::move(features));
  runs_.push_back(std::move(score));
}

std::vector<LineageDataset> LineageFlow::AllProducts() const {
  std::set<std::string> names;
  for (const things::Thing& thing : parts_.directory.snapshot()->things)
    for (const things::Property& property : thing.properties) names.insert(property.point.product);
  std::vector<LineageDataset> products;
  for (const std::string& name : names) products.push_back(Product(name));
  return products;
}

void LineageFlow::Deleted(const std::vector<storage::HistoryDeletion>& gone) {
  LineageRun run{"retention", "RETENTION", parts_.clock.Now(), parts_.clock.Now()};
  Json deleted = Json::array();
  std::set<std::string> products;
  for (const auto& each : gone) {
    if (each.rows == 0) continue;
    products.insert(each.product);
    deleted.push_back({{"product", each.product},
                       {"level", each.level},
                       {"rows", each.rows},
                       {"first", FormatTime(each.first)},
                       {"last", FormatTime(each.last)}});
  }
  if (deleted.empty()) return;
  if (products.contains(""))
    run.inputs = AllProducts();
  else
    for (const std::string& name : products) run.inputs.push_back(Product(name));
  run.facts = {{"deleted", std::move(deleted)}};
  if (const Status told = TellOnce(std::move(run)); !told)
    LogSometimes(LogLevel::kWarn, "lineage", "lineage not told: " + told.error().ToString());
}

void LineageFlow::Copied(uint64_t files, uint64_t bytes) {
  LineageRun run{"backup", "BACKUP", parts_.clock.Now(), parts_.clock.Now()};
  run.inputs = AllProducts();
  run.outputs.push_back({lineage_->site_namespace(), "archive/history", "", {}});
  run.facts = {{"files", files}, {"bytes", bytes}};
  if (const Status told = TellOnce(std::move(run)); !told)
    LogSometimes(LogLevel::kWarn, "lineage", "lineage not told: " + told.error().ToString());
}

}  // namespace penstock
