// Which number a row gets must not depend on when it is sent: after a restart the rows behind the
// confirmed position are routed again, and only if each gets the number that it had can the hubs
// leave out what they have. So the position (a place in the log, and how many rows of each
// partition lie before it) is written down as one file, and routing is by name alone.
//
// When a message fails, or nothing is confirmed for a while, everything from the confirmed position
// on is sent again: the stream leaves out ids that it saw in the last minutes, the hubs leave out
// rows that they have.
#include "protocols/stream/publisher.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "protocols/stream/applied.h"
#include "protocols/stream/route.h"
#include "telemetry/batch_codec.h"
#include "telemetry/batch_rows.h"

namespace penstock::protocols::stream {
namespace {

using Steady = std::chrono::steady_clock;
constexpr const char* kCursor = "stream";
constexpr size_t kRecordsPerRound = 64;
constexpr size_t kCheckpointsMax = 4096;
constexpr size_t kRowsMin = 16, kRowsMax = 1 << 16;
constexpr size_t kMessageBytesMost = 512 << 10;  // NATS takes 1 MiB with its headers.
constexpr size_t kMessageTextBytes = 128 << 10;
constexpr auto kSaveEvery = std::chrono::seconds(1);
constexpr auto kAskEvery = std::chrono::seconds(2);
constexpr auto kPauseAfterError = std::chrono::seconds(1);

// Behind the rows that `to` has: these rows, in this order.
void AppendRows(const telemetry::Batch& from, std::span<const uint32_t> rows,
                telemetry::Batch& to) {
  const auto gather = [&](const auto& source, auto& column) {
    const size_t had = column.size();
    column.resize(had + rows.size());
    auto* out = column.data() + had;
    for (const uint32_t row : rows) *out++ = source[row];
  };
  gather(from.point, to.point);
  gather(from.source_time, to.source_time);
  gather(from.ingest_time, to.ingest_time);
  gather(from.value, to.value);
  gather(from.quality, to.quality);
}

}  // namespace

Result<std::unique_ptr<Publisher>> Publisher::Open(PublisherOptions options, Parts parts) {
  if (options.edge.empty() || options.edge.size() > telemetry::kFrameEdgeBytesMax)
    return InvalidArgument("stream: an edge's name has 1 to {} characters, not {}",
                           telemetry::kFrameEdgeBytesMax, options.edge.size());
  TRY(MakeFolders(options.folder));
  std::unique_ptr<Publisher> self(new Publisher(std::move(options), std::move(parts)));
  TRY(self->Load());
  return self;
}

Publisher::Publisher(PublisherOptions options, Parts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      partitions_(parts_.stream.options().partitions),
      buffers_(partitions_),
      durable_(partitions_) {
  encoder_.TakeTexts(parts_.texts, kMessageTextBytes);
}

Publisher::~Publisher() { Stop(); }

Status Publisher::Load() {
  confirmed_.counts.assign(partitions_, 0);
  ASSIGN_OR_RETURN(confirmed_.index, parts_.log.Cursor(kCursor));
  const auto document = ReadDocument(options_.folder + "/position.json");
  if (!document && document.error().code != Code::kNotFound)
    return std::unexpected(document.error());
  if (document && document->value("epoch", uint64_t{0}) == options_.epoch) {
    generation_ = document->value("generation", 0U);
    const auto counts = document->value("counts", std::vector<uint64_t>());
    if (counts.size() == partitions_) {
      confirmed_.index = document->value("index", uint64_t{0});
      confirmed_.counts = counts;
    } else {
      // Another number of partitions: numbered anew from the confirmed position on.
      confirmed_.index = document->value("index", uint64_t{0});
      generation_ = (generation_ + 1) % 16;
      TRY(Save());
    }
  }
  // Without this cursor the log would not wait for the stream at all.
  confirmed_.index = std::max(confirmed_.index, parts_.log.begin());
  TRY(parts_.log.SetCursor(kCursor, std::min(confirmed_.index, parts_.log.durable_end())));
  next_ = confirmed_;
  for (uint32_t i = 0; i < partitions_; ++i) {
    durable_[i] = confirmed_.counts[i];
    buffers_[i].first = confirmed_.counts[i];
  }
  confirmed_index_ = confirmed_.index;
  return {};
}

Status Publisher::Save() {
  const Json document = {{"epoch", options_.epoch},
                         {"generation", generation_},
                         {"index", confirmed_.index},
                         {"counts", confirmed_.counts}};
  TRY(WriteFileAtomically(options_.folder + "/position.json", document.dump()));
  saved_at_ = Steady::now();
  return parts_.log.SetCursor(kCursor, confirmed_.index);
}

void Publisher::Start() {
  (void)parts_.stream.Listen(options_.edge, [this](const std::string& news) {
    // "STREAM_EPOCH DURABLE"
    uint64_t epoch = 0, durable = 0;
    const char* const end = news.data() + news.size();
    const auto first = std::from_chars(news.data(), end, epoch, 16);
    if (first.ec != std::errc() || first.ptr == end) return;
    if (std::from_chars(first.ptr + 1, end, durable).ec == std::errc()) Confirm(epoch, durable);
  });
  moved_at_ = Steady::now();
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

void Publisher::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  Wake();
  thread_.join();
  if (const Status saved = Save(); !saved) LogWarn("stream: {}", saved.error().ToString());
}

void Publisher::Wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  wake_.notify_all();
}

void Publisher::Confirm(uint64_t stream_epoch, uint64_t durable) {
  const uint32_t partition = PartitionIn(stream_epoch);
  if (partition >= partitions_ ||
      stream_epoch != StreamEpoch(options_.epoch, partition, generation_))
    return;
  uint64_t known = durable_[partition];
  while (known < durable && !durable_[partition].compare_exchange_weak(known, durable)) continue;
  Wake();
}

Status Publisher::AskFacts() {
  asked_at_ = Steady::now();
  for (uint32_t i = 0; i < partitions_; ++i) {
    if (durable_[i] >= next_.counts[i]) continue;
    const uint64_t epoch = StreamEpoch(options_.epoch, i, generation_);
    const auto fact = parts_.stream.Fact(AppliedKey(options_.edge, epoch));
    if (!fact && fact.error().code == Code::kNotFound) continue;
    if (!fact) return std::unexpected(fact.error());
    ASSIGN_OR_RETURN(const Applied applied, ParseApplied(fact->value));
    Confirm(epoch, applied.rows);
  }
  return {};
}

void Publisher::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    bool more = false;
    Status status = Round(&more);
    if (status) status = Advance(!more);
    if (!status) {
      {
        const std::lock_guard lock(mutex_);
        error_ = status.error().ToString();
      }
      LogSometimes(LogLevel::kWarn, "stream", status.error().ToString());
      GoBack();
    }
    if (more && status) continue;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, status ? options_.linger : kPauseAfterError,
                   [&] { return woken_ && status.has_value(); });
    woken_ = false;
  }
}

