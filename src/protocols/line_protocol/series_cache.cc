#include "protocols/line_protocol/series_cache.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "base/bytes.h"

namespace penstock::protocols {
namespace {

constexpr size_t kMaxSeries = 1 << 18;
constexpr size_t kMaxFields = 10'000;       // Per series.
constexpr size_t kMaxAllFields = 2 << 20;   // 16 MiB.
constexpr size_t kMaxTextBytes = 32 << 20;  // Of all series' keys.
constexpr size_t kMaxLayoutBytes = 16 << 20;
constexpr size_t kKeyBytes = 128;     // What one key of a layout takes beside its text, about.
constexpr size_t kLayoutBytes = 256;  // And a layout.
constexpr size_t kFirstSlots = 1024;
constexpr size_t kFewFields = 24;  // Fewer are searched one by one.
constexpr size_t kUsualKey = 64;

uint64_t RandomSeed() {
  uint64_t seed = 0;
  const Bytes bytes = RandomBytes(sizeof seed);
  std::memcpy(&seed, bytes.data(), sizeof seed);
  return seed;
}

}  // namespace

std::string Unescaped(std::string_view text) {
  std::string plain(text.substr(0, text.find('\\')));
  for (size_t i = plain.size(); i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() &&
        std::string_view(",= \\").find(text[i + 1]) != std::string_view::npos)
      ++i;
    plain += text[i];
  }
  return plain;
}

SeriesCache::SeriesCache() : seed_(RandomSeed()) { Forget(); }

bool SeriesCache::TooMuch() const {
  return series_.size() >= kMaxSeries || fields_.size() >= kMaxAllFields ||
         text_.size() >= kMaxTextBytes || layout_bytes_ >= kMaxLayoutBytes;
}

void SeriesCache::Begin(const things::Snapshot& snapshot) {
  if (table_ == nullptr || !table_->IsOf(snapshot))
    table_ = std::make_shared<const PointTable>(snapshot);
  if (snapshot_ != &snapshot || revision_ != snapshot.revision || TooMuch()) {
    Forget();
    // Room, not memory: a page is taken when it is written to.
    const size_t series = std::min(kMaxSeries, snapshot.things.size() + 1);
    series_.reserve(series);
    text_.reserve(series * kUsualKey);
    fields_.reserve(std::min(kMaxAllFields, snapshot.by_id.size()));
  }
  snapshot_ = &snapshot;
  revision_ = snapshot.revision;
}

// --- Series

uint32_t SeriesCache::Hash(std::string_view key) const {
  return static_cast<uint32_t>(XXH3_64bits_withSeed(key.data(), key.size(), seed_));
}

uint32_t SeriesCache::IndexOf(std::string_view key) const {
  const uint32_t hash = Hash(key);
  for (size_t slot = hash & (slots_.size() - 1);; slot = (slot + 1) & (slots_.size() - 1)) {
    const uint32_t index = slots_[slot];
    if (index == kNone) return kNone;
    const Series& series = series_[index];
    if (series.hash == hash && series.key_size == key.size() &&
        std::memcmp(text_.data() + series.key_begin, key.data(), key.size()) == 0)
      return index;
  }
}

Series* SeriesCache::Find(std::string_view key) {
  const uint32_t index = IndexOf(key);
  return index == kNone ? nullptr : Follow(index);
}

Series* SeriesCache::Add(std::string_view key, const std::string& thing) {
  if (TooMuch()) Forget();
  if ((series_.size() + 1) * 2 > slots_.size()) Grow();
  const auto index = static_cast<uint32_t>(series_.size());
  Series& series = series_.emplace_back();
  series.key_begin = static_cast<uint32_t>(text_.size());
  series.key_size = static_cast<uint32_t>(key.size());
  text_ += key;
  series.hash = Hash(key);
  series.thing = ThingOf(thing);
  series.layout = usual_layout_;
  series.first = static_cast<uint32_t>(fields_.size());
  Insert(index);
  return Follow(index);
}

// Sources are often written in the order of their names, which is the order of the things.
uint32_t SeriesCache::ThingOf(const std::string& name) {
  const auto& things = snapshot_->things;
  if (last_thing_ + 1 < things.size() && things[last_thing_ + 1].name == name) {
    ++last_thing_;
  } else {
    const things::Thing* thing = snapshot_->FindThing(name);
    if (thing == nullptr) return kNone;
    last_thing_ = static_cast<uint32_t>(thing - things.data());
  }
  return last_thing_;
}

Series* SeriesCache::Follow(uint32_t index) {
  if (last_ != kNone) series_[last_].next = index;
  last_ = index;
  return &series_[index];
}

// --- Fields

