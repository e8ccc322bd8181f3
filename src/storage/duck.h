// DuckDB behind the few calls that history needs: rows in as a Parquet file, questions out chunk by
// chunk, within a limit of memory. The database itself is in memory and empty; what lasts are the
// Parquet files.
//
// It opens with the first question: its code and tables cost some 30 MB, and a history of our own
// files asks nothing.
//
// Thread rule: any thread; at most four questions at a time, further ones wait.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::storage {

// Some rows of one point, as columns of equal length; borrowed until the next call.
struct RowRun {
  std::string_view path;
  std::span<const Time> time, ingest_time;
  std::span<const double> value;
  std::span<const uint32_t> quality;
  std::span<const uint64_t> sequence;
  size_t size() const { return time.size(); }
};

// Gives the rows of a file to be written, in the file's order. Nothing: the end.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual Result<std::optional<RowRun>> Next() = 0;
};

class Duck {
 public:
  struct Options {
    uint64_t memory_limit_mb = 96;
    int threads = 1;
    std::string temporary_folder;  // For sorts that exceed the limit; none when "".
  };
  // Part of an answer. Columns by position, read as the type they have.
  class Chunk {
   public:
    size_t size() const { return size_; }
    template <typename T>
    std::span<const T> Column(size_t column) const {
      return {static_cast<const T*>(Data(column)), size_};
    }
    std::string_view Text(size_t column, size_t row) const;

   private:
    friend class Duck;
    const void* Data(size_t column) const;
    void* handle_ = nullptr;
    size_t size_ = 0;
  };

  // An answer, read as it comes; holds one of the four places until it is gone.
  class Cursor {
   public:
    ~Cursor();
    // Until the next call. Null: the end.
    Result<const Chunk*> Next();

   private:
    friend class Duck;
    struct State;
    explicit Cursor(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };

  static Result<std::unique_ptr<Duck>> Open(const Options& options);
  ~Duck();

  Result<std::unique_ptr<Cursor>> Ask(const std::string& sql);

  // Asks, and calls `visit` for each part of the answer until it returns false.
  Status Query(const std::string& sql, const std::function<bool(const Chunk&)>& visit);
  Status Run(const std::string& sql);
  // Writes a Parquet file of the layout of docs/formats/history.md. Not yet synced; removed after
  // an error.
  Status Write(RowSource& rows, const std::string& file);

 private:
  class Handles;
  struct Feed;
  class Lease;

  explicit Duck(Options options);
  Status Ready();
  Result<std::unique_ptr<Handles>> OpenHandles();

  const Options options_;
  std::mutex opening_;
  std::unique_ptr<Handles> handles_;  // Null before the first question.
  std::mutex mutex_;
  std::condition_variable free_;
  std::map<int64_t, Feed*> feeds_;  // Files being written, by the number that the statement names.
  int64_t next_feed_ = 1;
};

// A literal of SQL: quoted, quotes doubled.
std::string SqlText(std::string_view text);
std::string SqlTime(Time time);

}  // namespace penstock::storage
