#include "things/product_access.h"

#include <array>

namespace penstock::things {
namespace {

constexpr std::array<std::string_view, 4> kStates = {"open", "granted", "denied", "revoked"};
constexpr std::string_view kColumns =
    "id, product, principal, purpose, personal, asked, state, decided_by, note, decided, expires";

AccessRequest RequestOf(const storage::SqlRow& row) {
  AccessRequest request;
  request.id = row.Integer(0);
  request.product = row.Text(1);
  request.principal = row.Text(2);
  request.purpose = row.Text(3);
  request.personal = row.Integer(4) != 0;
  request.asked = FromMicros(row.Integer(5));
  for (size_t i = 0; i < kStates.size(); ++i)
    if (kStates[i] == row.Text(6)) request.state = static_cast<RequestState>(i);
  request.decided_by = row.Text(7);
  request.note = row.Text(8);
  if (!row.IsNull(9)) request.decided = FromMicros(row.Integer(9));
  if (!row.IsNull(10)) request.expires = FromMicros(row.Integer(10));
  return request;
}

size_t Characters(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<uint8_t>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

}  // namespace

std::string_view RequestStateName(RequestState state) {
  return kStates[static_cast<size_t>(state)];
}

Json AccessRequest::ToJson(Time now) const {
  const bool expired = state == RequestState::kGranted && !ActiveAt(now);
  return {{"id", id},
          {"product", product},
          {"principal", principal},
          {"purpose", purpose},
          {"personal", personal},
          {"asked", FormatTime(asked)},
          {"state", expired ? "expired" : RequestStateName(state)},
          {"decided_by", decided_by.empty() ? Json(nullptr) : Json(decided_by)},
          {"note", note},
          {"decided", decided ? Json(FormatTime(*decided)) : Json(nullptr)},
          {"expires", expires ? Json(FormatTime(*expires)) : Json(nullptr)}};
}

Result<ProductAccessStore> ProductAccessStore::Open(storage::Records& records) {
  TRY(records.Migrate("products", {{1,
                                    "CREATE TABLE product_access (id INTEGER PRIMARY KEY, product "
                                    "TEXT NOT NULL, principal TEXT NOT NULL, purpose TEXT NOT "
                                    "NULL, personal INTEGER NOT NULL, asked INTEGER NOT NULL, "
                                    "state TEXT NOT NULL, decided_by TEXT NOT NULL DEFAULT '', "
                                    "note TEXT NOT NULL DEFAULT '', decided INTEGER, expires "
                                    "INTEGER);"
                                    "CREATE INDEX product_access_of ON product_access (principal, "
                                    "product, state);"}}));
  return ProductAccessStore(records);
}

Result<AccessRequest> ProductAccessStore::Ask(const std::string& product,
                                              const std::string& principal,
                                              const std::string& purpose, bool personal, Time now) {
  if (const size_t length = Characters(purpose); length < 3 || length > kPurposeMax) {
    auto error = InvalidArgument("a purpose has 3 to {} characters, not {}", kPurposeMax, length);
    error.error().At("/purpose").Fix("say in a sentence what the data is for");
    return error;
  }
  ASSIGN_OR_RETURN(const auto open,
                   records_->Query("SELECT product FROM product_access WHERE principal = ? AND "
                                   "state = 'open'",
                                   {principal}));
  if (open.size() >= kOpenRequestsMax)
    return ResourceExhausted("{} requests of {} wait for an answer", open.size(), principal);
  for (const auto& row : open)
    if (row.Text(0) == product)
      return AlreadyExists("a request of {} for {} waits for an answer", principal, product);
  ASSIGN_OR_RETURN(
      const auto rows,
      records_->Query(fmt::format("INSERT INTO product_access (product, principal, "
                                  "purpose, personal, asked, state) VALUES "
                                  "(?, ?, ?, ?, ?, 'open') RETURNING {}",
                                  kColumns),
                      {product, principal, purpose, int64_t{personal ? 1 : 0}, ToMicros(now)}));
  return RequestOf(rows.at(0));
}

Result<AccessRequest> ProductAccessStore::Get(int64_t id) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_->Query(fmt::format("SELECT {} FROM product_access WHERE id = ?", kColumns), {id}));
  if (rows.empty()) return NotFound("no such access request: {}", id);
  return RequestOf(rows[0]);
}

Result<std::vector<AccessRequest>> ProductAccessStore::List(const std::string& product,
                                                            const std::string& principal,
                                                            int64_t after, size_t limit) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_->Query(fmt::format("SELECT {} FROM product_access WHERE (?1 = '' OR product = ?1) "
                                  "AND (?2 = '' OR principal = ?2) AND (?3 = 0 OR id < ?3) "
                                  "ORDER BY id DESC LIMIT ?4",
                                  kColumns),
                      {product, principal, after, static_cast<int64_t>(limit)}));
  std::vector<AccessRequest> requests;
  for (const auto& row : rows) requests.push_back(RequestOf(row));
  return requests;
}

Result<AccessRequest> ProductAccessStore::Grant(int64_t id, const std::string& by,
                                                const std::string& note, Duration time,
                                                bool personal, Time now) {
  if (time <= Duration(0) || time > kGrantMax) {
    auto error = InvalidArgument("a grant lasts up to {}, not {}", FormatDuration(kGrantMax),
                                 FormatDuration(time));
    error.error().At("/for").Fix("for example \"90d\"");
    return error;
  }
  ASSIGN_OR_RETURN(const AccessRequest request, Get(id));
  if (request.state != RequestState::kOpen)
    return FailedPrecondition("request {} is {} already", id, RequestStateName(request.state));
  TRY(records_->Run(
      "UPDATE product_access SET state = 'granted', decided_by = ?2, note = ?3, "
      "decided = ?4, expires = ?5, personal = ?6 WHERE id = ?1",
      {id, by, note, ToMicros(now), ToMicros(now + time), int64_t{personal ? 1 : 0}}));
  return Get(id);
}

Result<AccessRequest> ProductAccessStore::Deny(int64_t id, const std::string& by,
                                               const std::string& note, Time now) {
  ASSIGN_OR_RETURN(const AccessRequest request, Get(id));
  const bool open = request.state == RequestState::kOpen;
  if (!open && !request.ActiveAt(now))
    return FailedPrecondition("request {} is {} already", id,
                              request.ToJson(now)["state"].get<std::string>());
  TRY(
      records_->Run("UPDATE product_access SET state = ?2, decided_by = ?3, note = ?4, decided = "
                    "?5 WHERE id = ?1",
                    {id, std::string(open ? "denied" : "revoked"), by, note, ToMicros(now)}));
  return Get(id);
}

Result<std::optional<AccessRequest>> ProductAccessStore::GrantOf(const std::string& product,
                                                                 const std::string& principal,
                                                                 Time now) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_->Query(fmt::format("SELECT {} FROM product_access WHERE principal = ?1 AND product "
                                  "= ?2 AND state = 'granted' AND expires > ?3 ORDER BY personal "
                                  "DESC, expires DESC LIMIT 1",
                                  kColumns),
                      {principal, product, ToMicros(now)}));
  if (rows.empty()) return std::optional<AccessRequest>();
  return std::optional(RequestOf(rows[0]));
}

}  // namespace penstock::things
