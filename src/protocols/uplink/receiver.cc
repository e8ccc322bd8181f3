// A block is applied as a whole or answered with what is missing; in both cases the edge knows from
// the answer alone what it may forget. Rows that are here already are cut away before the pipeline
// sees them, so that a block can be sent any number of times, by any number of connections.
//
// Nothing is dropped for want of a description: a point that the hub does not know yet gets an id
// and is stored under its path; the description may come later and then finds its history. (Only
// this keeps an edge's sequences dense here, and dense sequences are what the promise of "once"
// rests on.)
#include "protocols/uplink/receiver.h"

#include <algorithm>
#include <atomic>
#include <charconv>

#include "base/log.h"
#include "base/metrics.h"

namespace penstock::protocols::uplink {
namespace {

using telemetry::Batch;
using telemetry::Frame;
using telemetry::SequenceRange;

struct ReceiverMetrics {
  Metric& rows = Counter("penstock_hub_rows_total", "Rows of edges made durable here.");
  Metric& blocks = Counter("penstock_hub_blocks_total", "Blocks of edges taken.");
  Metric& bytes = Counter("penstock_hub_bytes_total", "Bytes of blocks, as they came.");
  Metric& refused = Counter("penstock_hub_blocks_refused_total", "Blocks that cannot be read.");
  Metric& texts = Counter("penstock_hub_texts_refused_total", "Texts of edges not kept here.");
  Metric& resumed = Counter("penstock_hub_blocks_resumed_total", "Blocks joined after a cut.");
};
ReceiverMetrics& Counts() {
  static ReceiverMetrics metrics;
  return metrics;
}

Result<uint64_t> Number(const Json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end()) return InvalidArgument("\"{}\" is missing", key);
  if (found->is_number_unsigned()) return found->get<uint64_t>();
  if (found->is_number_integer() && found->get<int64_t>() >= 0) return found->get<uint64_t>();
  uint64_t value = 0;
  if (found->is_string()) {
    const std::string& text = found->get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return value;
  }
  return InvalidArgument("\"{}\" is no whole number", key);
}

Json RangesJson(const std::vector<SequenceRange>& ranges) {
  Json all = Json::array();
  for (const SequenceRange& range : ranges) all.push_back({range.from, range.to});
  return all;
}

Batch Rows(const Batch& whole, const SequenceRange& part, uint64_t first) {
  const auto begin = static_cast<ptrdiff_t>(part.from - first);
  const auto end = static_cast<ptrdiff_t>(part.to - first);
  const auto cut = [&](const auto& column) {
    return std::decay_t<decltype(column)>(column.begin() + begin, column.begin() + end);
  };
  Batch rows;
  rows.point = cut(whole.point);
  rows.source_time = cut(whole.source_time);
  rows.ingest_time = cut(whole.ingest_time);
  rows.value = cut(whole.value);
  rows.quality = cut(whole.quality);
  return rows;
}

}  // namespace

std::string HubPath(const std::string& edge, std::string_view path) {
  return fmt::format("{}_{}", edge, path);
}

// One block on its way: shared by the answers of its parts.
struct Receiver::Block {
  std::string edge;
  uint64_t epoch = 0;
  std::vector<Batch> batches;  // Their origins say which rows.
  std::vector<SequenceRange> ranges;
  std::atomic<size_t> waiting{1};
  std::mutex mutex;
  Status failed;
  Answer answer;
};

// Decoders that are not in use; a few, for each keeps its buffers.
struct Receiver::Decoders {
  std::mutex mutex;
  std::vector<std::unique_ptr<telemetry::FrameDecoder>> idle;

  std::unique_ptr<telemetry::FrameDecoder> Take() {
    const std::lock_guard lock(mutex);
    if (idle.empty()) return std::make_unique<telemetry::FrameDecoder>();
    auto decoder = std::move(idle.back());
    idle.pop_back();
    return decoder;
  }
  void Give(std::unique_ptr<telemetry::FrameDecoder> decoder) {
    const std::lock_guard lock(mutex);
    if (idle.size() < 4) idle.push_back(std::move(decoder));
  }
};

