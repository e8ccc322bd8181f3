// A machine is a piece of physics that moves in steps of one plant second: it knows its own state
// and what the line does to it, nothing of sensors, protocols or people. One file per machine in
// machines/.
//
// Thread rule: all of a Line is used by one thread at a time (Plant holds the lock).
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"

namespace penstock::plant {

// How the value travels; what is lost on the way is lost in training data too.
enum class Encoding {
  kFloat32,   // Two Modbus registers.
  kUnsigned,  // One Modbus register, counts of `step`.
  kSigned,
  kDouble,   // OPC UA.
  kText,     // JSON, rounded to `step`.
  kInteger,  // A count or a code.
  kBoolean,
};

struct PointKind {
  std::string_view property;  // As in the Thing Description.
  std::string_view unit;      // UCUM.
  Encoding encoding;
  double step;              // kUnsigned, kSigned, kText: value of one count; else 0.
  double minimum, maximum;  // The instrument's range, as in the Thing Description.
  double noise;  // Standard deviation of the instrument; 0: no instrument, so it cannot lie.
};

// A way to break. Damage grows from 0 to 1 over a life; severity = damage ^ growth is what the
// physics sees.
struct FaultKind {
  std::string_view name;     // The code: "bearing_wear".
  std::string_view summary;  // One sentence.
  double growth;             // Above 1: slow at first, quick in the end.
  double life_hours_min, life_hours_max;
};

struct Condition {
  int fault = -1;         // Row of Machine::faults(); -1: healthy.
  double severity = 0;    // 0..1
  bool available = true;  // Not failed, not in repair.

  double Of(int row) const { return fault == row ? severity : 0; }
};

// What the machines know of each other; written and read in the order of the step.
struct LineState {
  Time time{};
  // By the weather.
  double ambient = 15, hall = 20;  // Cel
  double humidity = 60;            // %
  // By the production plan.
  int product = 1;
  double rate_wanted = 0;   // Bottles per minute, 0 while stopped.
  double rate_nominal = 1;  // Of the product.
  double litres = 0.5, viscosity = 1, density = 1000,
         load = 1;  // mPa.s, kg/m3; load relative to product 1
  bool pump_wanted = true;
  bool rinsing = false;  // Change-over: the pump circulates water.
  // By the machines.
  bool pump_available = true, gearbox_available = true, filler_available = true;
  double flow = 0;         // m3/h behind the pump
  double bowl_level = 62;  // %
  double rate = 0;         // Bottles per minute as they come.
  double pump_kw = 0, gearbox_kw = 0;
};

class Machine {
 public:
  virtual ~Machine() = default;
  virtual std::string_view name() const = 0;  // "pump-7"
  virtual std::span<const PointKind> points() const = 0;
  virtual std::span<const FaultKind> faults() const { return {}; }
  // How often a value can be seen in one report interval: 1 or 2.
  virtual int reports_per_interval() const { return 1; }

  // A fault of this row begins: the machine may draw which part it hits.
  virtual void FaultBegins(int /*row*/) {}
  // New or mended parts are in; counters and heat stay.
  virtual void Repaired() {}
  virtual void Step(const Condition& condition, LineState& line) = 0;
  // The truth at row `point` after the step; what an instrument makes of it comes later.
  virtual double Value(size_t point) const = 0;

  // Property of the waveform, "" when there is none.
  virtual std::string_view waveform_property() const { return ""; }
  // Fills one plant second of it; values as they travel (rounded).
  virtual void Burst(std::span<double> /*out*/) {}
};

inline constexpr size_t kBurstSamples = 2048;  // One second at 2048 Hz.
inline constexpr double kSampleRateHz = 2048;

std::unique_ptr<Machine> MakeWeather(const Random& seed, Time start);
std::unique_ptr<Machine> MakePump(const Random& seed);
std::unique_ptr<Machine> MakeGearbox(const Random& seed);
std::unique_ptr<Machine> MakeFiller(const Random& seed);
std::unique_ptr<Machine> MakeEnergyMeter(const Random& seed);

}  // namespace penstock::plant
