// Each part of a vibration is added with as few operations a sample as it allows, because a year of
// training data is made of these loops: tones and ringing are two-term recursions (a rotating
// pointer, a two-pole resonator), so no sine is taken inside a loop. The recursion for a tone
// drifts by about 1e-12 over a burst, far below the 0.001 mm/s that travel.
//
// The resonator is scaled so that a single blow peaks at about its `amplitude`: the first quarter
// period loses a factor exp(-pi / (4 quality)), which is compensated.
#include "plant/signal.h"

#include <cmath>
#include <numbers>

#include "plant/machine.h"

namespace penstock::plant {
namespace {
constexpr double kTurn = 2 * std::numbers::pi;
}

void AddTone(std::span<double> out, double frequency_hz, double amplitude, double phase) {
  const double w = kTurn * frequency_hz / kSampleRateHz;
  const double twice_cos = 2 * std::cos(w);
  double before = amplitude * std::sin(phase - 2 * w), last = amplitude * std::sin(phase - w);
  for (double& sample : out) {
    const double now = twice_cos * last - before;
    sample += now;
    before = last;
    last = now;
  }
}

void AddNoise(std::span<double> out, double deviation, Random& random) {
  for (double& sample : out) sample += deviation * random.Normal();
}

void AddGusts(std::span<double> out, double deviation, double share, Random& random) {
  constexpr size_t kGust = 32;  // About 16 ms.
  for (size_t from = 0; from < out.size(); from += kGust) {
    const double strength = random.Chance(share) ? deviation : 0.3 * deviation;
    AddNoise(out.subspan(from, std::min(kGust, out.size() - from)), strength, random);
  }
}

void AddImpacts(std::span<double> out, const Impacts& impacts, Random& random) {
  if (impacts.amplitude <= 0 || impacts.rate_hz <= 0) return;
  const double w = kTurn * impacts.resonance_hz / kSampleRateHz;
  const double decay = std::exp(-w / (2 * impacts.quality));
  const double a1 = 2 * decay * std::cos(w), a2 = -decay * decay;
  const double peak = std::exp(-std::numbers::pi / (4 * impacts.quality)) / std::sin(w);
  const double interval = kSampleRateHz / impacts.rate_hz;
  const double phase = random.Uniform(0, kTurn);
  double next = random.Uniform(0, interval), y1 = 0, y2 = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    double blow = 0;
    while (next < static_cast<double>(i + 1)) {
      const double load = std::sin(kTurn * impacts.load_hz * next / kSampleRateHz + phase);
      blow += impacts.amplitude / peak * (1 + impacts.load_depth * load) * random.Normal(1, 0.15);
      next += interval * std::max(0.2, random.Normal(1, impacts.jitter));
    }
    const double y = blow + a1 * y1 + a2 * y2;
    out[i] += y;
    y2 = y1;
    y1 = y;
  }
}

Wander::Wander(Random random, double memory_s)
    : random_(random),
      keep_(std::exp(-1 / memory_s)),
      kick_(std::sqrt(1 - keep_ * keep_)),
      value_(random_.Normal()) {}

double Wander::Step() { return value_ = keep_ * value_ + kick_ * random_.Normal(); }

}  // namespace penstock::plant
