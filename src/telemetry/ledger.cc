// On disk: `now`, rewritten at each Persist, with the sums of all closed intervals and the open
// one; and one file for each closed interval, written before `now` forgets it. A crash between
// leaves a file that `now` does not know as closed: it is removed at the next start, because the
// log's cursor has not moved and the replay will book its rows again.
//
// What a crash takes with it are the counts since the last Persist of rows that were never stored
// (duplicates, quarantined, refused): both sides of the equation lose them alike.
#include "telemetry/ledger.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/file.h"
#include "base/log.h"

namespace penstock::telemetry {
namespace {

constexpr const char* kState = "/now";
constexpr uint32_t kNamedPointsMax = 1 << 22;  // Counts of wilder ids are in the total alone.
constexpr size_t kUnwrittenMax = 24;
constexpr std::string_view kSuffix = ".ledger";

size_t IndexOf(uint64_t LedgerCounts::*field) {
  const auto fields = LedgerFields();
  return static_cast<size_t>(
      std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.field == field; }) -
      fields.begin());
}

bool Nothing(const LedgerCounts& counts) { return counts == LedgerCounts(); }

}  // namespace

int64_t LedgerCounts::stored() const {
  return static_cast<int64_t>(durable) - static_cast<int64_t>(forwarded + evicted + lost);
}

int64_t LedgerCounts::gap() const {
  return static_cast<int64_t>(produced) - stored() - kept_apart() -
         static_cast<int64_t>(forwarded + evicted + duplicates + refused);
}

int64_t LedgerCounts::kept_apart() const {
  return static_cast<int64_t>(quarantined) - static_cast<int64_t>(released);
}

LedgerCounts& LedgerCounts::operator+=(const LedgerCounts& other) {
  for (const LedgerField& f : LedgerFields()) this->*f.field += other.*f.field;
  return *this;
}

// --- Bookings

LedgerCounts PointLedger::total() const {
  const std::lock_guard lock(mutex_);
  LedgerCounts total = closed_total_;
  return total += open_.total;
}

uint64_t PointLedger::sequence_end() const {
  const std::lock_guard lock(mutex_);
  return sequence_end_;
}

std::vector<LedgerCounts> PointLedger::Points() const {
  const std::lock_guard lock(mutex_);
  std::vector<LedgerCounts> points = closed_;
  for (size_t f = 0; f < kFields; ++f) {
    if (columns_[f].size() > points.size()) points.resize(columns_[f].size());
    for (size_t i = 0; i < columns_[f].size(); ++i)
      points[i].*LedgerFields()[f].field += columns_[f][i];
  }
  return points;
}

void PointLedger::Book(std::span<const PointId> points, uint64_t LedgerCounts::*field) {
  if (points.empty()) return;
  if (open_.total.*field + points.size() > UINT32_MAX) CloseOpen();
  open_.total.*field += points.size();
  auto& column = columns_[IndexOf(field)];
  for (const PointId id : points) {
    if (id.value >= column.size()) {
      if (id.value >= kNamedPointsMax) continue;
      column.resize(std::max<size_t>(id.value + 1, column.size() * 3 / 2));
    }
    ++column[id.value];
  }
}

void PointLedger::Produce(std::span<const PointId> points, Time now) {
  const std::lock_guard lock(mutex_);
  TurnTo(now);
  Book(points, &LedgerCounts::produced);
}

void PointLedger::Store(const Batch& batch, uint64_t record) {
  const std::lock_guard lock(mutex_);
  NoteStored(batch, record);
  Book(batch.point, &LedgerCounts::durable);
}

void PointLedger::NoteStored(const Batch& batch, uint64_t record) {
  if (open_.first_sequence == open_.end_sequence) {
    open_.first_sequence = batch.first_sequence;
    open_.first_record = record;
  }
  sequence_end_ = batch.first_sequence + batch.size();
  sequence_known_ = true;
  open_.end_sequence = sequence_end_;
  open_.end_record = record + 1;
}

void PointLedger::Duplicate(std::span<const PointId> points) {
  const std::lock_guard lock(mutex_);
  Book(points, &LedgerCounts::duplicates);
}

void PointLedger::Quarantine(std::span<const PointId> points) {
  const std::lock_guard lock(mutex_);
  Book(points, &LedgerCounts::quarantined);
}

