// Numbers in the lines of our own files and of servers' answers.
#pragma once

#include <charconv>
#include <string_view>

namespace penstock::storage {

// The whole text is a number that `number` holds; else false, and what it holds is not said.
template <typename T>
bool TakeNumber(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace penstock::storage
