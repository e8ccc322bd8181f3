#include "commands/demo_site.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/log.h"

namespace penstock::commands {
namespace {

namespace fs = std::filesystem;
constexpr auto kFinishTimeout = std::chrono::seconds(20);

// Keeps the port taken until all are chosen, so that no two are the same.
class PortHolder {
 public:
  PortHolder() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~PortHolder() {
    if (fd_ >= 0) close(fd_);
  }
  PortHolder(const PortHolder&) = delete;
  PortHolder& operator=(const PortHolder&) = delete;

  Result<uint16_t> Take() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      return FromErrno(errno, "no free port on loopback");
    return ntohs(address.sin_port);
  }

 private:
  int fd_;
};

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

Status CopyOne(const fs::path& from, const fs::path& to, const DemoPorts& ports) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(from.string()));
  if (from.filename().string().ends_with(".td.json")) {
    ReplaceAll(text, "127.0.0.1:15020", fmt::format("127.0.0.1:{}", ports.modbus));
    ReplaceAll(text, "127.0.0.1:14840", fmt::format("127.0.0.1:{}", ports.opcua));
  }
  TRY(MakeFolders(to.parent_path().string()));
  return WriteFileAtomically(to.string(), text);
}

std::string ClockFile(const std::string& data) { return data + "/plant_time.json"; }

}  // namespace

Result<DemoPorts> FreeDemoPorts() {
  DemoPorts ports;
  PortHolder holders[4];
  uint16_t* wanted[4] = {&ports.http, &ports.mqtt, &ports.modbus, &ports.opcua};
  for (int i = 0; i < 4; ++i) {
    ASSIGN_OR_RETURN(*wanted[i], holders[i].Take());
  }
  return ports;
}

Result<Settings> CopyDemoSite(const Settings& example, const DemoPorts& ports,
                              const std::string& folder, bool anew) {
  const fs::path site = fs::path(folder) / "site";
  std::error_code error;
  if (anew) fs::remove_all(site, error);
  if (!fs::exists(site / "site.yaml")) {
    for (fs::recursive_directory_iterator it(example.folder, error), end; !error && it != end;
         it.increment(error)) {
      // Data of an earlier run may lie inside the example's folder; it is not part of the site.
      if (it->is_directory() && it->path() == fs::path(example.data))
        it.disable_recursion_pending();
      if (!it->is_regular_file() || it->path().string().starts_with(example.data + "/")) continue;
      TRY(CopyOne(it->path(), site / fs::relative(it->path(), example.folder), ports));
    }
    if (error) return FromErrno(error.value(), "cannot copy the example site " + example.folder);
  }
  ASSIGN_OR_RETURN(Settings settings, ReadSite(site.string()));
  settings.data = folder;
  settings.http.port = ports.http;
  settings.mqtt.port = ports.mqtt;
  return settings;
}

std::unique_ptr<ScaledClock> ResumeClock(const std::string& data, double speed,
                                         std::optional<Time> origin) {
  if (!origin) {
    origin = SystemClock().Now();
    if (const auto saved = ReadDocument(ClockFile(data)))
      if (const auto time = ParseTime(StringOr(*saved, "time", ""))) origin = *time;
  }
  return std::make_unique<ScaledClock>(*origin, speed);
}

Status SaveClock(const std::string& data, const Clock& clock, Duration ahead) {
  const Time time = clock.Now() + FromSeconds(ToSeconds(ahead) * clock.Speed());
  return WriteFileAtomically(ClockFile(data), Json{{"time", FormatTime(time)}}.dump());
}

Result<std::unique_ptr<PlantProcess>> PlantProcess::Start(const Options& options,
                                                          const ScaledClock& clock) {
  const std::vector<std::string> words = {"/proc/self/exe",
                                          "plant",
                                          "--summary",
                                          "--seed",
                                          std::to_string(options.seed),
                                          "--speed",
                                          fmt::format("{}", clock.Speed()),
                                          "--origin",
                                          FormatTime(clock.origin()),
                                          "--anchor",
                                          FormatTime(clock.anchor()),
                                          "--modbus-port",
                                          std::to_string(options.ports.modbus),
                                          "--opcua-port",
                                          std::to_string(options.ports.opcua),
                                          "--mqtt",
                                          fmt::format("127.0.0.1:{}", options.ports.mqtt),
                                          "--node",
                                          options.node_url,
                                          "--operator",
                                          options.answers_alarms ? "auto" : "follow",
                                          "--operator-error",
                                          fmt::format("{}", options.operator_error_rate),
                                          "--truth",
                                          options.truth_file};
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FromErrno(errno, "no pipe for the plant's summary");
  const pid_t pid = fork();
  if (pid < 0) return FromErrno(errno, "cannot start the plant");
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);  // The node waits for its signals blocked.
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // The plant ends with the node, also when that is killed.
    setpgid(0, 0);                     // Ctrl-C is for the node; it ends the plant itself.
    setenv("PENSTOCK_TOKEN", options.token.c_str(), 1);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  return std::unique_ptr<PlantProcess>(new PlantProcess(pid, ends[0]));
}

bool PlantProcess::Running() {
  if (pid_ <= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  pid_ = -1;
  return false;
}

Result<Json> PlantProcess::Finish() {
  if (pid_ > 0) kill(pid_, SIGTERM);
  std::string text;
  char buffer[4096];
  const auto deadline = std::chrono::steady_clock::now() + kFinishTimeout;
  while (std::chrono::steady_clock::now() < deadline) {
    pollfd poll_for{output_, POLLIN, 0};
    if (poll(&poll_for, 1, 200) <= 0) continue;
    const ssize_t got = read(output_, buffer, sizeof buffer);
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  if (pid_ > 0) {
    if (std::chrono::steady_clock::now() >= deadline) kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  auto summary = ParseJson(text);
  if (!summary) return DataLoss("the plant ended without a summary");
  return summary;
}

PlantProcess::~PlantProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    for (int i = 0; i < 50 && Running(); ++i) usleep(100'000);
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  close(output_);
}

}  // namespace penstock::commands
