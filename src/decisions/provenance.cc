#include "decisions/provenance.h"

namespace penstock::decisions {

Result<std::unique_ptr<Provenance>> Provenance::Open(storage::Records& records) {
  TRY(records.Migrate("provenance",
                      {{1,
                        "CREATE TABLE trace_steps("
                        " seq INTEGER PRIMARY KEY, trace TEXT NOT NULL, at INTEGER NOT NULL,"
                        " stage TEXT NOT NULL, text TEXT NOT NULL, detail TEXT NOT NULL);"
                        "CREATE INDEX trace_steps_by_trace ON trace_steps(trace, seq);"}}));
  return std::unique_ptr<Provenance>(new Provenance(records));
}

Status Provenance::Add(const TraceId& trace, const Step& step) {
  TRY(records_.Run(
      "INSERT INTO trace_steps(trace, at, stage, text, detail) VALUES(?,?,?,?,?)",
      {trace.ToString(), ToMicros(step.at), step.stage, step.text, step.detail.dump()}));
  return {};
}

Result<std::vector<Step>> Provenance::Of(const TraceId& trace) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query("SELECT at, stage, text, detail FROM trace_steps WHERE trace=? ORDER BY seq",
                     {trace.ToString()}));
  std::vector<Step> steps;
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(Json detail, ParseJson(row.Text(3)));
    steps.push_back({FromMicros(row.Integer(0)), row.Text(1), row.Text(2), std::move(detail)});
  }
  return steps;
}

Json Provenance::ToJson(const std::vector<Step>& steps) {
  Json list = Json::array();
  for (const Step& step : steps)
    list.push_back({{"at", FormatTime(step.at)},
                    {"stage", step.stage},
                    {"text", step.text},
                    {"detail", step.detail}});
  return list;
}

}  // namespace penstock::decisions
