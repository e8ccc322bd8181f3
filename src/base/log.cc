#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace penstock {
namespace {

constexpr auto kQuiet = std::chrono::seconds(10);
constexpr size_t kMaxKeys = 1000;

spdlog::logger& Logger() {
  static const auto logger = [] {
    const bool colour = isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
        colour ? spdlog::color_mode::always : spdlog::color_mode::never);
    auto made = std::make_shared<spdlog::logger>("penstock", sink);
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-5l%$ %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

struct Held {
  std::chrono::steady_clock::time_point next;
  uint64_t count = 0;
};

}  // namespace

void SetLogLevel(LogLevel level) { Logger().set_level(LevelOf(level)); }
void LogText(LogLevel level, std::string_view text) {
  Logger().log(LevelOf(level), spdlog::string_view_t(text.data(), text.size()));
}

void LogSometimes(LogLevel level, std::string_view key, std::string_view text) {
  static std::mutex mutex;
  static auto* held = new std::map<std::string, Held, std::less<>>;
  std::string line(text);
  {
    const std::lock_guard lock(mutex);
    const auto now = std::chrono::steady_clock::now();
    if (held->size() > kMaxKeys) held->clear();
    Held& state = (*held)[std::string(key)];
    if (now < state.next) {
      ++state.count;
      return;
    }
    if (state.count > 0) line += fmt::format(" ({} more like this)", state.count);
    state = {now + kQuiet, 0};
  }
  LogText(level, line);
}

}  // namespace penstock