void PointLedger::Refuse(std::span<const PointId> points) {
  const std::lock_guard lock(mutex_);
  Book(points, &LedgerCounts::refused);
}

void PointLedger::BookRow(PointId point, uint64_t LedgerCounts::*field, uint64_t rows) {
  if (open_.total.*field + rows > UINT32_MAX) CloseOpen();
  open_.total.*field += rows;
  if (point.value >= kNamedPointsMax || rows > UINT32_MAX) return;
  auto& column = columns_[IndexOf(field)];
  if (point.value >= column.size()) column.resize(point.value + 1);
  column[point.value] += static_cast<uint32_t>(rows);
}

uint64_t PointLedger::CountOf(PointId point, uint64_t LedgerCounts::*field) const {
  const auto& column = columns_[IndexOf(field)];
  return (point.value < closed_.size() ? closed_[point.value].*field : 0) +
         (point.value < column.size() ? column[point.value] : 0);
}

void PointLedger::BookReleased(std::span<const PointId> points) {
  for (const PointId point : points) {
    const bool known =
        CountOf(point, &LedgerCounts::quarantined) > CountOf(point, &LedgerCounts::released);
    BookRow(point, known ? &LedgerCounts::released : &LedgerCounts::produced, 1);
  }
}

void PointLedger::Release(std::span<const PointId> points) {
  const std::lock_guard lock(mutex_);
  BookReleased(points);
}

void PointLedger::BeginForward(uint64_t record, uint64_t sequence, uint64_t log_end) {
  const std::lock_guard lock(mutex_);
  LedgerForward& forward = open_.forward;
  if (forward.next_record > log_end) forward = {};
  if (forward.from == forward.to) forward.from = sequence;
  forward.next_record = std::max(forward.next_record, record);
  forward.to = UINT64_MAX;
}

void PointLedger::EndForward(uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  if (open_.forward.to == UINT64_MAX) open_.forward.to = std::max(sequence, open_.forward.from);
}

void PointLedger::Forward(std::span<const std::pair<PointId, uint64_t>> rows,
                          uint64_t next_record) {
  const std::lock_guard lock(mutex_);
  for (const auto& [point, count] : rows) BookRow(point, &LedgerCounts::forwarded, count);
  open_.forward.next_record = std::max(open_.forward.next_record, next_record);
}

LedgerForward PointLedger::forward() const {
  const std::lock_guard lock(mutex_);
  return open_.forward;
}

uint64_t PointLedger::forward_persisted() const {
  const std::lock_guard lock(mutex_);
  return forward_persisted_;
}

void PointLedger::Evict(std::span<const std::pair<PointId, uint64_t>> rows) {
  const std::lock_guard lock(mutex_);
  for (const auto& [point, count] : rows) BookRow(point, &LedgerCounts::evicted, count);
}

void PointLedger::EvictUnnamed(uint64_t rows) {
  const std::lock_guard lock(mutex_);
  open_.total.evicted += rows;
}

void PointLedger::Replay(const Batch& batch, uint64_t record) {
  const std::lock_guard lock(mutex_);
  const uint64_t end = batch.first_sequence + batch.size();
  if (batch.empty() || (sequence_known_ && end <= sequence_end_)) return;
  if (!batch.ingest_time.empty() && batch.own()) TurnTo(batch.ingest_time.back());
  if (sequence_known_ && batch.first_sequence > sequence_end_) {
    // They were acknowledged; the log does not have them any more.
    const uint64_t missing = batch.first_sequence - sequence_end_;
    open_.total.produced += missing;
    open_.total.durable += missing;
    open_.total.lost += missing;
  }
  const size_t skip = sequence_known_ && sequence_end_ > batch.first_sequence
                          ? sequence_end_ - batch.first_sequence
                          : 0;
  NoteStored(batch, record);
  const auto rows = std::span(batch.point).subspan(skip);
  if (batch.released)
    BookReleased(rows);
  else
    Book(rows, &LedgerCounts::produced);
  Book(rows, &LedgerCounts::durable);
}

void PointLedger::EndReplay(uint64_t sequence_end) {
  const std::lock_guard lock(mutex_);
  if (!sequence_known_ || copied_ || sequence_end >= sequence_end_) return;
  LogError("ledger: {} acknowledged samples are neither in the log nor in the history",
           sequence_end_ - sequence_end);
  open_.total.lost += sequence_end_ - sequence_end;
}