const Field& SeriesCache::FieldOf(Series& series, std::string_view key, size_t position) {
  if (position < series.fields && KeysOf(series)[position] == key)
    return FieldsOf(series)[position];
  // The next of the layout is none of those before it.
  const auto& keys = layouts_[series.layout].keys;
  if (series.fields >= keys.size() || keys[series.fields] != key)
    if (const Field* known = Known(series, key)) return *known;
  if (series.fields >= kMaxFields || TooMuch()) {
    uint32_t guess = 0;
    return loose_ = FieldFor(series, key, guess);
  }
  ExtendLayout(series, key);
  if (series.fields == series.room) MakeRoom(series);
  usual_layout_ = series.layout;
  const uint32_t place = series.fields++;
  uint32_t& guess = layouts_[series.layout].property[place];
  return fields_[series.first + place] = FieldFor(series, key, guess);
}

const Field* SeriesCache::Known(const Series& series, std::string_view key) const {
  const Layout& layout = layouts_[series.layout];
  if (layout.by_key.empty()) {
    for (uint32_t i = 0; i < series.fields; ++i)
      if (layout.keys[i] == key) return FieldsOf(series) + i;
    return nullptr;
  }
  const auto known = layout.by_key.find(key);
  return known == layout.by_key.end() || known->second >= series.fields
             ? nullptr
             : FieldsOf(series) + known->second;
}

// Things of one kind have their properties in the same order, so the place where the key was found
// the last time is looked at first; and to find one by its path takes longer than to look at some.
Field SeriesCache::FieldFor(const Series& series, std::string_view key, uint32_t& guess) const {
  if (series.thing == kNone) return {};
  std::string plain;
  if (key.find('\\') != key.npos) key = plain = Unescaped(key);
  const things::Thing& thing = snapshot_->things[series.thing];
  if (thing.properties.size() <= kFewFields) return table_->Find(series.thing, key, guess);
  const things::Point* point = snapshot_->FindPoint(fmt::format("{}/{}", thing.name, key));
  return point == nullptr ? Field() : Field{point->id, point->type};
}

// Its layout is then one whose key behind the series' own is `key`: the same, one that another
// series has already, or a new one.
void SeriesCache::ExtendLayout(Series& series, std::string_view key) {
  const size_t n = series.fields;
  const Layout& layout = layouts_[series.layout];
  if (n < layout.keys.size() && layout.keys[n] == key) return;
  const uint64_t before = n == 0 ? seed_ : layout.prefix[n - 1];
  const uint64_t prefix = XXH3_64bits_withSeed(key.data(), key.size(), before);
  const auto same = [&](const Layout& other) {
    return other.keys.size() > n && other.keys[n] == key &&
           std::equal(other.keys.begin(), other.keys.begin() + static_cast<ptrdiff_t>(n),
                      layout.keys.begin());
  };
  if (const auto found = layout_of_prefix_.find(prefix);
      found != layout_of_prefix_.end() && same(layouts_[found->second])) {
    series.layout = found->second;
    return;
  }
  if (n < layout.keys.size()) {
    const auto fork = static_cast<uint32_t>(layouts_.size());
    layouts_.emplace_back();
    layout_bytes_ += kLayoutBytes;
    for (size_t i = 0; i < n; ++i) {
      const Layout& from = layouts_[series.layout];
      AddKey(fork, from.keys[i], from.prefix[i]);
    }
    series.layout = fork;
  }
  AddKey(series.layout, key, prefix);
}

void SeriesCache::AddKey(uint32_t index, std::string_view key, uint64_t prefix) {
  Layout& layout = layouts_[index];
  layout.keys.emplace_back(key);
  layout.prefix.push_back(prefix);
  layout.property.push_back(0);
  layout_of_prefix_.emplace(prefix, index);
  layout_bytes_ += kKeyBytes + 2 * key.size();
  const auto count = static_cast<uint32_t>(layout.keys.size());
  if (count < kFewFields) return;
  for (uint32_t i = count == kFewFields ? 0 : count - 1; i < count; ++i)
    layout.by_key.emplace(layout.keys[i], i);
}

// Behind all others: at once for the series that came last, else by moving.
void SeriesCache::MakeRoom(Series& series) {
  if (series.first + series.room == fields_.size()) {
    fields_.emplace_back();
    ++series.room;
    return;
  }
  const auto first = static_cast<uint32_t>(fields_.size());
  series.room = std::bit_ceil(series.fields + 1);
  fields_.resize(fields_.size() + series.room);
  std::copy_n(fields_.begin() + series.first, series.fields, fields_.begin() + first);
  series.first = first;
}

// --- The whole

void SeriesCache::Forget() {
  text_.clear();
  series_.clear();
  fields_.clear();
  slots_.assign(kFirstSlots, kNone);
  layouts_.clear();
  layouts_.emplace_back();
  layout_of_prefix_.clear();
  layout_bytes_ = 0;
  last_ = kNone;
  last_thing_ = kNone;  // The next is the first.
  usual_layout_ = 0;
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