Receiver::Receiver(telemetry::SampleSink& sink, telemetry::Origins& origins, things::PointIds& ids,
                   ReceiverOptions options)
    : sink_(sink),
      origins_(origins),
      ids_(ids),
      options_(options),
      decoders_(std::make_shared<Decoders>()) {
  lanes_.resize(static_cast<size_t>(options_.threads));
  for (Lane& lane : lanes_)
    threads_.emplace_back([this, &lane](const std::stop_token& stop) { Work(stop, lane); });
}

Receiver::~Receiver() { Stop(); }

void Receiver::Stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
  std::deque<Waiting> left;
  {
    const std::lock_guard lock(queue_mutex_);
    stopped_ = true;
    for (Lane& lane : lanes_)
      for (Waiting& block : std::exchange(lane.queue, {})) left.push_back(std::move(block));
  }
  for (Waiting& block : left) block.answer(Unavailable("the hub stops"));
}

void Receiver::Work(const std::stop_token& stop, Lane& lane) {
  while (true) {
    Waiting block;
    {
      std::unique_lock lock(queue_mutex_);
      if (!lane.queued.wait(lock, stop, [&] { return !lane.queue.empty(); })) return;
      block = std::move(lane.queue.front());
      lane.queue.pop_front();
      queue_bytes_ -= block.bytes.size();
    }
    Apply(block.edge, AsBytes(block.bytes), std::move(block.answer));
  }
}

Result<Json> Receiver::Hello(const std::string& edge, const Json& body, Time now) {
  ASSIGN_OR_RETURN(const uint64_t epoch, Number(body, "epoch"));
  ASSIGN_OR_RETURN(const uint64_t begin, Number(body, "begin"));
  ASSIGN_OR_RETURN(const uint64_t next, Number(body, "next"));
  if (begin > next) return InvalidArgument("\"begin\" {} is behind \"next\" {}", begin, next);
  ASSIGN_OR_RETURN(const uint64_t gone,
                   origins_.NoteGap(edge, epoch, {0, begin},
                                    StringOr(body, "reason", "not kept at the edge"), now));
  const auto state = origins_.StateOf(edge, epoch);
  return Json{{"edge", edge},
              {"received", state.received},
              {"durable", state.durable},
              {"ranges", RangesJson(state.ranges)},
              {"gone", gone},
              {"block_bytes_max", options_.block_bytes_max},
              {"block_rows_max", options_.block_rows_max}};
}

Result<Json> Receiver::NoteGap(const std::string& edge, const Json& body, Time now) {
  ASSIGN_OR_RETURN(const uint64_t epoch, Number(body, "epoch"));
  ASSIGN_OR_RETURN(const uint64_t from, Number(body, "from"));
  ASSIGN_OR_RETURN(const uint64_t to, Number(body, "to"));
  if (from >= to) return InvalidArgument("a gap from {} to {} is none", from, to);
  ASSIGN_OR_RETURN(
      const uint64_t rows,
      origins_.NoteGap(edge, epoch, {from, to}, StringOr(body, "reason", "no reason given"), now));
  return Json{{"rows", rows}};
}

// --- Blocks in parts

size_t Receiver::KeptBytes(const std::string& edge, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = partials_.find({edge, id});
  return found == partials_.end() ? 0 : found->second.bytes.size();
}

void Receiver::Keep(const Key& key, Partial partial) {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(partials_, [&](const auto& entry) {
    return now - entry.second.at > options_.partial_age_max;
  });
  partials_.erase(key);
  if (partials_.size() >= options_.partials_max)
    partials_.erase(
        std::min_element(partials_.begin(), partials_.end(),
                         [](const auto& a, const auto& b) { return a.second.at < b.second.at; }));
  partial.at = now;
  partials_.emplace(key, std::move(partial));
}

