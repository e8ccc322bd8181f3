// A driver speaks with one source in the field (a Modbus address, an OPC UA endpoint, a broker) and
// turns what it hears into samples. Drivers keeps one driver per source of the directory's
// snapshot.
//
// Thread rule: Drivers and Driver are called from one thread; samples and events come from the
// drivers' own threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "telemetry/device_events.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::protocols {

struct UserPassword {
  std::string user;
  std::string password;
};

// Who we are to a foreign server, by the source's address ("opc.tcp://10.0.0.9:4840"). A Thing
// Description says only that a password is wanted; the password itself never stands in a file under
// version control.
using CredentialLookup = std::function<std::optional<UserPassword>(std::string_view address)>;

// What every driver works with. All of it outlives the drivers.
struct DriverContext {
  const Clock& clock;
  telemetry::SampleSink& samples;
  telemetry::QuarantineSink& quarantine;
  telemetry::DeviceEvents& events;
  CredentialLookup credentials = nullptr;
};

struct SourcePoint {
  things::Point point;
  things::Form form;  // The one form that is used.
};

// All points that one address serves, possibly of several things.
struct Source {
  std::string address;          // "modbus+tcp://10.0.0.7:502"
  bool wants_password = false;  // The Thing Description's security is "basic".
  std::vector<SourcePoint> points;

  std::vector<std::string> things() const;  // Sorted, each once.
  // Equal text means that a running driver need not be restarted.
  std::string Fingerprint() const;
};

class Driver {
 public:
  virtual ~Driver() = default;
  // Returns at once; connecting and reconnecting happen on the engine's thread.
  virtual Status Start() = 0;
  // After Stop no sample and no event comes from this source.
  virtual void Stop() = 0;
};

// What the drivers of one protocol share: a thread, an event loop. Made with the first source,
// outlives its drivers.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::unique_ptr<Driver> Open(Source source) = 0;
};

// A protocol as a row: configuration check, console and documentation are made from these.
struct ProtocolKind {
  std::string_view name;       // "modbus": also what DeviceEvents hears.
  std::string_view scheme;     // Of the source's address: "modbus+tcp".
  std::string_view summary;    // One sentence, shown in the console.
  std::string_view reference;  // The specification it follows.
  things::Protocol protocol;
  // The address of the source that serves the form; "" when no driver dials out for it.
  std::string (*address)(const things::Form& form);
  std::unique_ptr<Engine> (*engine)(const DriverContext& context);
};

std::vector<const ProtocolKind*> ProtocolKinds();

// The sources that the snapshot's forms name, by kind and address.
std::map<const ProtocolKind*, std::map<std::string, Source>> SourcesOf(
    const things::Snapshot& snapshot);

class Drivers {
 public:
  explicit Drivers(DriverContext context);
  ~Drivers();
  Drivers(const Drivers&) = delete;
  Drivers& operator=(const Drivers&) = delete;

  // Starts what is new, stops what is gone, restarts what changed; the rest runs on undisturbed.
  void Apply(const things::Snapshot& snapshot);
  void Stop();

  std::vector<std::string> addresses() const;  // Of the running sources, sorted.

 private:
  struct Running {
    std::string fingerprint;
    std::unique_ptr<Driver> driver;
  };
  struct Protocol {
    std::unique_ptr<Engine> engine;
    std::map<std::string, Running> running;  // By address. Gone before the engine.
  };
  void Apply(const ProtocolKind& kind, std::map<std::string, Source> wanted);

  DriverContext context_;
  std::map<const ProtocolKind*, Protocol> protocols_;
};

}  // namespace penstock::protocols
