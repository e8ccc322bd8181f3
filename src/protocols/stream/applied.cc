#include "protocols/stream/applied.h"

#include <algorithm>
#include <charconv>

namespace penstock::protocols::stream {
namespace {

constexpr size_t kHubBytesMax = 64;
constexpr size_t kAppliedBytesMax = 32 + kAppliedSharesMax * (kHubBytesMax + 24);

bool ReadRow(std::string_view digits, uint64_t* row) {
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), *row);
  return read.ec == std::errc() && read.ptr == digits.data() + digits.size();
}

}  // namespace

void Applied::TakeOver(const std::string& hub) {
  // A share without rows was nobody's.
  while (!shares.empty() && shares.back().from >= rows) shares.pop_back();
  if (Holds(hub)) return;
  if (shares.size() >= kAppliedSharesMax) shares.erase(shares.begin());
  shares.push_back({hub, rows});
}

uint64_t Applied::OwnRows(std::string_view hub, uint64_t from, uint64_t to) const {
  to = std::min(to, rows);
  if (from >= to) return 0;
  uint64_t own_to = shares.empty() ? to : shares.front().from;  // Rows before are not told of.
  for (size_t i = 0; i < shares.size(); ++i) {
    const uint64_t end = i + 1 < shares.size() ? shares[i + 1].from : UINT64_MAX;
    if (shares[i].hub == hub && shares[i].from <= std::max(from, own_to)) own_to = end;
    if (end > from && own_to < end) break;
  }
  return std::min(std::max(own_to, from), to) - from;
}

uint64_t Applied::LostRows(std::string_view hub, uint64_t from, uint64_t to) const {
  if (from >= to) return 0;
  const uint64_t confirmed = std::clamp(rows, from, to);
  const uint64_t behind = Holds(hub) ? 0 : to - confirmed;
  return confirmed - from - OwnRows(hub, from, confirmed) + behind;
}

std::string FormatApplied(const Applied& applied) {
  std::string text = std::to_string(applied.rows);
  for (const Applied::Share& share : applied.shares)
    text += fmt::format(" {}@{}", share.hub, share.from);
  return text;
}

Result<Applied> ParseApplied(std::string_view text) {
  const auto bad = [&](std::string_view what) {
    return InvalidArgument("stream: {} in \"{}\"", what, text.substr(0, 100));
  };
  if (text.size() > kAppliedBytesMax) return bad("too many shares");
  Applied applied;
  size_t at = std::min(text.find(' '), text.size());
  if (!ReadRow(text.substr(0, at), &applied.rows)) return bad("no number of rows");
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at + 1), text.size());
    const std::string_view word = text.substr(at + 1, end - at - 1);
    const size_t sign = word.find('@');
    Applied::Share share;
    if (sign == word.npos || sign == 0 || sign > kHubBytesMax ||
        !ReadRow(word.substr(sign + 1), &share.from))
      return bad("no share NAME@ROW");
    share.hub = word.substr(0, sign);
    if (share.from > applied.rows ||
        (!applied.shares.empty() && share.from < applied.shares.back().from))
      return bad("shares out of order");
    applied.shares.push_back(std::move(share));
    if (applied.shares.size() > kAppliedSharesMax) return bad("too many shares");
    at = end;
  }
  return applied;
}

}  // namespace penstock::protocols::stream
