// Rows of a CSV file (RFC 4180, with , ; tab or | between the cells), read in bounded memory.
#pragma once

#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::protocols {

inline constexpr size_t kMaxCsvRow = 1 << 20;  // Bytes.
inline constexpr size_t kMaxCsvColumns = 10'000;

// Reads rows one by one. Cells may be in double quotes, a quote inside doubled; a line end inside
// quotes is not supported and makes the row a torn one.
class CsvReader {
 public:
  // `separator` 0: the one of , ; tab | that the header has most of. The header is read at once.
  static Result<CsvReader> Open(std::unique_ptr<std::istream> stream, char separator = 0);

  const std::vector<std::string>& header() const { return header_; }
  char separator() const { return separator_; }
  size_t line() const { return line_; }  // Of the row read last, from 1.

  enum class Row { kWhole, kTorn, kEnd };
  // The cells point into this reader until the next call. Blank lines are passed over.
  Row Next(std::vector<std::string_view>& cells);
  // Why the last row was torn: "7 cells, the header has 9".
  const std::string& torn() const { return torn_; }

 private:
  explicit CsvReader(std::unique_ptr<std::istream> stream) : stream_(std::move(stream)) {}
  bool ReadLine();  // False at the end; a line that is too long is cut and marked torn.
  bool Split(std::vector<std::string_view>& cells);

  std::unique_ptr<std::istream> stream_;
  char separator_ = ',';
  std::vector<std::string> header_;
  std::string buffer_;  // Read, not yet given out, from `at_`.
  size_t at_ = 0;
  std::string text_;      // The present line.
  std::string unquoted_;  // Cells that had quotes inside.
  std::string torn_;
  size_t line_ = 0;
};

// A number with a decimal point, or with a decimal comma where `decimal_comma`. "NaN" and "inf" are
// none.
Result<double> ParseCell(std::string_view cell, bool decimal_comma);
// Empty, "NA", "N/A", "NaN", "null", "-": there is no value.
bool IsMissing(std::string_view cell);

// RFC 3339; "2020-02-08 13:30:47" (also with "T", also with a fraction) taken as UTC; seconds,
// milliseconds, microseconds or nanoseconds since 1970, told apart by their size.
Result<Time> ParseCellTime(std::string_view cell);

}  // namespace penstock::protocols
