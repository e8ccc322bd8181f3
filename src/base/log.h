// The program's own log, on stderr: LogInfo("modbus {}: connected", address). No colour without a
// terminal or with NO_COLOR. A message that would repeat at a device's pace goes through
// LogSometimes.
#pragma once

#include <chrono>
#include <string_view>

#include <fmt/format.h>

namespace penstock {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

void SetLogLevel(LogLevel level);
void LogText(LogLevel level, std::string_view text);

template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  LogText(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  LogText(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogWarn(fmt::format_string<Args...> format, Args&&... args) {
  LogText(LogLevel::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  LogText(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

// At most one line per `key` and 10 s; says how many were held back.
void LogSometimes(LogLevel level, std::string_view key, std::string_view text);

}  // namespace penstock
