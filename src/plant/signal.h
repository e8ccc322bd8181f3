// Vibration of rotating machines, put together from what causes it: tones at multiples of the
// shaft's speed, impacts of a damaged bearing that ring a resonance, and noise. In place, 2048
// samples at 2048 Hz.
#pragma once

#include <span>

#include "base/random.h"

namespace penstock::plant {

// amplitude * sin(2 pi f t + phase).
void AddTone(std::span<double> out, double frequency_hz, double amplitude, double phase);

void AddNoise(std::span<double> out, double deviation, Random& random);

// Noise that comes in gusts: a share of the time at full strength, quiet between; collapse of
// vapour bubbles.
void AddGusts(std::span<double> out, double deviation, double share, Random& random);

// A rolling element passes a damaged spot `rate_hz` times a second; each blow rings the housing.
struct Impacts {
  double rate_hz;
  double resonance_hz;
  double quality;     // Of the resonance: rings for about quality / pi periods.
  double amplitude;   // Peak of one blow.
  double jitter;      // Of the interval, relative: rolling elements slip.
  double load_hz;     // The spot moves through the load zone this often ...
  double load_depth;  // ... and is hit harder there, 0..1.
};
void AddImpacts(std::span<double> out, const Impacts& impacts, Random& random);

// A value that wanders about 0 with deviation 1 and forgets itself after `memory_s`.
class Wander {
 public:
  Wander(Random random, double memory_s);
  double Step();  // One plant second.
  double value() const { return value_; }

 private:
  Random random_;
  double keep_, kick_;
  double value_;
};

// Moves `value` towards `target` with the time constant, one plant second.
inline double Settle(double value, double target, double time_constant_s) {
  return value + (target - value) / time_constant_s;
}

}  // namespace penstock::plant
