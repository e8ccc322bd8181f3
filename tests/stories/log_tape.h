// Holds what the program logs while it lives, so that a test can ask for it and a passing one stays
// silent.
#pragma once

#include <string>

namespace penstock::stories {

class LogTape {
 public:
  LogTape();
  ~LogTape();
  LogTape(const LogTape&) = delete;
  LogTape& operator=(const LogTape&) = delete;

  std::string Text() const;

 private:
  int tape_, stderr_;
};

}  // namespace penstock::stories