// --- Intervals

void PointLedger::TurnTo(Time now) {
  const Time hour = std::chrono::floor<std::chrono::hours>(now);
  if (begun_ && now >= open_.from && now < open_.to) return;
  if (begun_ && !Nothing(open_.total)) {
    if (unwritten_.size() >= kUnwrittenMax) {  // The disk takes nothing: one long interval then.
      open_.from = std::min<Time>(open_.from, hour);
      open_.to = std::max<Time>(open_.to, hour + kInterval);
      return;
    }
    CloseOpen();
  }
  begun_ = true;
  open_.epoch = epoch_;
  open_.from = hour;
  open_.to = hour + kInterval;
}

void PointLedger::CloseOpen() {
  LedgerInterval closing = OpenInterval();
  for (const auto& [id, counts] : closing.points) {
    if (id.value >= closed_.size()) closed_.resize(id.value + 1);
    closed_[id.value] += counts;
  }
  closed_total_ += closing.total;
  for (auto& column : columns_) std::fill(column.begin(), column.end(), 0);
  open_ = {.number = closing.number + 1,
           .epoch = epoch_,
           .from = closing.from,
           .to = closing.to,
           .first_sequence = closing.end_sequence,
           .end_sequence = closing.end_sequence,
           .first_record = closing.end_record,
           .end_record = closing.end_record,
           .forward = closing.forward};
  unwritten_.push_back(std::move(closing));
}

LedgerInterval PointLedger::OpenInterval() const {
  LedgerInterval interval = open_;
  size_t size = 0;
  for (const auto& column : columns_) size = std::max(size, column.size());
  for (size_t i = 0; i < size; ++i) {
    LedgerCounts counts;
    for (size_t f = 0; f < kFields; ++f)
      if (i < columns_[f].size()) counts.*LedgerFields()[f].field = columns_[f][i];
    if (!Nothing(counts)) interval.points.emplace_back(PointId{static_cast<uint32_t>(i)}, counts);
  }
  return interval;
}

LedgerInterval PointLedger::ClosedSum() const {
  LedgerInterval sum{.number = open_.number, .epoch = epoch_, .total = closed_total_};
  for (size_t i = 0; i < closed_.size(); ++i)
    if (!Nothing(closed_[i]))
      sum.points.emplace_back(PointId{static_cast<uint32_t>(i)}, closed_[i]);
  return sum;
}

Result<std::vector<LedgerInterval>> PointLedger::Read(Time from, Time to) const {
  std::vector<File> files;
  std::vector<LedgerInterval> memory;
  {
    const std::lock_guard lock(mutex_);
    files = files_;
    memory = unwritten_;
    if (begun_) memory.push_back(OpenInterval());
  }
  const auto outside = [&](const auto& it) { return it.to <= from || it.from >= to; };
  std::erase_if(files, outside);
  std::erase_if(memory, outside);
  std::vector<LedgerInterval> found;
  for (const File& file : files) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadFile(PathOf(file)));
    auto interval = DecodeInterval(AsBytes(bytes));
    if (!interval) return std::unexpected(interval.error().Where(PathOf(file)));
    found.push_back(std::move(*interval));
  }
  for (LedgerInterval& interval : memory)
    if (found.empty() || found.back().number < interval.number)
      found.push_back(std::move(interval));
  return found;
}

// --- Files

std::string PointLedger::PathOf(const File& file) const {
  return fmt::format("{}/{:010}-{}-{}{}", folder_, file.number, ToMicros(file.from),
                     ToMicros(file.to), kSuffix);
}

