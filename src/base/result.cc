#include "base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace penstock {
namespace {

struct CodeRow {
  Code code;
  std::string_view name;
  int http;
};

constexpr CodeRow kCodes[] = {
    {Code::kOk, "ok", 200},
    {Code::kCancelled, "cancelled", 499},
    {Code::kUnknown, "unknown", 500},
    {Code::kInvalidArgument, "invalid_argument", 400},
    {Code::kDeadlineExceeded, "deadline_exceeded", 504},
    {Code::kNotFound, "not_found", 404},
    {Code::kAlreadyExists, "already_exists", 409},
    {Code::kPermissionDenied, "permission_denied", 403},
    {Code::kResourceExhausted, "resource_exhausted", 429},
    {Code::kFailedPrecondition, "failed_precondition", 409},
    {Code::kAborted, "aborted", 409},
    {Code::kOutOfRange, "out_of_range", 400},
    {Code::kUnimplemented, "unimplemented", 501},
    {Code::kInternal, "internal", 500},
    {Code::kUnavailable, "unavailable", 503},
    {Code::kDataLoss, "data_loss", 500},
    {Code::kUnauthenticated, "unauthenticated", 401},
};

const CodeRow& Row(Code code) {
  const auto index = static_cast<size_t>(code);
  CHECK(index < std::size(kCodes));
  return kCodes[index];
}

Code CodeOfErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
      return Code::kNotFound;
    case EEXIST:
    case EADDRINUSE:
      return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
      return Code::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Code::kResourceExhausted;
    case EINVAL:
      return Code::kInvalidArgument;
    case ETIMEDOUT:
      return Code::kDeadlineExceeded;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPIPE:
      return Code::kUnavailable;
    case EIO:
      return Code::kDataLoss;
    default:
      return Code::kUnknown;
  }
}

}  // namespace

std::string_view CodeName(Code code) { return Row(code).name; }
int HttpStatus(Code code) { return Row(code).http; }

std::string Error::ToString() const {
  std::string text;
  if (!where.empty() || !pointer.empty()) {
    text += where;
    if (!pointer.empty()) text += (where.empty() ? "" : "#") + pointer;
    text += ": ";
  }
  text += message;
  if (!fix.empty()) text += " (fix: " + fix + ")";
  return text;
}

std::unexpected<Error> FromErrno(int error_number, std::string_view what) {
  char buffer[128];
  const char* text = strerror_r(error_number, buffer, sizeof buffer);
  return std::unexpected(Error{CodeOfErrno(error_number), fmt::format("{}: {}", what, text)});
}

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace penstock
