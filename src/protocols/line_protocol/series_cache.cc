#include "protocols/line_protocol/series_cache.h"

#include <xxhash.h>

#include <algorithm>

#include "base/bytes.h"

namespace penstock::protocols {
namespace {

constexpr size_t kMaxSeries = 100'000;
constexpr size_t kMaxFields = 10'000;  // Per series.
constexpr size_t kFirstSlots = 1024;
constexpr size_t kFewFields = 24;  // Fewer are searched one by one.

uint64_t RandomSeed() {
  uint64_t seed = 0;
  const Bytes bytes = RandomBytes(sizeof seed);
  std::memcpy(&seed, bytes.data(), sizeof seed);
  return seed;
}

}  // namespace

std::string Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() &&
        std::string_view(",= \\").find(text[i + 1]) != std::string_view::npos)
      ++i;
    plain += text[i];
  }
  return plain;
}

SeriesCache::SeriesCache() : seed_(RandomSeed()), slots_(kFirstSlots, kNone) {}

void SeriesCache::Begin(const things::Snapshot& snapshot) {
  if (snapshot_ != &snapshot || revision_ != snapshot.revision || series_.size() >= kMaxSeries)
    Forget();
  snapshot_ = &snapshot;
  revision_ = snapshot.revision;
}

uint64_t SeriesCache::Hash(std::string_view key) const {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed_);
}

Series* SeriesCache::Find(std::string_view key) {
  const uint64_t hash = Hash(key);
  for (size_t slot = hash & (slots_.size() - 1);; slot = (slot + 1) & (slots_.size() - 1)) {
    const uint32_t index = slots_[slot];
    if (index == kNone) return nullptr;
    if (series_[index].hash == hash && series_[index].key == key) return Follow(index);
  }
}

Series* SeriesCache::Add(std::string_view key, std::string thing) {
  if (series_.size() >= kMaxSeries) Forget();
  if ((series_.size() + 1) * 2 > slots_.size()) Grow();
  const auto index = static_cast<uint32_t>(series_.size());
  Series& series = series_.emplace_back();
  series.key = key;
  series.hash = Hash(key);
  series.thing = std::move(thing);
  series.known = snapshot_->FindThing(series.thing);
  Insert(index);
  return Follow(index);
}

const Field* SeriesCache::Known(const Series& series, std::string_view key) {
  if (series.by_key.empty()) {
    for (const Field& field : series.fields)
      if (field.key == key) return &field;
    return nullptr;
  }
  const auto known = series.by_key.find(key);
  return known == series.by_key.end() ? nullptr : &series.fields[known->second];
}

// The fields of a line often have the order of the thing's properties; to find one by its path
// takes longer than to look at some.
const things::Point* SeriesCache::PointOf(Series& series, std::string_view key) const {
  if (series.known == nullptr) return nullptr;
  const auto& properties = series.known->properties;
  if (properties.size() > kFewFields)
    return snapshot_->FindPoint(fmt::format("{}/{}", series.thing, key));
  for (size_t i = 0; i < properties.size(); ++i) {
    const size_t at = (series.next_property + i) % properties.size();
    if (properties[at].point.property != key) continue;
    series.next_property = at + 1;
    return &properties[at].point;
  }
  return nullptr;
}

const Field& SeriesCache::FieldOf(Series& series, std::string_view key, size_t position) {
  if (position < series.fields.size() && series.fields[position].key == key)
    return series.fields[position];
  if (const Field* known = Known(series, key)) return *known;
  if (series.fields.size() >= kMaxFields) {
    series.fields.clear();
    series.by_key.clear();
  }
  // Most series have as many fields as the one before.
  if (series.fields.empty()) series.fields.reserve(std::min(usual_fields_, kFewFields));
  usual_fields_ = series.fields.size() + 1;
  Field& field = series.fields.emplace_back();
  field.key = key;
  if (series.fields.size() == kFewFields)
    for (uint32_t i = 0; i + 1 < series.fields.size(); ++i)
      series.by_key.emplace(series.fields[i].key, i);
  if (series.fields.size() >= kFewFields)
    series.by_key.emplace(key, static_cast<uint32_t>(series.fields.size() - 1));
  const bool escaped = key.find('\\') != key.npos;
  if (const things::Point* point = PointOf(series, escaped ? Unescaped(key) : key)) {
    field.id = point->id;
    field.type = point->type;
  }
  return field;
}

Series* SeriesCache::Follow(uint32_t index) {
  if (last_ != kNone) series_[last_].next = index;
  last_ = index;
  return &series_[index];
}

void SeriesCache::Forget() {
  series_.clear();
  slots_.assign(kFirstSlots, kNone);
  last_ = kNone;
}

void SeriesCache::Grow() {
  slots_.assign(slots_.size() * 2, kNone);
  for (uint32_t i = 0; i < series_.size(); ++i) Insert(i);
}

void SeriesCache::Insert(uint32_t index) {
  size_t slot = series_[index].hash & (slots_.size() - 1);
  while (slots_[slot] != kNone) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = index;
}

}  // namespace penstock::protocols