Status PointLedger::Persist() {
  if (folder_.empty()) {
    const std::lock_guard lock(mutex_);
    forward_persisted_ = open_.forward.next_record;
    return {};
  }
  std::vector<LedgerInterval> closed;
  Bytes state;
  uint64_t forwarded = 0;
  {
    const std::lock_guard lock(mutex_);
    closed = unwritten_;
    forwarded = open_.forward.next_record;
    const Bytes sum = EncodeInterval(ClosedSum());
    const auto size = static_cast<uint32_t>(sum.size());
    for (int shift = 0; shift < 32; shift += 8)
      state.push_back(static_cast<uint8_t>(size >> shift));
    state.insert(state.end(), sum.begin(), sum.end());
    const Bytes open = EncodeInterval(OpenInterval());
    state.insert(state.end(), open.begin(), open.end());
  }
  std::vector<File> written;
  for (const LedgerInterval& interval : closed) {
    const File file{interval.number, interval.from, interval.to};
    TRY(WriteFileAtomically(PathOf(file), AsText(EncodeInterval(interval))));
    written.push_back(file);
  }
  TRY(WriteFileAtomically(folder_ + kState, AsText(state)));
  const std::lock_guard lock(mutex_);
  forward_persisted_ = forwarded;
  files_.insert(files_.end(), written.begin(), written.end());
  unwritten_.erase(unwritten_.begin(), unwritten_.begin() + static_cast<ptrdiff_t>(closed.size()));
  return RemoveOldest();
}

Status PointLedger::RemoveOldest() {
  while (files_.size() > kIntervalsMax) {
    if (unlink(PathOf(files_.front()).c_str()) != 0 && errno != ENOENT)
      return FromErrno(errno, "cannot remove " + PathOf(files_.front()));
    files_.erase(files_.begin());
  }
  return {};
}

Result<std::unique_ptr<PointLedger>> PointLedger::Open(std::string folder, uint64_t epoch) {
  std::unique_ptr<PointLedger> ledger(new PointLedger(std::move(folder), epoch));
  ledger->open_.epoch = epoch;
  if (!ledger->folder_.empty()) TRY(ledger->Load());
  return ledger;
}

Status PointLedger::TakeState(ByteView bytes) {
  constexpr size_t kHead = 4;
  if (bytes.size() < kHead) return DataLoss("ledger: {} bytes", bytes.size());
  size_t size = 0;
  for (size_t i = 0; i < kHead; ++i) size |= size_t{bytes[i]} << 8 * i;
  if (size > bytes.size() - kHead) return DataLoss("ledger: sums of {} bytes", size);
  ASSIGN_OR_RETURN(const LedgerInterval sum, DecodeInterval(bytes.subspan(kHead, size)));
  ASSIGN_OR_RETURN(LedgerInterval open, DecodeInterval(bytes.subspan(kHead + size)));
  closed_total_ = sum.total;
  for (const auto& [id, counts] : sum.points) {
    if (id.value >= closed_.size()) closed_.resize(id.value + 1);
    closed_[id.value] = counts;
  }
  for (const auto& [id, counts] : open.points) {
    for (size_t f = 0; f < kFields; ++f) {
      if (id.value >= columns_[f].size()) columns_[f].resize(id.value + 1);
      columns_[f][id.value] = static_cast<uint32_t>(counts.*LedgerFields()[f].field);
    }
  }
  open.points.clear();
  open_ = std::move(open);
  forward_persisted_ = open_.forward.next_record;
  sequence_end_ = open_.end_sequence;
  sequence_known_ = sequence_end_ > 0;
  begun_ = open_.to > open_.from;
  return {};
}

Status PointLedger::Load() {
  TRY(MakeFolders(folder_));
  const std::string path = folder_ + kState;
  const auto state = ReadFile(path);
  if (!state && state.error().code != Code::kNotFound) return std::unexpected(state.error());
  if (state) {
    if (const Status taken = TakeState(AsBytes(*state)); !taken) {
      LogError("{}: {}; put aside, the ledger begins anew", path, taken.error().ToString());
      if (rename(path.c_str(), (path + ".damaged").c_str()) != 0)
        return FromErrno(errno, "cannot put aside " + path);
    }
  }
  ASSIGN_OR_RETURN(const auto names, ListFiles(folder_, kSuffix));
  uint64_t next = 0;
  for (const std::string& name : names) {
    File file;
    int64_t from = 0, to = 0;
    if (sscanf(name.c_str(), "%lu-%ld-%ld", &file.number, &from, &to) != 3) continue;
    file.from = FromMicros(from), file.to = FromMicros(to);
    next = file.number + 1;
    if (state && file.number >= open_.number)
      unlink(PathOf(file).c_str());  // Its rows will be booked again.
    else
      files_.push_back(file);
  }
  if (!begun_ && next > open_.number) open_.number = next;
  copied_ = begun_ && open_.epoch != epoch_;
  if (copied_) CloseOpen();
  return {};
}

}  // namespace penstock::telemetry
