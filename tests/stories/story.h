// A story: a text file of one step a line, in words that a person of the plant would use.
//
//   # story: title
//   thing  pump-7 from pump.tm.json
//   send   pump-7 vibration_mm_s 7.9 8.3 8.1 every 10s for 10min
//   expect alarm bearing_wear active unacknowledged
//
// Words stand between blanks; "a text in quotes" is one word; a comma is a word of its own. All
// steps: README.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace penstock::stories {

struct Step {
  int line = 0;
  std::string text;  // As written.
  std::vector<std::string> words;
};

struct Story {
  std::string title;
  std::vector<Step> steps;
};

Result<Story> ParseStory(const std::string& text);

// The words of a step, taken one after the other.
class Words {
 public:
  explicit Words(const std::vector<std::string>& words) : words_(words) {}

  bool empty() const { return next_ == words_.size(); }
  const std::string& Peek() const;     // "" at the end.
  bool Take(const std::string& word);  // True, and past it, when it is next.
  Result<std::string> Word(const char* what);
  Result<double> Number(const char* what);
  Result<Duration> Span(const char* what);
  // What follows `word`, if that is next: Option("for", "a time").
  Result<std::optional<std::string>> Option(const std::string& word, const char* what);
  std::string Rest();  // All that is left, by blanks.
  Status End() const;  // An error that names the word too many.

 private:
  const std::vector<std::string>& words_;
  size_t next_ = 0;
};

}  // namespace penstock::stories
