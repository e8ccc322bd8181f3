#include "learning/labels.h"

#include "base/check.h"
#include "learning/dataset.h"

namespace penstock::learning {
namespace {

constexpr const char* kColumns = "number, version, thing, begins, ends, class, source, trace";
// The newest version of each.
constexpr const char* kNewest =
    "version = (SELECT max(version) FROM labels AS other WHERE other.number = labels.number)";

std::optional<std::string> ClassOf(const decisions::Verdict& verdict) {
  using enum decisions::VerdictKind;
  switch (verdict.kind) {
    case kTrueFault:
      return verdict.code;
    case kFalseAlarm:
    case kModeChange:
    case kKnownOrPlanned:
      return std::string(kNormal);
    case kSensorFault:
    case kUnsure:
      return std::nullopt;
  }
  return std::nullopt;
}

Label FromRow(const storage::SqlRow& row) {
  return {fmt::format("L-{}", row.Integer(0)),
          static_cast<int>(row.Integer(1)),
          row.Text(2),
          FromMicros(row.Integer(3)),
          FromMicros(row.Integer(4)),
          row.Text(5),
          row.Text(6),
          row.Text(7)};
}

Result<std::vector<Label>> FromRows(Result<std::vector<storage::SqlRow>> rows) {
  if (!rows) return std::unexpected(rows.error());
  std::vector<Label> labels;
  for (const auto& row : *rows) labels.push_back(FromRow(row));
  return labels;
}

}  // namespace

std::string Label::Text() const {
  return fmt::format("{} v{}: {} is {} from {} to {}", id, version, thing, class_name,
                     FormatTime(from).substr(11, 5), FormatTime(to).substr(11, 5));
}

Json Label::ToJson() const {
  return {{"id", id},
          {"version", version},
          {"thing", thing},
          {"from", FormatTime(from)},
          {"to", FormatTime(to)},
          {"class", class_name},
          {"source", source},
          {"trace", trace}};
}

Result<std::unique_ptr<Labels>> Labels::Open(storage::Records& records) {
  TRY(records.Migrate(
      "labels",
      {{1,
        "CREATE TABLE labels(number INTEGER NOT NULL, version INTEGER NOT NULL, alarm TEXT NOT "
        "NULL,"
        " thing TEXT NOT NULL, begins INTEGER NOT NULL, ends INTEGER NOT NULL, class TEXT NOT NULL,"
        " source TEXT NOT NULL, trace TEXT NOT NULL, PRIMARY KEY(number, version));"
        "CREATE INDEX labels_by_alarm ON labels(alarm);"
        "CREATE INDEX labels_by_thing ON labels(thing, begins);"}}));
  return std::unique_ptr<Labels>(new Labels(records));
}

Result<std::optional<Label>> Labels::FromVerdict(const decisions::Alarm& alarm) {
  CHECK(alarm.verdict.has_value());
  const auto class_name = ClassOf(*alarm.verdict);
  if (!class_name) return std::nullopt;
  Label label;
  label.thing = alarm.thing;
  label.from = alarm.raised - kEvidenceBeforeAlarm;
  label.to = std::max(alarm.verdict->at, alarm.raised);
  label.class_name = *class_name;
  label.source = alarm.id + ", " + alarm.verdict->actor;
  label.trace = alarm.trace.ToString();
  TRY(records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(
        const auto old,
        records_.Query("SELECT number, max(version) FROM labels WHERE alarm=? GROUP BY number",
                       {alarm.id}));
    ASSIGN_OR_RETURN(const auto last,
                     records_.Query("SELECT coalesce(max(number), 0) FROM labels"));
    const int64_t number = old.empty() ? last.at(0).Integer(0) + 1 : old[0].Integer(0);
    label.version = old.empty() ? 1 : static_cast<int>(old[0].Integer(1)) + 1;
    label.id = fmt::format("L-{}", number);
    TRY(
        records_.Run("INSERT INTO labels(number, version, alarm, thing, begins, ends, class, "
                     "source, trace) VALUES(?,?,?,?,?,?,?,?,?)",
                     {number, int64_t{label.version}, alarm.id, label.thing, ToMicros(label.from),
                      ToMicros(label.to), label.class_name, label.source, label.trace}));
    return {};
  }));
  return label;
}

Result<std::vector<Label>> Labels::Between(const std::vector<std::string>& things, Time from,
                                           Time to) const {
  return FromRows(records_.Query(
      fmt::format(
          "SELECT {} FROM labels WHERE {} AND ends >= ? AND begins < ? AND (?3 = '[]' OR thing IN"
          " (SELECT value FROM json_each(?3))) ORDER BY begins",
          kColumns, kNewest),
      {ToMicros(from), ToMicros(to), Json(things).dump()}));
}

Result<std::vector<std::string>> Labels::TracesSince(Time since) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query("SELECT DISTINCT trace FROM labels WHERE ends >= ?", {ToMicros(since)}));
  std::vector<std::string> traces;
  for (const auto& row : rows) traces.push_back(row.Text(0));
  return traces;
}

Result<uint64_t> Labels::CountOf(const std::vector<std::string>& things) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query("SELECT count(DISTINCT number) FROM labels WHERE ?1 = '[]' OR thing IN"
                     " (SELECT value FROM json_each(?1))",
                     {Json(things).dump()}));
  return static_cast<uint64_t>(rows.at(0).Integer(0));
}

Result<Json> Labels::ListJson(int64_t after, size_t limit, std::string* next) const {
  ASSIGN_OR_RETURN(const auto labels,
                   FromRows(records_.Query(
                       fmt::format("SELECT {} FROM labels WHERE {} AND (?1 = 0 OR number < ?1)"
                                   " ORDER BY number DESC LIMIT ?2",
                                   kColumns, kNewest),
                       {after, static_cast<int64_t>(limit)})));
  Json items = Json::array();
  for (const Label& label : labels) items.push_back(label.ToJson());
  *next = labels.size() == limit ? labels.back().id.substr(2) : "";
  return items;
}

}  // namespace penstock::learning
