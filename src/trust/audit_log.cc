// An entry is stored as its canonical JSON text: what List shows is what the hash is over (the
// column beside it only helps to find a trace). The hashes of all complete subtrees are kept by
// level and position, two rows per leaf on average, so that neither a start nor a proof reads more
// than the logarithm of the log.
//
// The right edge of the tree, one hash for each bit set in the size, is kept in memory and yields
// the root. It is only a copy: an append may be undone with the transaction around it, so every
// call compares the size with the table's and reads the edge again when they differ.
//
// The last root is stored too. A log whose hashes no longer lead to it has been changed from
// outside: then no leaf of it verifies.
#include "trust/audit_log.h"

#include <bit>
#include <cstring>
#include <mutex>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"

namespace penstock::trust {
namespace {

using storage::Records;

constexpr size_t kListMax = 10'000;
constexpr storage::Migration kSchema{
    1,
    "CREATE TABLE audit_entries(leaf INTEGER PRIMARY KEY, entry TEXT NOT NULL, trace TEXT) STRICT;"
    "CREATE INDEX audit_entries_by_trace ON audit_entries(trace) WHERE trace IS NOT NULL;"
    "CREATE TABLE audit_tree(level INTEGER, position INTEGER, hash BLOB NOT NULL,"
    " PRIMARY KEY(level, position)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE audit_head(only INTEGER PRIMARY KEY CHECK(only = 1), size INTEGER NOT NULL,"
    " root BLOB NOT NULL) STRICT;"};

// Keys sorted, no white space, UTF-8: nlohmann's objects are sorted maps. Bytes that are no UTF-8
// are replaced.
std::string Canonical(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string EntryText(const AuditEntry& entry) {
  return Canonical({{"leaf", entry.leaf},
                    {"at", FormatTime(entry.at)},
                    {"actor", entry.actor},
                    {"action", entry.action},
                    {"subject", entry.subject},
                    {"trace", entry.trace},
                    {"detail", entry.detail}});
}

Result<AuditEntry> ParseEntry(uint64_t leaf, const std::string& text) {
  const auto json = ParseJson(text);
  if (!json) return DataLoss("audit leaf {} is no JSON: {}", leaf, json.error().message);
  AuditEntry entry{.leaf = leaf};
  ASSIGN_OR_RETURN(const std::string at, GetString(*json, "at"));
  ASSIGN_OR_RETURN(entry.at, ParseTime(at));
  ASSIGN_OR_RETURN(entry.actor, GetString(*json, "actor"));
  ASSIGN_OR_RETURN(entry.action, GetString(*json, "action"));
  ASSIGN_OR_RETURN(entry.subject, GetString(*json, "subject"));
  ASSIGN_OR_RETURN(entry.trace, GetString(*json, "trace"));
  entry.detail = json->value("detail", Json());
  return entry;
}

// Complete subtrees from left to right, the largest first: one for each bit of the size.
struct Edge {
  uint64_t size = 0;
  std::vector<Sha256> hashes;

  Sha256 Root() const {
    if (hashes.empty()) return Sha256Of({});  // MTH({}) = SHA-256()
    Sha256 root = hashes.back();
    for (size_t i = hashes.size() - 1; i-- > 0;) root = NodeHash(hashes[i], root);
    return root;
  }
};

class MerkleAuditLog final : public AuditLog {
 public:
  MerkleAuditLog(Records& records, const Clock& clock) : records_(records), clock_(clock) {}

  Status Start() {
    TRY(records_.Migrate("trust.audit", {kSchema}));
    ASSIGN_OR_RETURN(edge_, LoadEdge());
    ASSIGN_OR_RETURN(const auto head, records_.Query("SELECT size, root FROM audit_head"));
    const Sha256 root = edge_.Root();
    const Bytes stored = head.empty() ? Bytes() : head[0].Blob(1);
    intact_ = head.empty() ? edge_.size == 0
                           : static_cast<uint64_t>(head[0].Integer(0)) == edge_.size &&
                                 ConstantTimeEqual(stored, root);
    if (intact_) return {};
    LogError("audit log: {} leaves do not lead to the stored root; it was changed from outside",
             edge_.size);
    Counter("penstock_audit_mismatches_total", "Audit logs found changed from outside at start.")
        .Add();
    return {};
  }

  Result<uint64_t> Append(const std::string& actor, const std::string& action,
                          const std::string& subject, const std::string& trace,
                          const Json& detail) override;
  uint64_t size() const override { return PresentEdge().size; }
  Sha256 Root() const override { return PresentEdge().Root(); }
  Result<std::vector<Sha256>> Prove(uint64_t leaf) const override {
    return ProveIn(leaf, PresentEdge().size);
  }
  Result<AuditProof> ProofOf(uint64_t leaf) const override;
  Result<bool> Verify(uint64_t leaf) const override;
  Result<std::vector<AuditEntry>> List(uint64_t after, size_t limit) const override;
  Result<std::vector<AuditEntry>> OfTrace(const std::string& trace) const override;

 private:
  Result<uint64_t> StoredSize() const;
  Result<Sha256> Node(int level, uint64_t position) const;
  Result<Edge> LoadEdge() const;
  Edge PresentEdge() const;
  Result<Sha256> HashOfRange(uint64_t from, uint64_t to) const;
  Result<std::vector<Sha256>> ProveIn(uint64_t leaf, uint64_t size) const;
  Status Store(AuditEntry& entry);

  Records& records_;
  const Clock& clock_;
  bool intact_ = true;
  mutable std::mutex
      mutex_;  // Guards edge_; never held while asking the records, whose lock comes first.
  mutable Edge edge_;
};

Result<uint64_t> MerkleAuditLog::StoredSize() const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT coalesce(max(leaf) + 1, 0) FROM audit_entries"));
  return static_cast<uint64_t>(rows[0].Integer(0));
}

Result<Sha256> MerkleAuditLog::Node(int level, uint64_t position) const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT hash FROM audit_tree WHERE level=? AND position=?",
                                  {int64_t{level}, static_cast<int64_t>(position)}));
  Sha256 hash{};
  if (rows.empty() || rows[0].Blob(0).size() != hash.size())
    return DataLoss("audit log: the hash of level {} position {} is gone", level, position);
  const Bytes stored = rows[0].Blob(0);
  std::memcpy(hash.data(), stored.data(), hash.size());
  return hash;
}