// The whole block; "" when the part was torn and kept.
Result<std::string> Receiver::Join(const Key& key, size_t offset, size_t total, std::string bytes,
                                   bool torn) {
  if (total == 0 || total > options_.block_bytes_max)
    return OutOfRange("a block of {} bytes; 1 to {}", total, options_.block_bytes_max);
  if (offset > total || bytes.size() > total - offset)
    return InvalidArgument("bytes {} to {} of a block of {}", offset, offset + bytes.size(), total);
  const std::lock_guard lock(mutex_);
  std::string whole;
  if (offset > 0) {
    const auto found = partials_.find(key);
    const size_t kept = found == partials_.end() ? 0 : found->second.bytes.size();
    if (kept != offset || found->second.total != total) {
      auto error = FailedPrecondition("{} bytes of the block are here, not {}", kept, offset);
      error.error().Fix(fmt::format("send from byte {} on", kept));
      return error;
    }
    whole = std::move(found->second.bytes);
    partials_.erase(found);
    Counts().resumed.Add();
  }
  whole += bytes;
  if (whole.size() == total) return whole;
  const size_t have = whole.size();
  Keep(key, {std::move(whole), total, {}});
  if (torn) return std::string();
  return InvalidArgument("the block has {} bytes, its range says {}", have, total);
}

void Receiver::Take(const std::string& edge, const std::string& id, size_t offset, size_t total,
                    std::string bytes, bool torn, Answer answer) {
  auto block = Join({edge, id.substr(0, 64)}, offset, total, std::move(bytes), torn);
  if (!block) return answer(std::unexpected(block.error()));
  if (block->empty()) return answer(Json{{"kept", KeptBytes(edge, id)}});
  if (options_.threads == 0) return Apply(edge, AsBytes(*block), std::move(answer));
  const size_t order = std::hash<std::string_view>()(std::string_view(id).substr(0, id.rfind('/')));
  Lane& lane = lanes_[order % lanes_.size()];
  {
    const std::lock_guard lock(queue_mutex_);
    if (!stopped_ && queue_bytes_ + block->size() <= options_.waiting_bytes_max) {
      queue_bytes_ += block->size();
      lane.queue.push_back({edge, std::move(*block), std::move(answer)});
      answer = nullptr;
    }
  }
  if (answer) return answer(Unavailable("the hub is busy with other blocks; send again"));
  lane.queued.notify_one();
}

// --- Applying

Result<std::vector<PointId>> Receiver::IdsOf(const std::string& edge,
                                             const std::vector<std::string_view>& paths) {
  std::vector<PointId> result;
  result.reserve(paths.size());
  const std::lock_guard lock(mutex_);
  auto& known = known_[edge];
  std::vector<std::string> fresh, fresh_here;
  for (const std::string_view path : paths)
    if (!known.contains(std::string(path))) {
      fresh.emplace_back(path);
      fresh_here.push_back(HubPath(edge, path));
    }
  if (!fresh.empty()) {
    if (known_points_ + fresh.size() > options_.points_max)
      return ResourceExhausted("edges have {} points here; at most {}", known_points_,
                               options_.points_max);
    ASSIGN_OR_RETURN(const auto ids, ids_.IdsOf(fresh_here));
    for (size_t i = 0; i < fresh.size(); ++i) known.emplace(std::move(fresh[i]), ids[i]);
    known_points_ += ids.size();
  }
  for (const std::string_view path : paths) result.push_back(known.at(std::string(path)));
  return result;
}

// A text that this hub cannot keep loses nobody its row: that has the text's code, which the edge
// knows, and says that it is uncertain.
void Receiver::TakeTexts(const std::string& edge, telemetry::Frame& frame) {
  std::vector<double> refused;
  for (const auto& [text, row] : frame.texts) {
    const auto code = sink_.Intern(frame.batch.point[row], text);
    if (code) continue;
    Counts().texts.Add();
    refused.push_back(frame.batch.value[row]);
    LogSometimes(LogLevel::kWarn, "hub-texts",
                 fmt::format("hub: a text of {} is not kept: {}", edge, code.error().ToString()));
  }
  if (refused.empty()) return;
  std::sort(refused.begin(), refused.end());
  for (const uint32_t row : frame.text_rows)
    if (telemetry::IsGood(frame.batch.quality[row]) &&
        std::binary_search(refused.begin(), refused.end(), frame.batch.value[row]))
      frame.batch.quality[row] = telemetry::kUncertain;
}

