// The Merkle tree of RFC 6962, section 2.1: a leaf's hash is SHA-256(0x00 || entry), a node's SHA-256(0x01 || left || right). Every
// perfect subtree that is complete is stored once (table audit_nodes by level and index), so that a proof reads a
// logarithmic number of rows; the root of a tree of any size is made of the perfect subtrees at its right edge.
//
// The entry's bytes are its canonical JSON (keys sorted, no spaces, UTF-8): docs/formats/audit.md.
#include "trust/audit_log.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <span>

namespace penstock::trust {
namespace {

Sha256 LeafHash(std::string_view entry) {
  Bytes bytes = {0x00};
  bytes.insert(bytes.end(), entry.begin(), entry.end());
  return Sha256Of(bytes);
}

Sha256 NodeHash(const Sha256& left, const Sha256& right) {
  Bytes bytes = {0x01};
  bytes.insert(bytes.end(), left.begin(), left.end());
  bytes.insert(bytes.end(), right.begin(), right.end());
  return Sha256Of(bytes);
}

std::string Canonical(const AuditEntry& e) {
  return Json{{"leaf", e.leaf},       {"at", ToMicros(e.at)}, {"actor", e.actor}, {"action", e.action},
              {"subject", e.subject}, {"trace", e.trace},     {"detail", e.detail}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The largest power of two below n (n > 1).
uint64_t Split(uint64_t n) {
  uint64_t k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

class MerkleLog final : public AuditLog {
 public:
  MerkleLog(storage::Records& records, const Clock& clock) : records_(records), clock_(clock) {}

  Status Load() {
    TRY(records_.Migrate("audit",
                         {{1,
                           "CREATE TABLE audit(leaf INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL,"
                           " action TEXT NOT NULL, subject TEXT NOT NULL, trace TEXT NOT NULL, detail TEXT NOT NULL);"
                           "CREATE INDEX audit_by_trace ON audit(trace) WHERE trace <> '';"
                           "CREATE TABLE audit_nodes(level INTEGER NOT NULL, position INTEGER NOT NULL,"
                           " hash BLOB NOT NULL, PRIMARY KEY(level, position)) WITHOUT ROWID;"}}));
    ASSIGN_OR_RETURN(const auto rows, records_.Query("SELECT count(*) FROM audit"));
    size_ = static_cast<uint64_t>(rows.at(0).Integer(0));
    return {};
  }

  Result<uint64_t> Append(const std::string& actor, const std::string& action, const std::string& subject,
                          const std::string& trace, const Json& detail) override {
    const std::lock_guard lock(mutex_);
    AuditEntry entry{size_, clock_.Now(), actor, action, subject, trace, detail};
    TRY(records_.Transaction([&]() -> Status {
      TRY(records_.Run("INSERT INTO audit(leaf, at, actor, action, subject, trace, detail) VALUES(?,?,?,?,?,?,?)",
                       {static_cast<int64_t>(entry.leaf), ToMicros(entry.at), actor, action, subject, trace,
                        detail.dump(-1, ' ', false, Json::error_handler_t::replace)}));
      return StoreNodes(entry.leaf, LeafHash(Canonical(entry)));
    }));
    return size_++;
  }

  uint64_t size() const override {
    const std::lock_guard lock(mutex_);
    return size_;
  }

  Sha256 Root() const override {
    const std::lock_guard lock(mutex_);
    if (size_ == 0) return Sha256Of({});
    const auto root = TreeHash(0, size_);
    return root ? *root : Sha256{};
  }

  Result<std::vector<Sha256>> Prove(uint64_t leaf) const override {
    const std::lock_guard lock(mutex_);
    if (leaf >= size_) return NotFound("the audit log has {} leaves; there is no leaf {}", size_, leaf);
    return Path(leaf, 0, size_);
  }

  Result<bool> Verify(uint64_t leaf) const override {
    ASSIGN_OR_RETURN(const auto path, Prove(leaf));
    ASSIGN_OR_RETURN(const auto entries, List(leaf, 1));
    if (entries.empty()) return false;
    const std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(const Sha256 root, TreeHash(0, size_));
    return RootFromPath(LeafHash(Canonical(entries[0])), leaf, size_, path) == root;
  }

  Result<std::vector<AuditEntry>> List(uint64_t after, size_t limit) const override {
    return Entries("SELECT leaf, at, actor, action, subject, trace, detail FROM audit WHERE leaf >= ? ORDER BY leaf LIMIT ?",
                   {static_cast<int64_t>(after), static_cast<int64_t>(limit)});
  }

  Result<std::vector<AuditEntry>> OfTrace(const std::string& trace) const override {
    return Entries("SELECT leaf, at, actor, action, subject, trace, detail FROM audit WHERE trace = ? ORDER BY leaf",
                   {trace});
  }

 private:
  Result<std::vector<AuditEntry>> Entries(std::string_view sql, std::vector<storage::SqlValue> parameters) const {
    ASSIGN_OR_RETURN(const auto rows, records_.Query(sql, std::move(parameters)));
    std::vector<AuditEntry> entries;
    for (const auto& row : rows) {
      ASSIGN_OR_RETURN(Json detail, ParseJson(row.Text(6)));
      entries.push_back({static_cast<uint64_t>(row.Integer(0)), FromMicros(row.Integer(1)), row.Text(2), row.Text(3),
                         row.Text(4), row.Text(5), std::move(detail)});
    }
    return entries;
  }

  // The leaf and every perfect subtree that it completes.
  Status StoreNodes(uint64_t position, Sha256 hash) {
    for (int level = 0;; ++level) {
      TRY(records_.Run("INSERT INTO audit_nodes(level, position, hash) VALUES(?,?,?)",
                       {int64_t{level}, static_cast<int64_t>(position), Bytes(hash.begin(), hash.end())}));
      if (position % 2 == 0) return {};
      ASSIGN_OR_RETURN(const Sha256 left, Node(level, position - 1));
      hash = NodeHash(left, hash);
      position /= 2;
    }
  }

  Result<Sha256> Node(int level, uint64_t position) const {
    ASSIGN_OR_RETURN(const auto rows, records_.Query("SELECT hash FROM audit_nodes WHERE level=? AND position=?",
                                                     {int64_t{level}, static_cast<int64_t>(position)}));
    Sha256 hash{};
    if (rows.empty()) return DataLoss("audit node {}/{} is gone", level, position);
    const Bytes bytes = rows[0].Blob(0);
    if (bytes.size() != hash.size()) return DataLoss("audit node {}/{} is damaged", level, position);
    std::copy(bytes.begin(), bytes.end(), hash.begin());
    return hash;
  }

  // MTH(D[begin:end]); a perfect aligned range is one stored node.
  Result<Sha256> TreeHash(uint64_t begin, uint64_t end) const {
    const uint64_t count = end - begin;
    if ((count & (count - 1)) == 0 && begin % count == 0) {
      const int level = std::countr_zero(count);
      return Node(level, begin >> level);
    }
    const uint64_t middle = begin + Split(count);
    ASSIGN_OR_RETURN(const Sha256 left, TreeHash(begin, middle));
    ASSIGN_OR_RETURN(const Sha256 right, TreeHash(middle, end));
    return NodeHash(left, right);
  }

  // PATH(leaf, D[begin:end]), lowest first.
  Result<std::vector<Sha256>> Path(uint64_t leaf, uint64_t begin, uint64_t end) const {
    if (end - begin == 1) return std::vector<Sha256>{};
    const uint64_t middle = begin + Split(end - begin);
    const bool is_left = leaf < middle;
    ASSIGN_OR_RETURN(auto path, is_left ? Path(leaf, begin, middle) : Path(leaf, middle, end));
    ASSIGN_OR_RETURN(const Sha256 sibling, is_left ? TreeHash(middle, end) : TreeHash(begin, middle));
    path.push_back(sibling);
    return path;
  }

  static Sha256 RootFromPath(const Sha256& leaf_hash, uint64_t leaf, uint64_t size, std::span<const Sha256> path) {
    if (size == 1) return leaf_hash;
    if (path.empty()) return {};
    const uint64_t middle = Split(size);
    const auto below = path.first(path.size() - 1);
    if (leaf < middle) return NodeHash(RootFromPath(leaf_hash, leaf, middle, below), path.back());
    return NodeHash(path.back(), RootFromPath(leaf_hash, leaf - middle, size - middle, below));
  }

  storage::Records& records_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  uint64_t size_ = 0;
};

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::Open(storage::Records& records, const Clock& clock) {
  auto log = std::make_unique<MerkleLog>(records, clock);
  TRY(log->Load());
  return log;
}

}  // namespace penstock::trust
