// The texts of a node, so that a text can go through columns of numbers: each distinct one is kept
// once and stands in a batch as its code, a number made from the text alone. Equal texts have equal
// codes on every node and in every life of it; the table is only needed for the way back. Format of
// its file: docs/formats/texts.md.
//
// Bounds: a text has at most kTextBytesMax bytes of UTF-8; a node keeps so many texts, so many
// bytes of them, and so many that one point was the first to bring. What is beyond is refused with
// the reason; whoever asked puts that into the quarantine. Tidy makes room before a bound is met:
// it forgets what has not come for as long as its caller says (text_keeper.h).
//
// Thread rule: any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "storage/disk.h"

namespace penstock::telemetry {

inline constexpr size_t kTextBytesMax = 4096;
// Of the rows of one record of the log, so that what is made of records has a bound, too.
inline constexpr size_t kRecordTextBytesMax = 1 << 20;
// Codes are whole numbers from here up to twice this, exact in a double and far from measured ones.
inline constexpr double kTextCodeMin = 2251799813685248.0;  // 2^51.
inline constexpr bool MayBeText(double value) {
  return value >= kTextCodeMin && value < 2 * kTextCodeMin;
}
// 2^51 plus the first 51 bits of the SHA-256 of the text.
double TextCode(std::string_view text);
// kInvalidArgument for what is too long, no UTF-8, or has a NUL in it.
Status CheckText(std::string_view text);

// The quarantine's rule for a text that was refused: "text" or "text_bound".
std::string_view TextRule(const Error& error);

struct TextLimits {
  size_t texts = 1'000'000;
  size_t bytes = 64 << 20;
  size_t texts_of_point = 262'144;  // That this point was the first to bring.
};

class Texts {
 public:
  // Reads what is there. A torn tail is cut; a damaged file is put aside as `.damaged` and what is
  // whole in it is kept.
  static Result<std::unique_ptr<Texts>> Open(const std::string& file, TextLimits limits = {},
                                             storage::Disk& disk = storage::SystemDisk());
  ~Texts();
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;

  // The code of the text, which is kept from now on; no allocation for one that is known.
  // kInvalidArgument (CheckText), kResourceExhausted (a bound), kAlreadyExists (another text has
  // this code; one in some thousand nodes with a million texts ever sees that).
  Result<double> Intern(PointId point, std::string_view text);
  // Keeps a text that was kept before, found in the history.
  Status Learn(std::string_view text);
  // False when the file was new or damaged: the history may know more.
  bool complete() const { return complete_; }
  // Nothing for a value that is no code, or whose text this node does not have. The view is valid
  // until the second Tidy from now.
  std::optional<std::string_view> Find(double value) const;
  // How many of these values, from the first on, have texts of together at most so many bytes, each
  // as often as it stands there; one at least, unless there are none.
  size_t RowsWithin(std::span<const double> values, size_t text_bytes) const;
  // What was interned before this call is durable afterwards: called before rows with its codes
  // are told durable. Costs nothing when nothing is new.
  Status Sync();

  // Days are counted since 1970. From here on texts come on the day `today`; so do, now, those of
  // `in_use`. Where seven eighths of a bound are filled, texts that came last before the day
  // `before` are forgotten; how many. An error (the disk) forgets none. Once a day, and when
  // something was forgotten, the file is written anew.
  Result<size_t> Tidy(uint32_t today, uint32_t before, std::span<const double> in_use);
  bool pressed() const;         // Seven eighths of some bound are filled.
  uint32_t newest_day() const;  // On which one of them came, as the file says; 0: not known.

  size_t size() const;
  size_t bytes() const;

 private:
  struct Entry {
    PointId point;
    uint64_t code = 0;
    std::atomic<uint32_t> day{0};  // On which it came last; 0: not known.
    std::string text;
  };
  Texts(std::string file, TextLimits limits, storage::Disk& disk)
      : file_(std::move(file)), limits_(limits), disk_(disk) {}
  Status Load();
  Status OpenFile();
  Status WriteAll(std::span<const Entry* const> without);
  void Add(PointId point, std::string_view text, uint64_t code, uint32_t day);
  void ComesAgain(Entry& entry);
  Result<double> Keep(PointId point, std::string_view text, bool of_point);
  bool NodeIsPressed() const;
  bool PointIsPressed(uint32_t brought) const;
  std::vector<const Entry*> Unused(uint32_t before) const;
  size_t Drop(std::span<const Entry* const> entries, uint32_t before);

  const std::string file_;
  bool complete_ = true;
  const TextLimits limits_;
  storage::Disk& disk_;

  std::mutex file_mutex_;  // Guards these four; taken before mutex_.
  int fd_ = -1;
  uint64_t file_bytes_ = 0;
  uint32_t written_day_ = 0;  // Of the last time that all was written.
  Bytes buffer_;

  mutable std::shared_mutex mutex_;  // Guards these six.
  std::unordered_map<uint64_t, std::unique_ptr<Entry>> by_code_;
  std::unordered_map<std::string_view, Entry*> by_text_;
  std::unordered_map<uint32_t, uint32_t> of_point_;
  std::vector<const Entry*> fresh_;                // Not in the file for sure.
  std::vector<std::unique_ptr<Entry>> forgotten_;  // At the last Tidy; somebody may look at them.
  size_t bytes_ = 0;
  std::atomic<size_t> count_{0}, fresh_count_{0};  // Of by_code_ and of fresh_.
  std::atomic<uint32_t> today_{0};
};

}  // namespace penstock::telemetry
