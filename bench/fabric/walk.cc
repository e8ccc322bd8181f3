// Integers throughout: a value is a number of hundredths, a step a draw from a table of 4,096
// quantiles of the normal distribution, so that generating costs less than what any server does
// with it.
#include "walk.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace penstock::bench {
namespace {

constexpr int kQuantiles = 4096;
constexpr int32_t kTop = 100 * 100;

// Quantiles of N(0, 1) in hundredths, by bisection of erf.
std::array<int16_t, kQuantiles> MakeQuantiles() {
  std::array<int16_t, kQuantiles> table{};
  for (int i = 0; i < kQuantiles; ++i) {
    const double p = (i + 0.5) / kQuantiles;
    double low = -6, high = 6;
    for (int round = 0; round < 40; ++round) {
      const double middle = (low + high) / 2;
      (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
    }
    table[static_cast<size_t>(i)] = static_cast<int16_t>(std::lround(100 * low));
  }
  return table;
}

const std::array<int16_t, kQuantiles> kSteps = MakeQuantiles();

uint64_t Mix(uint64_t x) {  // SplitMix64 (Steele, Lea, Flood 2014).
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

template <size_t N>
const char* Pick(const std::array<const char*, N>& from, uint64_t number) {
  return from[number % N];
}

std::string KeyOf(int host) {
  static constexpr std::array<const char*, 9> kRegions = {
      "us-east-1",      "us-west-1",      "us-west-2",      "eu-west-1", "eu-central-1",
      "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "sa-east-1"};
  static constexpr std::array<const char*, 3> kSystems = {"Ubuntu16.10", "Ubuntu16.04LTS",
                                                          "Ubuntu15.10"};
  static constexpr std::array<const char*, 4> kTeams = {"SF", "NYC", "LON", "CHI"};
  static constexpr std::array<const char*, 3> kPlaces = {"production", "staging", "test"};
  const uint64_t draw = Mix(static_cast<uint64_t>(host) + 77);
  const char* region = Pick(kRegions, draw);
  char text[320];
  std::snprintf(text, sizeof text,
                "cpu,thing=host_%04d,region=%s,datacenter=%s%c,rack=%d,os=%s,arch=%s,team=%s,"
                "service=%d,service_version=%d,service_environment=%s",
                host, region, region, static_cast<char>('a' + (draw >> 8) % 3),
                static_cast<int>((draw >> 12) % 100), Pick(kSystems, draw >> 20),
                (draw >> 24) % 2 == 0 ? "x86" : "x64", Pick(kTeams, draw >> 28),
                static_cast<int>((draw >> 32) % 20), static_cast<int>((draw >> 40) % 2),
                Pick(kPlaces, draw >> 44));
  return text;
}

char* PutNumber(char* at, uint64_t value) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) *at++ = digits[--count];
  return at;
}

// "58.13"; always two decimals, as a device with that resolution prints them.
char* PutHundredths(char* at, int32_t centi) {
  at = PutNumber(at, static_cast<uint64_t>(centi / 100));
  *at++ = '.';
  *at++ = static_cast<char>('0' + centi / 10 % 10);
  *at++ = static_cast<char>('0' + centi % 10);
  return at;
}

}  // namespace

std::string FieldName(int field) {
  static constexpr std::array<const char*, 10> kNames = {
      "usage_user", "usage_system",  "usage_idle",  "usage_nice",  "usage_iowait",
      "usage_irq",  "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice"};
  const std::string name = kNames[static_cast<size_t>(field % 10)];
  return field < 10 ? name : name + "_" + std::to_string(field / 10);
}

Walk::Walk(const WalkOptions& options) : options_(options) {
  for (int field = 0; field < options.fields; ++field)
    fields_.push_back((field == 0 ? " " : ",") + FieldName(field) + "=");
  for (int i = 0; i < options.hosts; ++i) {
    const int host = options.first_host + i;
    keys_.push_back(KeyOf(host));
    uint64_t state = Mix(options.seed * 1'000'003 + static_cast<uint64_t>(host));
    for (int field = 0; field < options_.fields; ++field) {
      state = Mix(state);
      centi_.push_back(static_cast<int32_t>(state % kTop));
    }
    random_.push_back(state | 1);
  }
}

void Walk::Skip(int64_t steps) {
  for (int64_t i = 0; i < steps; ++i) Advance();
}

void Walk::Advance() {
  ++step_;
  for (size_t host = 0; host < random_.size(); ++host) {
    uint64_t& x = random_[host];
    int32_t* values = &centi_[host * fields_.size()];
    uint64_t bits = 0;
    for (int field = 0; field < options_.fields; ++field) {
      if (field % 5 == 0) {  // xorshift64* (Vigna 2016); twelve bits a draw.
        x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
        bits = x * 0x2545f4914f6cdd1dULL;
      }
      const auto draw = static_cast<size_t>(bits >> 52);
      bits <<= 12;
      values[field] = std::clamp<int32_t>(values[field] + kSteps[draw], 0, kTop);
    }
  }
}

void Walk::Lines(int host, int count, std::string& out) const {
  const int64_t time_ns = (options_.start_s + step_ * options_.spacing_s) * 1'000'000'000;
  char line[360 + kFieldsMax * 40];
  for (int i = host; i < host + count; ++i) {
    const std::string& key = keys_[static_cast<size_t>(i)];
    const int32_t* values = &centi_[static_cast<size_t>(i) * fields_.size()];
    std::memcpy(line, key.data(), key.size());
    char* at = line + key.size();
    for (size_t field = 0; field < fields_.size(); ++field) {
      std::memcpy(at, fields_[field].data(), fields_[field].size());
      at = PutHundredths(at + fields_[field].size(), values[field]);
    }
    *at++ = ' ';
    at = PutNumber(at, static_cast<uint64_t>(time_ns));
    *at++ = '\n';
    out.append(line, static_cast<size_t>(at - line));
  }
}

}  // namespace penstock::bench
