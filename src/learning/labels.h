// Labels: what a stretch of time of a thing really was, as the next training will see it. They come
// from verdicts.
//
// A true fault labels the evidence window before the alarm and all until the verdict with the
// fault's code; a false alarm, a mode change and a planned stop label it "normal"; a sensor fault
// and "unsure" give no label (the values say nothing about the machine). A later verdict on the
// same alarm makes a new version of the label; the newest counts.
//
// Thread rule: any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "decisions/alarm.h"
#include "storage/records.h"

namespace penstock::learning {

inline constexpr Duration kEvidenceBeforeAlarm = std::chrono::minutes(10);

struct Label {
  std::string id;  // "L-318"
  int version = 1;
  std::string thing;
  Time from{}, to{};
  std::string class_name;
  std::string source;  // "A-1042, technician kim"
  std::string trace;
  std::string Text() const;  // "L-318 v1: pump-7 is bearing_wear from 14:02 to 14:09"
  Json ToJson() const;
};

class Labels {
 public:
  static Result<std::unique_ptr<Labels>> Open(storage::Records& records);

  // nullopt when the verdict gives no label. The alarm must have a verdict.
  Result<std::optional<Label>> FromVerdict(const decisions::Alarm& alarm);
  // The newest version of each label that touches [from, to), of these things (empty: all), by
  // time.
  Result<std::vector<Label>> Between(const std::vector<std::string>& things, Time from,
                                     Time to) const;
  // Traces of the labels that end at or after `since`: what they were made of is still needed.
  Result<std::vector<std::string>> TracesSince(Time since) const;
  Result<uint64_t> CountOf(const std::vector<std::string>& things) const;
  // Newest first; `after`: number of the last one of the page before (0: first page). *next is ""
  // at the end.
  Result<Json> ListJson(int64_t after, size_t limit, std::string* next) const;

 private:
  explicit Labels(storage::Records& records) : records_(records) {}
  storage::Records& records_;
};

}  // namespace penstock::learning
