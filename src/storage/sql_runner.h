// Asks a question in SQL in a process of its own and hands on what it answers. A question that is
// too slow is killed, one that needs too much memory ends by itself, and the node goes on.
//
// Thread rule: SqlRunner any thread; a SqlAnswer belongs to one caller at a time.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "storage/sql_job.h"

namespace penstock::storage {

class SqlAnswer {
 public:
  ~SqlAnswer();  // Kills the process when it still runs.
  SqlAnswer(const SqlAnswer&) = delete;
  SqlAnswer& operator=(const SqlAnswer&) = delete;

  // The next bytes of the answer, at most kSqlFrameMax; "" is the end. Waits for them; the time
  // waited in all calls together is what the limit is about. kDeadlineExceeded beyond it,
  // kInvalidArgument, kPermissionDenied, kNotFound with a place in the SQL, kResourceExhausted for
  // memory.
  Result<std::string> Next();
  // After the end.
  uint64_t rows() const { return rows_; }
  bool truncated() const { return truncated_; }

 private:
  friend class SqlRunner;
  class Place;
  SqlAnswer() = default;
  Status Give(const std::string& job);
  Status Read(char* to, size_t count);
  Status WaitFor(int fd, short events);
  Error WhyItEnded();
  void End();

  std::shared_ptr<Place> place_;
  int pid_ = -1, to_ = -1, from_ = -1;
  Duration limit_{0}, waited_{0};
  uint64_t rows_ = 0;
  bool truncated_ = false, done_ = false;
};

class SqlRunner {
 public:
  struct Options {
    // The program and its argument that lead to RunSqlWorker; a test brings its own.
    std::vector<std::string> worker = {"/proc/self/exe", "sql-worker"};
    size_t at_a_time = 2;
    Duration patience = std::chrono::seconds(5);  // For a free place.
  };
  SqlRunner();
  explicit SqlRunner(Options options);
  ~SqlRunner();

  // kResourceExhausted when no place becomes free in time. `limit`: time to wait for the answer.
  Result<std::unique_ptr<SqlAnswer>> Ask(const SqlJob& job, Duration limit);

 private:
  class Places;
  const Options options_;
  std::shared_ptr<Places> places_;  // Shared with the answers that hold one.
};

}  // namespace penstock::storage
