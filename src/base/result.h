// How a function says that the world did not play along: a value or an Error, never an exception.
//
// Codes are gRPC's canonical ones; HttpStatus() is the single table to HTTP. An error says what,
// then the values; `pointer` (RFC 6901, into a file or a body) and `fix` (what to do) when they are
// known.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace penstock {

enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

struct Error {
  Code code = Code::kUnknown;
  std::string message;       // What, then the values: "point unknown: pump-7/vibration".
  std::string where = {};    // File or source, when there is one: "things/pump-7.td.json".
  std::string pointer = {};  // RFC 6901 JSON pointer into `where`.
  std::string fix = {};      // What the reader can do about it.

  Error& Where(std::string_view file) {
    where = file;
    return *this;
  }
  Error& At(std::string_view json_pointer) {
    pointer = json_pointer;
    return *this;
  }
  Error& Fix(std::string_view advice) {
    fix = advice;
    return *this;
  }

  // One line for a log: "not found: message (where#pointer; fix: ...)".
  std::string ToString() const;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

std::string_view CodeName(Code code);  // "not_found".
int HttpStatus(Code code);             // 404.

#define PENSTOCK_ERROR_MAKER(Name)                                                                \
  template <typename... Args>                                                                     \
  [[nodiscard]] std::unexpected<Error> Name(fmt::format_string<Args...> format, Args&&... args) { \
    return std::unexpected(                                                                       \
        Error{Code::k##Name, fmt::format(format, std::forward<Args>(args)...)});                  \
  }

PENSTOCK_ERROR_MAKER(Cancelled)
PENSTOCK_ERROR_MAKER(InvalidArgument)
PENSTOCK_ERROR_MAKER(DeadlineExceeded)
PENSTOCK_ERROR_MAKER(NotFound)
PENSTOCK_ERROR_MAKER(AlreadyExists)
PENSTOCK_ERROR_MAKER(PermissionDenied)
PENSTOCK_ERROR_MAKER(ResourceExhausted)
PENSTOCK_ERROR_MAKER(FailedPrecondition)
PENSTOCK_ERROR_MAKER(Aborted)
PENSTOCK_ERROR_MAKER(OutOfRange)
PENSTOCK_ERROR_MAKER(Unimplemented)
PENSTOCK_ERROR_MAKER(Internal)
PENSTOCK_ERROR_MAKER(Unavailable)
PENSTOCK_ERROR_MAKER(DataLoss)
PENSTOCK_ERROR_MAKER(Unauthenticated)
#undef PENSTOCK_ERROR_MAKER

// errno as an Error: ENOSPC -> kResourceExhausted, ENOENT -> kNotFound, EADDRINUSE ->
// kAlreadyExists ...
[[nodiscard]] std::unexpected<Error> FromErrno(int error_number, std::string_view what);

}  // namespace penstock

// `TRY(status);` returns the error of a Status or Result from the calling function.
#define TRY(expression)                                           \
  do {                                                            \
    if (auto try_result = (expression); !try_result) [[unlikely]] \
      return std::unexpected(std::move(try_result).error());      \
  } while (false)

#define PENSTOCK_CONCAT_INNER(a, b) a##b
#define PENSTOCK_CONCAT(a, b) PENSTOCK_CONCAT_INNER(a, b)
// `ASSIGN_OR_RETURN(auto value, Compute());` declares value or returns the error.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(PENSTOCK_CONCAT(try_result_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                   \
  if (!temporary) [[unlikely]]                                     \
    return std::unexpected(std::move(temporary).error());          \
  declaration = std::move(*temporary)