Result<Edge> MerkleAuditLog::LoadEdge() const {
  Edge edge;
  ASSIGN_OR_RETURN(edge.size, StoredSize());
  uint64_t begin = 0;
  for (int level = 63; level >= 0; --level) {
    if ((edge.size >> level & 1) == 0) continue;
    const auto hash = Node(level, begin >> level);
    if (!hash && hash.error().code == Code::kDataLoss) {
      LogError("{}", hash.error().ToString());
      edge.hashes.push_back({});  // Leads to another root, and that is the truth about this log.
    } else if (!hash) {
      return std::unexpected(hash.error());
    } else {
      edge.hashes.push_back(*hash);
    }
    begin += uint64_t{1} << level;
  }
  return edge;
}

Edge MerkleAuditLog::PresentEdge() const {
  const auto size = StoredSize();
  {
    const std::lock_guard lock(mutex_);
    if (!size || *size == edge_.size) return edge_;
  }
  auto loaded = LoadEdge();
  const std::lock_guard lock(mutex_);
  if (loaded) edge_ = std::move(*loaded);
  return edge_;
}

Result<uint64_t> MerkleAuditLog::Append(const std::string& actor, const std::string& action,
                                        const std::string& subject, const std::string& trace,
                                        const Json& detail) {
  AuditEntry entry{.at = clock_.Now(),
                   .actor = actor,
                   .action = action,
                   .subject = subject,
                   .trace = trace,
                   .detail = detail};
  TRY(records_.Transaction([&] { return Store(entry); }));
  return entry.leaf;
}

Status MerkleAuditLog::Store(AuditEntry& entry) {
  Edge edge = PresentEdge();
  entry.leaf = edge.size;
  const std::string text = EntryText(entry);
  TRY(records_.Run("INSERT INTO audit_entries VALUES(?,?,?)",
                   {static_cast<int64_t>(entry.leaf), text,
                    entry.trace.empty() ? storage::SqlValue() : entry.trace}));
  // Like adding one to a binary number: each carry joins two subtrees of a size.
  Sha256 hash = LeafHash(AsBytes(text));
  for (int level = 0;; ++level) {
    TRY(records_.Run("INSERT INTO audit_tree VALUES(?,?,?)",
                     {int64_t{level}, static_cast<int64_t>(edge.size >> level),
                      Bytes(hash.begin(), hash.end())}));
    if ((edge.size >> level & 1) == 0) break;
    hash = NodeHash(edge.hashes.back(), hash);
    edge.hashes.pop_back();
  }
  edge.hashes.push_back(hash);
  ++edge.size;
  const Sha256 root = edge.Root();
  TRY(
      records_.Run("INSERT INTO audit_head VALUES(1,?,?) "
                   "ON CONFLICT(only) DO UPDATE SET size=excluded.size, root=excluded.root",
                   {static_cast<int64_t>(edge.size), Bytes(root.begin(), root.end())}));
  const std::lock_guard lock(mutex_);
  edge_ = std::move(edge);
  return {};
}

// MTH of the leaves [from, to), where `from` is a multiple of the largest power of two within the
// range.
Result<Sha256> MerkleAuditLog::HashOfRange(uint64_t from, uint64_t to) const {
  const uint64_t size = to - from;
  if (std::has_single_bit(size)) {
    const int level = std::countr_zero(size);
    return Node(level, from >> level);
  }
  const uint64_t left_size = std::bit_floor(size);
  ASSIGN_OR_RETURN(const Sha256 left, HashOfRange(from, from + left_size));
  ASSIGN_OR_RETURN(const Sha256 right, HashOfRange(from + left_size, to));
  return NodeHash(left, right);
}

