// Who may read a data product that is not open to all: requests with a purpose, and what an owner
// or an administrator decided about them. A grant ends by itself; a new one is a new request.
//
// Thread rule: any thread. Changes may be part of a Records::Transaction of the caller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "storage/records.h"

namespace penstock::things {

inline constexpr Duration kGrantDefault = std::chrono::days(90);
inline constexpr Duration kGrantMax = std::chrono::days(730);
inline constexpr size_t kPurposeMax = 1000;     // Characters.
inline constexpr size_t kOpenRequestsMax = 50;  // Of one principal.

enum class RequestState { kOpen, kGranted, kDenied, kRevoked };
std::string_view RequestStateName(RequestState state);  // "open"

struct AccessRequest {
  int64_t id = 0;
  std::string product, principal, purpose;
  bool personal = false;  // Personal values too.
  Time asked;
  RequestState state = RequestState::kOpen;
  std::string decided_by, note;
  std::optional<Time> decided, expires;

  bool ActiveAt(Time now) const {
    return state == RequestState::kGranted && expires && now < *expires;
  }
  Json ToJson(Time now) const;  // "state" is "expired" after its time.
};

class ProductAccessStore {
 public:
  static Result<ProductAccessStore> Open(storage::Records& records);

  // kAlreadyExists while one of this principal for this product is open; kInvalidArgument for a
  // purpose of less than 3 or more than kPurposeMax characters.
  Result<AccessRequest> Ask(const std::string& product, const std::string& principal,
                            const std::string& purpose, bool personal, Time now);
  Result<AccessRequest> Get(int64_t id) const;  // kNotFound.
  // Newest first; "" for all. `after` is the id of the last item of the page before, 0 first.
  Result<std::vector<AccessRequest>> List(const std::string& product, const std::string& principal,
                                          int64_t after, size_t limit) const;
  // kFailedPrecondition unless it is open; kInvalidArgument for a time beyond kGrantMax.
  Result<AccessRequest> Grant(int64_t id, const std::string& by, const std::string& note,
                              Duration time, bool personal, Time now);
  // Of an open one: denied. Of a granted one: revoked, at once.
  Result<AccessRequest> Deny(int64_t id, const std::string& by, const std::string& note, Time now);
  // The grant that lets this principal read now; nothing when there is none.
  Result<std::optional<AccessRequest>> GrantOf(const std::string& product,
                                               const std::string& principal, Time now) const;

 private:
  explicit ProductAccessStore(storage::Records& records) : records_(&records) {}
  storage::Records* records_;
};

}  // namespace penstock::things
