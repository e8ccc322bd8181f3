// fault_probe: kills and breaks a fabric without a network, many times a second.
//
//   kill  --folder F --kills N --seed S    children write until they are killed; one folder for all
//   calls --folder F --error E --count C   lets the k-th call fail, for each k; wants the fault
//   shim
//
// Both print one line of JSON; exit 1 with "complaint" when something acknowledged was lost,
// doubled or torn. A check runs in a child too, so that this process never opens DuckDB and stays
// safe to fork.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "call_faults.h"
#include "children.h"
#include "fabric.h"

namespace penstock::faults {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// What a child does until it is killed: eight writers, somebody who flushes and one who keeps
// records.
[[noreturn]] void WriteUntilKilled(const std::string& folder, Ledger& ledger, uint64_t seed) {
  auto opened = Fabric::Open(folder, {});
  if (!opened) ChildFails("open: " + opened.error().ToString());
  Fabric& fabric = **opened;
  std::vector<std::jthread> threads;
  for (uint32_t writer = 0; writer < kWriters; ++writer)
    threads.emplace_back([&, writer] {
      Random random(seed + writer);
      while (true) {
        if (const Status sent = fabric.Send(ledger, writer, seed); !sent)
          ChildFails("write: " + sent.error().ToString());
        std::this_thread::sleep_for(microseconds(random.Below(6000)));
      }
    });
  threads.emplace_back([&] {
    while (true)
      if (const Status kept = fabric.Record(ledger); !kept)
        ChildFails("record: " + kept.error().ToString());
      else
        std::this_thread::sleep_for(milliseconds(3));
  });
  Random random(static_cast<uint64_t>(getpid()));
  while (true) {
    std::this_thread::sleep_for(milliseconds(2 + random.Below(40)));
    if (const Status flushed = fabric.Flush(); !flushed)
      ChildFails("flush: " + flushed.error().ToString());
  }
}

std::string CheckInChild(const std::string& folder, const Ledger& ledger, uint64_t seed) {
  return RunChild(std::chrono::seconds(120), [&] {
    auto opened = Fabric::Open(folder, {});
    if (!opened) ChildFails("open: " + opened.error().ToString());
    if (const std::string complaint = (*opened)->Complaint(ledger, seed); !complaint.empty())
      ChildFails(complaint);
  });
}

// Sends what was on the way once more and stops in order: all is in files then.
std::string FinishInChild(const std::string& folder, Ledger& ledger, uint64_t seed) {
  return RunChild(std::chrono::seconds(120), [&] {
    auto opened = Fabric::Open(folder, {});
    if (!opened) ChildFails("open: " + opened.error().ToString());
    for (uint32_t writer = 0; writer < kWriters; ++writer)
      if (const Status sent = (*opened)->Send(ledger, writer, seed); !sent)
        ChildFails("write: " + sent.error().ToString());
    opened->reset();
  });
}

int Kill(const std::string& folder, uint64_t kills, uint64_t seed) {
  std::filesystem::create_directories(folder);
  Ledger& ledger = Ledger::Map(folder + "/ledger");
  Random random(seed);
  uint64_t next_check = 25, during_start = 0;
  std::string complaint;
  for (uint64_t kill = 1; kill <= kills && complaint.empty(); ++kill) {
    // A third of the kills meets the start: recovery must survive being killed too.
    const bool early = random.Below(3) == 0;
    during_start += early ? 1 : 0;
    const auto patience =
        microseconds(early ? 500 + random.Below(20'000) : 15'000 + random.Below(90'000));
    complaint = KillChild(patience, [&] { WriteUntilKilled(folder, ledger, seed); });
    if (complaint.empty() && (kill == next_check || kill == kills)) {
      complaint = CheckInChild(folder, ledger, seed);
      next_check = std::max(kill + 25, kill * 5 / 4);
    }
    if (!complaint.empty()) complaint = fmt::format("after kill {}: {}", kill, complaint);
  }
  if (complaint.empty()) complaint = FinishInChild(folder, ledger, seed);
  if (complaint.empty()) complaint = CheckInChild(folder, ledger, seed);
  uint64_t samples = 0;
  for (const auto& point : ledger.acknowledged) samples += point;
  fmt::print("{}\n", Json{{"kills", kills},
                          {"during_start", during_start},
                          {"seed", seed},
                          {"samples", samples},
                          {"commits", ledger.commits.load()},
                          {"records", ledger.records.load()},
                          {"complaint", complaint}}
                         .dump());
  return complaint.empty() ? 0 : 1;
}

int Main(int count, char** words) {
  std::map<std::string, std::string> options;
  for (int i = 2; i + 1 < count; i += 2) options[words[i]] = words[i + 1];
  const auto number = [&](const char* name, uint64_t otherwise) {
    return options.contains(name) ? std::stoull(options[name]) : otherwise;
  };
  const std::string command = count > 1 ? words[1] : "", folder = options["--folder"];
  SetLogLevel(LogLevel::kError);
  if (command == "kill" && !folder.empty())
    return Kill(folder, number("--kills", 100), number("--seed", 1));
  if (command == "calls" && !folder.empty())
    return TryCalls({.folder = folder,
                     .error = options["--error"],
                     .count = number("--count", 1),
                     .from = number("--from", 1),
                     .stride = number("--stride", 1),
                     .seed = number("--seed", 1)});
  fmt::print(stderr,
             "fault_probe kill  --folder F [--kills N] [--seed S]\n"
             "fault_probe calls --folder F --error ENOSPC|EIO|short [--count C] [--from K] "
             "[--stride D] [--seed S]\n");
  return 2;
}

}  // namespace
}  // namespace penstock::faults

int main(int count, char** words) { return penstock::faults::Main(count, words); }