Status Receiver::Decode(const std::string& edge, ByteView bytes, Block& block) {
  auto decoder = decoders_->Take();
  size_t rows = 0;
  Status status;
  for (size_t at = 0; at < bytes.size() && status;) {
    Frame frame;
    const auto size = decoder->Decode(bytes.subspan(at), frame, options_.block_rows_max - rows);
    if (!size) {
      status = std::unexpected(size.error());
      status.error().message += fmt::format(" (at byte {} of the block)", at);
      break;
    }
    at += *size;
    rows += frame.batch.size();
    if (frame.edge != edge)
      return PermissionDenied("a frame of \"{}\" in a block of \"{}\"", frame.edge, edge);
    if (block.batches.empty()) block.epoch = frame.epoch;
    if (frame.epoch != block.epoch)
      return InvalidArgument("frames of epochs {} and {} in one block", block.epoch, frame.epoch);
    auto ids = IdsOf(edge, frame.paths);
    if (!ids) return std::unexpected(ids.error());
    for (PointId& point : frame.batch.point) point = (*ids)[point.value];
    TakeTexts(edge, frame);
    block.ranges.push_back({frame.first, frame.first + frame.batch.size()});
    frame.batch.origin = {edge, frame.epoch, frame.first};
    block.batches.push_back(std::move(frame.batch));
  }
  decoders_->Give(std::move(decoder));
  return status;
}

void Receiver::Apply(const std::string& edge, ByteView bytes, Answer answer) {
  const auto block = std::make_shared<Block>();  // Shared by the pipeline's callbacks.
  block->edge = edge;
  block->answer = std::move(answer);
  if (auto decoded = Decode(edge, bytes, *block); !decoded) {
    Counts().refused.Add();
    LogSometimes(LogLevel::kWarn, "hub-block",
                 fmt::format("hub: block of {}: {}", edge, decoded.error().ToString()));
    return block->answer(std::unexpected(decoded.error()));
  }
  Counts().blocks.Add();
  Counts().bytes.Add(bytes.size());
  // The last of all parts to end gives the answer; this function holds one part itself.
  const auto end = [this, block] {
    if (block->waiting.fetch_sub(1) != 1) return;
    if (!block->failed) return block->answer(std::unexpected(block->failed.error()));
    Json missing = Json::array();
    uint64_t rows = 0;
    for (const SequenceRange& range : block->ranges) {
      rows += range.to - range.from;
      for (const auto& gap : origins_.Missing(block->edge, block->epoch, range))
        missing.push_back({gap.from, gap.to});
    }
    const auto state = origins_.StateOf(block->edge, block->epoch);
    block->answer(Json{{"rows", rows},
                       {"received", state.received},
                       {"durable", state.durable},
                       {"missing", std::move(missing)}});
  };
  for (size_t i = 0; i < block->batches.size(); ++i) {
    Batch& batch = block->batches[i];
    const SequenceRange range = block->ranges[i];
    auto fresh = origins_.Begin(edge, block->epoch, range);
    if (!fresh) {
      const std::lock_guard lock(block->mutex);
      if (block->failed) block->failed = std::unexpected(fresh.error());
      break;
    }
    for (const SequenceRange& part : *fresh) {
      Batch rows = part == range ? std::move(batch) : Rows(batch, part, range.from);
      rows.origin = {edge, block->epoch, part.from};
      ++block->waiting;
      sink_.Write(std::move(rows), [this, block, part, end](const Status& durable) {
        origins_.Done(block->edge, block->epoch, part, durable.has_value());
        if (durable) {
          Counts().rows.Add(part.to - part.from);
        } else {
          const std::lock_guard lock(block->mutex);
          block->failed = durable;
        }
        end();
      });
    }
  }
  block->batches.clear();
  end();
}

}  // namespace penstock::protocols::uplink
