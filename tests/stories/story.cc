#include "tests/stories/story.h"

#include <charconv>
#include <sstream>

namespace penstock::stories {
namespace {

constexpr const char* kTitle = "# story:";

Result<std::vector<std::string>> Split(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  const auto finish = [&] {
    if (!word.empty()) words.push_back(std::exchange(word, ""));
  };
  for (const char c : line) {
    if (c == '"') {
      if (quoted) words.push_back(std::exchange(word, ""));
      quoted = !quoted;
    } else if (quoted) {
      word += c;
    } else if (c == ' ' || c == '\t' || c == ',') {
      finish();
      if (c == ',') words.emplace_back(",");
    } else if (c == '#') {
      break;
    } else {
      word += c;
    }
  }
  if (quoted) return InvalidArgument("a quote is not closed");
  finish();
  return words;
}

}  // namespace

Result<Story> ParseStory(const std::string& text) {
  Story story;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.starts_with(kTitle)) story.title = line.substr(std::string(kTitle).size() + 1);
    auto words = Split(line);
    if (!words) return InvalidArgument("line {}: {}", number, words.error().message);
    if (!words->empty()) story.steps.push_back({number, line, std::move(*words)});
  }
  if (story.title.empty()) return InvalidArgument("a story begins with \"{} TITLE\"", kTitle);
  return story;
}

const std::string& Words::Peek() const {
  static const std::string kNothing;
  return empty() ? kNothing : words_[next_];
}

bool Words::Take(const std::string& word) {
  if (Peek() != word || empty()) return false;
  ++next_;
  return true;
}

Result<std::string> Words::Word(const char* what) {
  if (empty()) return InvalidArgument("the step ends where {} should be", what);
  return words_[next_++];
}

Result<double> Words::Number(const char* what) {
  ASSIGN_OR_RETURN(const std::string text, Word(what));
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return InvalidArgument("\"{}\" is no number, {} should be here", text, what);
  return value;
}

Result<Duration> Words::Span(const char* what) {
  ASSIGN_OR_RETURN(const std::string text, Word(what));
  return ParseDuration(text);
}

Result<std::optional<std::string>> Words::Option(const std::string& word, const char* what) {
  if (!Take(word)) return std::nullopt;
  ASSIGN_OR_RETURN(std::string text, Word(what));
  return std::optional(std::move(text));
}

std::string Words::Rest() {
  std::string text;
  while (!empty()) text += (text.empty() ? "" : " ") + words_[next_++];
  return text;
}

Status Words::End() const {
  if (empty()) return {};
  return InvalidArgument("nothing is known of \"{}\" here", Peek());
}

}  // namespace penstock::stories
