// Seeded randomness: the same seed gives the same numbers on every machine and compiler.
//
// xoshiro256** (Blackman, Vigna, "Scrambled linear pseudorandom number generators", 2018), seeded
// by splitmix64. The standard library's distributions differ between vendors; these do not.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

namespace penstock {

class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9E3779B97F4A7C15ULL;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
      word = z ^ (z >> 31);
    }
  }

  uint64_t Next() {
    const uint64_t result = Rotate(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }  // [0, 1)
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>(Uniform() * static_cast<double>(bound));
  }
  bool Chance(double probability) { return Uniform() < probability; }
  double Exponential(double mean) { return -mean * std::log1p(-Uniform()); }

  double Normal() {  // Mean 0, deviation 1; Box-Muller, the second of the pair kept.
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2.0 * std::log1p(-Uniform()));
    const double angle = 2.0 * std::numbers::pi * Uniform();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }
  double Normal(double mean, double deviation) { return mean + deviation * Normal(); }

  // An independent stream for a named part, so that adding a part does not change the others.
  Random Fork(std::string_view name) const {
    uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3ULL;
    return Random(state_[0] ^ Rotate(state_[3], 23) ^ hash);
  }

 private:
  static uint64_t Rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  uint64_t state_[4];
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace penstock
