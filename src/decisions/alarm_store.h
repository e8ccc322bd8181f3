// Alarms and decision records as rows and JSON: the reverse of Alarm::ToJson, kept apart from the
// rules.
#pragma once

#include "decisions/alarm.h"
#include "storage/records.h"

namespace penstock::decisions {

Status MigrateAlarms(storage::Records& records);
Result<Alarm> AlarmFromJson(const Json& body);
Json PredictionToJson(const inference::Prediction& prediction);
Result<inference::Prediction> PredictionFromJson(const Json& body);
int64_t AlarmNumber(const std::string& id);  // "A-1042" -> 1042; 0 when it is no alarm id.

}  // namespace penstock::decisions
