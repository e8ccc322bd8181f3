// For each k a child lives through the same short life on a copy of the same folder, and its k-th
// call on a file of that folder fails. What a life may do: say that something did not work, and try
// again as a device or a node does. What it may not: call anything acknowledged that is not there
// afterwards, crash, hang, or still fail when the fault is over. The folder it begins with was left
// by a killed process, so that recovery is part of the life.
#include "call_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "../shim/control.h"
#include "base/check.h"
#include "base/json.h"
#include "children.h"
#include "fabric.h"

namespace penstock::faults {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int kRounds = 9;
constexpr int kAttempts = 200;
constexpr milliseconds kPatience{60'000};
constexpr FabricOptions kOptions{.background = false,
                                 .retry_for = milliseconds(0),
                                 .segment_bytes = 8 << 10,
                                 .log_bytes_max = 1 << 20};

Control& MapControl() {
  const char* path = getenv("PENSTOCK_FAULT_CONTROL");
  CHECK(path != nullptr);
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  CHECK(fd >= 0);
  void* page = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(page != MAP_FAILED);
  return *static_cast<Control*>(page);
}

// Tries until it works; a fault that is over must not fail for ever.
template <typename Work>
void Insist(const char* what, const Control& control, const Work& work) {
  for (int attempt = 0;; ++attempt) {
    const Status done = work();
    if (done) return;
    if (attempt == kAttempts)
      ChildFails(fmt::format("{} still fails {} calls after the fault: {}", what,
                             control.calls - control.fail_at, done.error().ToString()));
    usleep(500);
  }
}

class Life {
 public:
  Life(const CallFaults& faults, Ledger& ledger, Control& control)
      : faults_(faults), ledger_(ledger), control_(control) {}

  void Live() {
    Open();
    for (int round = 0; round < kRounds; ++round) {
      for (uint32_t writer = 0; writer < 2; ++writer)
        Insist("a write", control_, [&] { return Send(writer); });
      Insist("a record", control_, [&] { return fabric_->Record(ledger_); });
      if (round % 2 == 1) Insist("a flush", control_, [&] { return fabric_->Flush(); });
    }
    fabric_.reset();
  }

 private:
  void Open() {
    fabric_.reset();
    Insist("a start", control_, [&]() -> Status {
      ASSIGN_OR_RETURN(fabric_, Fabric::Open(faults_.folder, kOptions));
      return {};
    });
  }
  Status Send(uint32_t writer) {
    const Status sent = fabric_->Send(ledger_, writer, faults_.seed);
    // The one state that only a new start ends, and it says so.
    if (!sent && sent.error().message.find("takes no more records") != std::string::npos) Open();
    return sent;
  }

  const CallFaults& faults_;
  Ledger& ledger_;
  Control& control_;
  std::unique_ptr<Fabric> fabric_;
};

std::string Check(const CallFaults& faults, Ledger& ledger) {
  return RunChild(kPatience, [&] {
    auto opened = Fabric::Open(faults.folder, kOptions);
    if (!opened) ChildFails("afterwards it does not start: " + opened.error().ToString());
    std::string complaint = (*opened)->Complaint(ledger, faults.seed);
    if (complaint.empty()) {
      if (const Status sent = (*opened)->Send(ledger, 0, faults.seed); !sent)
        complaint = "afterwards it takes nothing: " + sent.error().ToString();
    }
    if (!complaint.empty()) ChildFails(complaint);
  });
}

void Restore(const std::string& from, const std::string& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

}  // namespace

int TryCalls(const CallFaults& faults) {
  Control& control = MapControl();
  const int error = faults.error == "ENOSPC" ? ENOSPC : faults.error == "EIO" ? EIO : kShortWrite;
  const std::string start = faults.folder + ".start",
                    ledger_start = faults.folder + ".ledger-start";
  control.kinds = 0;
  fs::remove_all(faults.folder);
  fs::remove_all(start);
  fs::remove(faults.folder + ".ledger");
  fs::create_directories(faults.folder);
  Ledger& ledger = Ledger::Map(faults.folder + ".ledger");
  // The folder that every life begins with: files, an unfinished log, records; its process just
  // vanished.
  std::string complaint = RunChild(kPatience, [&] {
    auto fabric = Fabric::Open(faults.folder, kOptions).value();
    for (int round = 0; round < 6; ++round) {
      for (uint32_t writer = 0; writer < 2; ++writer)
        CHECK(fabric->Send(ledger, writer, faults.seed).has_value());
      CHECK(fabric->Record(ledger).has_value());
      if (round == 1 || round == 3) CHECK(fabric->Flush().has_value());
    }
    _exit(0);
  });
  CHECK(complaint.empty());
  fs::rename(faults.folder, start);
  fs::copy(faults.folder + ".ledger", ledger_start, fs::copy_options::overwrite_existing);
  Bytes books(sizeof(Ledger));
  std::memcpy(books.data(), static_cast<const void*>(&ledger), books.size());

  std::snprintf(control.folder, sizeof control.folder, "%s/", faults.folder.c_str());
  control.error = error;
  control.fail_count = faults.count;
  uint64_t lives = 0, calls = 0;
  Json complaints = Json::array();
  std::set<std::string> sites;
  for (uint64_t k = faults.from;; k += faults.stride) {
    Restore(start, faults.folder);
    std::memcpy(static_cast<void*>(&ledger), books.data(), books.size());
    control.calls = control.hits = 0;
    control.fail_at = k;
    // Reading faults are their own case: a short write or a full disk has none.
    control.kinds = kOpen | kWrite | kSync | kTruncate | kRename | kUnlink | kMakeFolder |
                    (error == EIO ? kRead : Calls{});
    complaint = RunChild(kPatience, [&] { Life(faults, ledger, control).Live(); });
    control.kinds = 0;
    calls = control.calls;
    const bool hit = control.hits > 0;
    ++lives;
    if (hit) sites.insert(std::string(control.last).substr(0, std::strcspn(control.last, " ")));
    if (complaint.empty()) complaint = Check(faults, ledger);
    if (!complaint.empty())
      complaints.push_back(fmt::format("call {} ({}): {}", k, control.last, complaint));
    if (k > calls || complaints.size() >= 20) break;
  }
  fmt::print("{}\n", Json{{"error", faults.error},
                          {"in_a_row", faults.count},
                          {"lives", lives},
                          {"calls_of_a_life", calls},
                          {"kinds", sites},
                          {"complaints", complaints}}
                         .dump());
  return complaints.empty() ? 0 : 1;
}

}  // namespace penstock::faults