// Everything behind the confirmed position is routed and sent again.
void Publisher::GoBack() {
  parts_.stream.Restart();
  next_ = confirmed_;
  checkpoints_.clear();
  for (uint32_t i = 0; i < partitions_; ++i) {
    buffers_[i].rows.Clear();
    buffers_[i].first = next_.counts[i];
  }
  ++resent_;
  moved_at_ = Steady::now();
  Counter("penstock_stream_resends_total", "Times that unconfirmed rows were sent again.").Add();
}

Status Publisher::Round(bool* more) {
  if (checkpoints_.size() >= kCheckpointsMax) return {};
  size_t records = 0;
  Status routed;
  const auto read = parts_.log.Read(next_.index, [&](uint64_t index, ByteView record) {
    if (records == kRecordsPerRound) {
      *more = true;
      return false;
    }
    const auto batch = telemetry::DecodeBatch(record);
    if (!batch) {
      LogError("stream: record {} skipped: {}", index, batch.error().ToString());
    } else if (batch->own()) {
      routed = Route(*batch);
      if (!routed) return false;
    }
    next_.index = index + 1;
    ++records;
    return true;
  });
  if (!routed) return routed;
  if (!read && read.error().code != Code::kDataLoss) return std::unexpected(read.error());
  if (records > 0) checkpoints_.push_back(next_);
  const auto now = Steady::now();
  if (now - flushed_at_ < (*more ? options_.backlog_linger : options_.linger)) return {};
  flushed_at_ = now;
  for (uint32_t i = 0; i < partitions_; ++i) TRY(Send(i, true));
  return {};
}

Status Publisher::TakeNames(size_t wanted) {
  ASSIGN_OR_RETURN(paths_, parts_.paths());
  while (paths_.size() < wanted) paths_.push_back(fmt::format("unknown/point-{}", paths_.size()));
  partition_of_.resize(paths_.size());
  for (size_t i = 0; i < paths_.size(); ++i)
    partition_of_[i] = static_cast<uint8_t>(PartitionOf(paths_[i], partitions_));
  return {};
}

