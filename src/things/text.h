// Characters and words as addresses, units and names need them: ASCII alone, whatever the locale.
#pragma once

#include <string>
#include <string_view>

namespace penstock::things {

inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// "discharge_pressure" -> "Discharge pressure": the title of what has none.
inline std::string TitleOf(std::string_view name) {
  std::string title(name);
  for (char& c : title)
    if (c == '-' || c == '_') c = ' ';
  if (!title.empty() && title[0] >= 'a' && title[0] <= 'z')
    title[0] = static_cast<char>(title[0] - 'a' + 'A');
  return title;
}

}  // namespace penstock::things
