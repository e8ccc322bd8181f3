// The world of a story: a site in a temporary folder, a whole node in memory on a clock that only
// the story moves.
//
// People and programs reach the node through its routes, with roles, problems and audit, but
// without a socket. Field values come as drivers bring them: batches into the pipeline.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "node.h"
#include "storage/temporary_folder.h"
#include "tests/stories/log_tape.h"

namespace penstock::stories {

struct Answer {
  int status = 0;
  std::string text;
  Json body;  // null when the text is no JSON.
};

class World {
 public:
  World();
  ~World();

  // The site as it comes from `folder`; before anything else. Without it: tests/stories/site.
  Status CopySite(const std::string& folder);
  std::string site() const { return folder_ / "site"; }
  std::string data() const { return folder_ / "data"; }

  Status Start();  // Nothing if it runs.
  void Stop();
  bool started() const { return node_ != nullptr; }
  const api::Services& services() const { return node_->services(); }

  ManualClock& clock() { return clock_; }
  void Housekeep();          // What the node does by itself twice a second.
  void Wait(Duration time);  // Lets it pass in steps.

  // A user of this name, logged in.
  Status AddPerson(const std::string& name, const std::string& role);
  // As a program with this role ("viewer"), or as that person; `path` may have a query.
  Result<Answer> Ask(const std::string& role, const std::string& method, const std::string& path,
                     const std::string& body = "");
  Result<Json> Get(const std::string& path);  // As a viewer; an error unless 200.
  // Durable when it returns.
  Status Send(telemetry::Batch batch);

  std::string Log() const { return tape_.Text(); }

  Answer last_answer;  // Of the latest request of a step.

 private:
  LogTape tape_;
  const storage::TemporaryFolder folder_;
  ManualClock clock_;
  std::unique_ptr<Node> node_;
  std::map<std::string, std::string> tokens_;    // By role.
  std::map<std::string, std::string> sessions_;  // By person.
};

}  // namespace penstock::stories
