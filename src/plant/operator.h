// The plant's own people. They know the machines but not the model: they read alarms over REST as
// anybody would, walk to the machine, and mend what they find.
//
//   follow  somebody else answers the alarms; a verdict "true fault" sends the crew
//   auto    the crew answers too, after looking at the machine, and errs now and then
//   none    nobody comes before a breakdown
//
// Thread rule: one thread at a time.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "plant/node_client.h"
#include "plant/truth.h"

namespace penstock::plant {

enum class CrewMode { kNone, kFollow, kAuto };
Result<CrewMode> ParseCrewMode(std::string_view text);  // "none" | "follow" | "auto"

// The shop floor, as the crew can see and change it.
class Floor {
 public:
  virtual ~Floor() = default;
  virtual Time Now() = 0;  // Plant time.
  virtual Inspection Inspect(const std::string& machine, Time raised) = 0;
  virtual void BeginRepair(const std::string& machine, Duration length,
                           std::string_view reason) = 0;
  virtual void RepairSensors(const std::string& machine) = 0;
  virtual void WriteTruth(std::string_view event, Json fields) = 0;
};

struct CrewAnswer {
  std::string alarm, machine, kind, code;
  bool wrong = false;  // Erred.
  Time at{};
};

class Crew {
 public:
  Crew(CrewMode mode, double error_rate, const Random& seed, Floor& floor, NodeClient& node);

  // Reads the open alarms once and does what is due.
  void Round();
  const std::vector<CrewAnswer>& answers() const { return answers_; }

 private:
  struct Watched {
    std::string machine, cause;
    Time raised{};
    std::optional<Time> answer_at;
    bool open = true, done = false;
  };
  struct Visit {
    Time at;
    bool sensors;
  };

  void Notice(const std::string& id, const Json& alarm, Time now);
  void LookForVanished();
  void AnswerWhatIsDue(Time now);
  Json Judge(const std::string& id, const Watched& watched, CrewAnswer& answer);
  void HandleVerdict(const std::string& machine, const std::string& kind);
  void VisitWhatIsDue(Time now);
  void Forget();
  Duration Minutes(double low, double high);

  CrewMode mode_;
  double error_rate_;
  Random random_;
  Floor& floor_;
  NodeClient& node_;
  std::map<std::string, Watched> alarms_;
  std::map<std::string, Visit> visits_;  // By machine; the next one.
  std::vector<CrewAnswer> answers_;
};

}  // namespace penstock::plant