Status Publisher::Route(const telemetry::Batch& batch) {
  uint32_t highest = 0;
  for (const PointId point : batch.point) highest = std::max(highest, point.value);
  if (!batch.empty() && highest >= partition_of_.size()) TRY(TakeNames(size_t{highest} + 1));
  std::array<size_t, 65> begin{};
  for (const PointId point : batch.point) ++begin[partition_of_[point.value] + 1U];
  for (size_t i = 0; i < partitions_; ++i) begin[i + 1] += begin[i];
  std::array<size_t, 65> next = begin;
  order_.resize(batch.size());
  for (size_t i = 0; i < batch.size(); ++i)
    order_[next[partition_of_[batch.point[i].value]]++] = static_cast<uint32_t>(i);
  for (uint32_t i = 0; i < partitions_; ++i) {
    const auto rows = std::span<const uint32_t>(order_).subspan(begin[i], begin[i + 1] - begin[i]);
    if (rows.empty()) continue;
    AppendRows(batch, rows, buffers_[i].rows);
    next_.counts[i] += rows.size();
    TRY(Send(i, false));
  }
  return {};
}

Status Publisher::Send(uint32_t partition, bool all) {
  Buffer& buffer = buffers_[partition];
  const size_t rows = buffer.rows.size();
  size_t sent = 0;
  Status status;
  while (status && sent < rows && (all || rows - sent >= buffer.rows_max)) {
    const size_t end = std::min(rows, sent + buffer.rows_max);
    status = SendRows(partition, sent, end);
    if (status) sent = end;
  }
  if (sent == 0) return status;
  buffer.first += sent;
  const telemetry::RowRange gone{0, sent};
  telemetry::RemoveRows(buffer.rows, {&gone, 1});
  return status;
}

Status Publisher::SendRows(uint32_t partition, size_t begin, size_t end) {
  Buffer& buffer = buffers_[partition];
  const size_t rows = end - begin;
  const uint64_t epoch = StreamEpoch(options_.epoch, partition, generation_);
  const uint64_t first = buffer.first + begin;
  message_.clear();
  const size_t fits =
      encoder_.Encode(buffer.rows, begin, end, paths_, {options_.edge, epoch, first}, message_);
  if (fits < end) {  // Its texts filled the message.
    TRY(SendRows(partition, begin, fits));
    return SendRows(partition, fits, end);
  }
  if (message_.size() > kMessageBytesMost && rows > kRowsMin) {
    // Values that compress worse than those before: what fits is known only now.
    buffer.rows_max = std::max(kRowsMin, rows / 2);
    TRY(SendRows(partition, begin, begin + rows / 2));
    return SendRows(partition, begin + rows / 2, end);
  }
  TRY(parts_.stream.Publish(
      partition, FormatMessageId({options_.edge, epoch, first, rows, resent_}), message_));
  rows_ += rows;
  ++messages_;
  bytes_ += message_.size();
  if (rows >= buffer.rows_max || message_.size() > options_.message_bytes) {
    const double fit = static_cast<double>(rows) * static_cast<double>(options_.message_bytes) /
                       static_cast<double>(message_.size());
    const size_t share = std::clamp(options_.buffer_rows / partitions_, kRowsMin, kRowsMax);
    buffer.rows_max = std::clamp(static_cast<size_t>(fit), kRowsMin, share);
  }
  return {};
}

Status Publisher::Advance(bool idle) {
  const auto now = Steady::now();
  const uint64_t before = confirmed_.index;
  while (!checkpoints_.empty()) {
    const Position& oldest = checkpoints_.front();
    bool durable = true;
    for (uint32_t i = 0; i < partitions_ && durable; ++i) durable = durable_[i] >= oldest.counts[i];
    if (!durable) break;
    confirmed_ = oldest;
    checkpoints_.pop_front();
  }
  if (confirmed_.index != before) {
    moved_at_ = now;
    confirmed_index_ = confirmed_.index;
    const std::lock_guard lock(mutex_);
    error_.clear();
  }
  if (confirmed_.index != before && (idle || now - saved_at_ > kSaveEvery)) TRY(Save());
  if (checkpoints_.empty()) {
    moved_at_ = now;
    return {};
  }
  if (now - moved_at_ > kAskEvery && now - asked_at_ > kAskEvery) TRY(AskFacts());
  if (now - moved_at_ > options_.resend_after)
    return Unavailable("stream: no hub confirmed anything for {} s",
                       std::chrono::duration_cast<std::chrono::seconds>(now - moved_at_).count());
  return {};
}

Json Publisher::ToJson() const {
  const std::lock_guard lock(mutex_);
  return {{"edge", options_.edge},
          {"partitions", partitions_},
          {"rows", rows_.load()},
          {"messages", messages_.load()},
          {"bytes", bytes_.load()},
          {"confirmed_records", confirmed_index_.load()},
          {"waiting_records", parts_.log.durable_end() - confirmed_index_.load()},
          {"resent", resent_.load()},
          {"error", error_}};
}

}  // namespace penstock::protocols::stream
