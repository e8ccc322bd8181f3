#include "children.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/check.h"

namespace penstock::faults {
namespace {

int complaints = -1;  // The child's end of the pipe.

struct Child {
  pid_t pid = -1;
  int pipe = -1;
};

Child Start(const std::function<void()>& work) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    close(ends[0]);
    complaints = ends[1];
    work();
    _exit(0);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

std::string End(const Child& child, bool killed, const std::string& hung) {
  std::string said(4096, 0);
  const ssize_t size = read(child.pipe, said.data(), said.size());
  said.resize(size > 0 ? static_cast<size_t>(size) : 0);
  close(child.pipe);
  int status = 0;
  waitpid(child.pid, &status, 0);
  if (!said.empty()) return said;
  if (!hung.empty()) return hung;
  if (WIFSIGNALED(status) && !(killed && WTERMSIG(status) == SIGKILL))
    return std::string("ended by signal ") + strsignal(WTERMSIG(status));
  if (WIFEXITED(status) && (killed || WEXITSTATUS(status) != 0))
    return "ended by itself with " + std::to_string(WEXITSTATUS(status));
  return "";
}

}  // namespace

void ChildFails(const std::string& complaint) {
  (void)!write(complaints, complaint.data(), complaint.size());
  _exit(3);
}

std::string RunChild(std::chrono::milliseconds patience, const std::function<void()>& work) {
  const Child child = Start(work);
  pollfd ready{child.pipe, POLLIN, 0};  // Also when the child has gone.
  std::string hung;
  if (poll(&ready, 1, static_cast<int>(patience.count())) == 0) {
    hung = "hung for " + std::to_string(patience.count()) + " ms";
    kill(child.pid, SIGKILL);
  }
  return End(child, false, hung);
}

std::string KillChild(std::chrono::microseconds patience, const std::function<void()>& work) {
  const Child child = Start(work);
  std::this_thread::sleep_for(patience);
  kill(child.pid, SIGKILL);
  return End(child, true, "");
}

}  // namespace penstock::faults
