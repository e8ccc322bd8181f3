#include "protocols/stream/route.h"

#include <charconv>

namespace penstock::protocols::stream {

uint32_t PartitionOf(std::string_view path, uint32_t partitions) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : path.substr(0, path.find('/')))
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3ULL;
  return static_cast<uint32_t>((hash ^ (hash >> 32)) % partitions);
}

uint64_t StreamEpoch(uint64_t epoch, uint32_t partition, uint32_t generation) {
  return (epoch & ((1ULL << 53) - 1)) | (uint64_t{partition} << 53) | (uint64_t{generation} << 60);
}

uint32_t PartitionIn(uint64_t stream_epoch) {
  return static_cast<uint32_t>(stream_epoch >> 53) & 0x7F;
}

std::string FormatMessageId(const MessageId& id) {
  return fmt::format("{}/{:x}/{}-{}.{}", id.edge, id.epoch, id.first, id.rows, id.attempt);
}

Result<MessageId> ParseMessageId(std::string_view text) {
  const auto bad = [&] { return InvalidArgument("no message id: \"{}\"", text.substr(0, 100)); };
  const size_t first = text.find('/');
  const size_t second = first == text.npos ? first : text.find('/', first + 1);
  const size_t dash = second == text.npos ? second : text.find('-', second);
  const size_t dot = dash == text.npos ? dash : text.find('.', dash);
  if (dot == text.npos || first == 0) return bad();
  MessageId id{.edge = std::string(text.substr(0, first))};
  const auto number = [](std::string_view digits, int base, uint64_t* out) {
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), *out, base);
    return read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  };
  if (!number(text.substr(first + 1, second - first - 1), 16, &id.epoch) ||
      !number(text.substr(second + 1, dash - second - 1), 10, &id.first) ||
      !number(text.substr(dash + 1, dot - dash - 1), 10, &id.rows) ||
      !number(text.substr(dot + 1), 10, &id.attempt))
    return bad();
  return id;
}

std::string AppliedKey(const std::string& edge, uint64_t stream_epoch) {
  return fmt::format("applied.{}.{:x}", edge, stream_epoch);
}

}  // namespace penstock::protocols::stream