// RFC 6962 section 2.1.1, from the root down; the path is listed from the leaf up.
Result<std::vector<Sha256>> MerkleAuditLog::ProveIn(uint64_t leaf, uint64_t size) const {
  if (leaf >= size) return NotFound("audit leaf unknown: {} of {}", leaf, size);
  std::vector<Sha256> path;
  uint64_t from = 0, to = size;
  while (to - from > 1) {
    const uint64_t middle = from + std::bit_floor(to - from - 1);
    const bool left = leaf < middle;
    ASSIGN_OR_RETURN(const Sha256 sibling,
                     left ? HashOfRange(middle, to) : HashOfRange(from, middle));
    path.push_back(sibling);
    (left ? to : from) = middle;
  }
  return std::vector<Sha256>(path.rbegin(), path.rend());
}

Result<AuditProof> MerkleAuditLog::ProofOf(uint64_t leaf) const {
  const Edge edge = PresentEdge();
  ASSIGN_OR_RETURN(auto path, ProveIn(leaf, edge.size));
  ASSIGN_OR_RETURN(const auto rows, records_.Query("SELECT entry FROM audit_entries WHERE leaf=?",
                                                   {static_cast<int64_t>(leaf)}));
  if (rows.empty()) return DataLoss("audit leaf {} is gone", leaf);
  return AuditProof{.size = edge.size,
                    .root = edge.Root(),
                    .leaf_hash = LeafHash(AsBytes(rows[0].Text(0))),
                    .path = std::move(path)};
}

Result<bool> MerkleAuditLog::Verify(uint64_t leaf) const {
  const Edge edge = PresentEdge();
  ASSIGN_OR_RETURN(const auto rows, records_.Query("SELECT entry FROM audit_entries WHERE leaf=?",
                                                   {static_cast<int64_t>(leaf)}));
  if (leaf >= edge.size) return NotFound("audit leaf unknown: {} of {}", leaf, edge.size);
  if (rows.empty() || !intact_) return false;
  const auto path = ProveIn(leaf, edge.size);
  if (!path && path.error().code == Code::kDataLoss) return false;
  if (!path) return std::unexpected(path.error());
  return RootOfPath(LeafHash(AsBytes(rows[0].Text(0))), leaf, edge.size, *path) == edge.Root();
}

Result<std::vector<AuditEntry>> MerkleAuditLog::List(uint64_t after, size_t limit) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query(
          "SELECT leaf, entry FROM audit_entries WHERE leaf>=? ORDER BY leaf LIMIT ?",
          {static_cast<int64_t>(after), static_cast<int64_t>(std::min(limit, kListMax))}));
  std::vector<AuditEntry> entries;
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(AuditEntry entry,
                     ParseEntry(static_cast<uint64_t>(row.Integer(0)), row.Text(1)));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::vector<AuditEntry>> MerkleAuditLog::OfTrace(const std::string& trace) const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT leaf, entry FROM audit_entries WHERE trace=? "
                                  "ORDER BY leaf LIMIT ?",
                                  {trace, static_cast<int64_t>(kListMax)}));
  std::vector<AuditEntry> entries;
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(AuditEntry entry,
                     ParseEntry(static_cast<uint64_t>(row.Integer(0)), row.Text(1)));
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

Sha256 LeafHash(ByteView entry) {
  Bytes input;
  input.reserve(entry.size() + 1);
  input.push_back(0x00);
  input.insert(input.end(), entry.begin(), entry.end());
  return Sha256Of(input);
}

Sha256 NodeHash(const Sha256& left, const Sha256& right) {
  std::array<uint8_t, 65> input{0x01};
  std::copy(left.begin(), left.end(), input.begin() + 1);
  std::copy(right.begin(), right.end(), input.begin() + 33);
  return Sha256Of(input);
}

// RFC 9162 section 2.1.3.2.
std::optional<Sha256> RootOfPath(const Sha256& leaf_hash, uint64_t leaf, uint64_t size,
                                 std::span<const Sha256> path) {
  if (leaf >= size) return std::nullopt;
  uint64_t node = leaf, last = size - 1;
  Sha256 hash = leaf_hash;
  for (const Sha256& sibling : path) {
    if (last == 0) return std::nullopt;
    if ((node & 1) != 0 || node == last) {
      hash = NodeHash(sibling, hash);
      while ((node & 1) == 0 && node != 0) node >>= 1, last >>= 1;
    } else {
      hash = NodeHash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  if (last != 0) return std::nullopt;
  return hash;
}

Result<std::unique_ptr<AuditLog>> AuditLog::Open(Records& records, const Clock& clock) {
  auto log = std::make_unique<MerkleAuditLog>(records, clock);
  TRY(log->Start());
  return log;
}

}  // namespace penstock::trust
