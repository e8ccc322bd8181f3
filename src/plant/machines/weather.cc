// Air outside and in the hall: a yearly and a daily cycle (coldest before sunrise, warmest in
// mid-afternoon), fronts that pass within hours, and a hall that follows slowly. Humidity runs
// against the daily cycle.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "plant/machine.h"
#include "plant/signal.h"

namespace penstock::plant {
namespace {

constexpr std::array<PointKind, 2> kPoints = {{
    {"ambient_temperature", "Cel", Encoding::kText, 0.01, -30, 50, 0.04},
    {"humidity", "%", Encoding::kText, 0.01, 0, 100, 0.2},
}};

class Weather final : public Machine {
 public:
  Weather(const Random& seed, Time start)
      : front_(seed.Fork("front"), 10800), damp_(seed.Fork("damp"), 14400) {
    hall_ = HallTarget(Outside(start));
  }

  std::string_view name() const override { return "weather-1"; }
  std::span<const PointKind> points() const override { return kPoints; }

  void Step(const Condition&, LineState& line) override {
    front_.Step();
    damp_.Step();
    ambient_ = Outside(line.time);
    hall_ = Settle(hall_, HallTarget(ambient_), 5400);
    humidity_ = std::clamp(66 - 9 * Daily(line.time) + 7 * damp_.value(), 15.0, 99.0);
    line.ambient = ambient_;
    line.hall = hall_;
    line.humidity = humidity_;
  }

  double Value(size_t point) const override { return point == 0 ? ambient_ : humidity_; }

 private:
  static double HallTarget(double outside) { return 16 + 0.35 * outside; }
  static double Daily(Time time) {
    const double hours = ToSeconds(time.time_since_epoch() % std::chrono::days(1)) / 3600;
    return std::cos((hours - 14) / 24 * 2 * std::numbers::pi);  // Noon UTC is 13 in Cologne.
  }
  double Outside(Time time) const {
    const double days = ToSeconds(time.time_since_epoch()) / 86400;
    const double season =
        std::cos((days / 365.25 - 0.55) * 2 * std::numbers::pi);  // Peak in late July.
    return 11 + 8.5 * season + 4.5 * Daily(time) + 1.8 * front_.value();
  }

  Wander front_, damp_;
  double ambient_ = 15, hall_ = 20, humidity_ = 60;
};

}  // namespace

std::unique_ptr<Machine> MakeWeather(const Random& seed, Time start) {
  return std::make_unique<Weather>(seed, start);
}

}  // namespace penstock::plant
