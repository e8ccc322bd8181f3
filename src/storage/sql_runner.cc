// posix_spawn, two pipes, frames. The child gets no file of ours but its two pipes and no
// environment but what a loader needs. A place is held from before the child starts until it is
// reaped, so that never more run than are allowed.
#include "storage/sql_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/metrics.h"
#include "storage/sql_guard.h"

extern char** environ;

namespace penstock::storage {
namespace {

Metric& Questions() {
  static Metric& metric = Counter("penstock_sql_questions_total", "SQL questions started.");
  return metric;
}
Metric& Killed() {
  static Metric& metric =
      Counter("penstock_sql_killed_total", "SQL questions ended by a limit of time or memory.");
  return metric;
}

void Close(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

std::vector<char*> Environment() {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    for (const std::string_view begin : {"LD_", "ASAN_", "UBSAN_", "LSAN_", "TSAN_", "PATH="})
      if (text.starts_with(begin)) kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

}  // namespace

class SqlRunner::Places {
 public:
  explicit Places(size_t count) : free_(count) {}
  bool Take(Duration patience) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [this] { return free_ > 0; })) return false;
    --free_;
    return true;
  }
  void Give() {
    {
      const std::lock_guard lock(mutex_);
      ++free_;
    }
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t free_;
};

class SqlAnswer::Place {
 public:
  explicit Place(std::function<void()> give) : give_(std::move(give)) {}
  ~Place() { give_(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  std::function<void()> give_;
};

SqlRunner::SqlRunner() : SqlRunner(Options()) {}
SqlRunner::SqlRunner(Options options)
    : options_(std::move(options)), places_(std::make_shared<Places>(options_.at_a_time)) {}
SqlRunner::~SqlRunner() = default;

Result<std::unique_ptr<SqlAnswer>> SqlRunner::Ask(const SqlJob& job, Duration limit) {
  if (!job.trusted) TRY(CheckSqlText(job.sql));
  if (!places_->Take(options_.patience)) {
    auto error = ResourceExhausted("{} other questions are being answered", options_.at_a_time);
    error.error().Fix("ask again later");
    return error;
  }
  std::unique_ptr<SqlAnswer> answer(new SqlAnswer);
  answer->place_ = std::make_shared<SqlAnswer::Place>([places = places_] { places->Give(); });
  answer->limit_ = limit;
  int to[2], from[2];
  if (pipe2(to, O_CLOEXEC) != 0) return FromErrno(errno, "cannot make a pipe");
  answer->to_ = to[1];
  if (pipe2(from, O_CLOEXEC) != 0) {
    close(to[0]);
    return FromErrno(errno, "cannot make a pipe");
  }
  answer->from_ = from[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], 0);
  posix_spawn_file_actions_adddup2(&actions, from[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  std::vector<std::string> words = options_.worker;
  std::vector<char*> arguments, environment = Environment();
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int failed = posix_spawn(&answer->pid_, words[0].c_str(), &actions, nullptr,
                                 arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  close(to[0]);
  close(from[1]);
  if (failed != 0) {
    answer->pid_ = -1;
    return FromErrno(failed, "cannot start " + words[0]);
  }
  Questions().Add();
  TRY(answer->Give(job.ToJson().dump(-1, ' ', false, Json::error_handler_t::replace)));
  return answer;
}

SqlAnswer::~SqlAnswer() { End(); }

void SqlAnswer::End() {
  Close(to_);
  Close(from_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  place_.reset();
}

// Waits until the pipe is ready, on the account of the limit.
Status SqlAnswer::WaitFor(int fd, short events) {
  const auto begin = std::chrono::steady_clock::now();
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    const Duration spent = waited_ + std::chrono::duration_cast<Duration>(now - begin);
    if (spent >= limit_) {
      waited_ = spent;
      Killed().Add();
      auto error = DeadlineExceeded("the query took longer than {}", FormatDuration(limit_));
      error.error().At("/sql").Fix("ask for a shorter time, or a longer ?timeout=");
      return error;
    }
    pollfd wait{fd, events, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit_ - spent);
    const int ready = poll(&wait, 1, static_cast<int>(std::min<int64_t>(left.count() + 1, 60'000)));
    if (ready < 0 && errno != EINTR) return FromErrno(errno, "cannot wait for an answer");
    if (ready <= 0) continue;
    waited_ += std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begin);
    return {};
  }
}

Status SqlAnswer::Give(const std::string& job) {
  if (fcntl(to_, F_SETFL, O_NONBLOCK) != 0) return FromErrno(errno, "cannot set up a pipe");
  for (std::string_view rest = job; !rest.empty();) {
    const ssize_t count = write(to_, rest.data(), rest.size());
    if (count > 0) {
      rest.remove_prefix(static_cast<size_t>(count));
    } else if (count < 0 && errno == EAGAIN) {
      TRY(WaitFor(to_, POLLOUT));
    } else if (count < 0 && errno != EINTR) {
      return std::unexpected(WhyItEnded());
    }
  }
  Close(to_);
  return {};
}

Status SqlAnswer::Read(char* to, size_t count) {
  while (count > 0) {
    TRY(WaitFor(from_, POLLIN));
    const ssize_t got = read(from_, to, count);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FromErrno(errno, "cannot read an answer");
    if (got == 0) return std::unexpected(WhyItEnded());
    to += got;
    count -= static_cast<size_t>(got);
  }
  return {};
}

// It closed its pipe without an end: it was killed, by us or by one of its walls.
Error SqlAnswer::WhyItEnded() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  Killed().Add();
  Error error{.code = Code::kResourceExhausted,
              .message = "the query needs more memory than it may have"};
  error.At("/sql").Fix("ask for fewer rows at a time, or aggregate first");
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
    error.code = Code::kDeadlineExceeded;
    error.message = "the query took more processor time than it may have";
  } else if (WIFEXITED(status)) {
    error = {.code = Code::kInternal,
             .message = fmt::format("the SQL process ended with {}", WEXITSTATUS(status))};
  }
  return error;
}

Result<std::string> SqlAnswer::Next() {
  if (done_) return std::string();
  char head[kSqlFrameHead];
  TRY(Read(head, sizeof head));
  size_t length = 0;
  for (size_t i = 0; i < 4; ++i)
    length |= static_cast<size_t>(static_cast<uint8_t>(head[1 + i])) << (8 * i);
  if (length > kSqlFrameMax) return Internal("the SQL process sent a frame of {} bytes", length);
  std::string payload(length, '\0');
  TRY(Read(payload.data(), length));
  switch (static_cast<SqlFrame>(head[0])) {
    case SqlFrame::kData:
      return payload;
    case SqlFrame::kError:
      done_ = true;
      End();
      return std::unexpected(ErrorFromJson(Json::parse(payload, nullptr, false)));
    case SqlFrame::kEnd: {
      const Json end = Json::parse(payload, nullptr, false);
      rows_ = static_cast<uint64_t>(end.is_object() ? NumberOr(end, "rows", 0) : 0);
      truncated_ = end.is_object() && BoolOr(end, "truncated", false);
      done_ = true;
      End();
      return std::string();
    }
  }
  return Internal("the SQL process sent a frame of kind {}", static_cast<int>(head[0]));
}

}  // namespace penstock::storage
