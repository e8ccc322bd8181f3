#include "fleet/twin.h"

namespace penstock::fleet {
namespace {

constexpr std::string_view kColumns =
    "thing, desired, desired_version, desired_at, reported, reported_version, reported_at";

int DepthOf(const Json& value) {
  int deepest = 0;
  if (value.is_structured())
    for (const Json& child : value) deepest = std::max(deepest, DepthOf(child));
  return deepest + (value.is_structured() ? 1 : 0);
}

Result<Twin> FromRow(const storage::SqlRow& row) {
  Twin twin;
  twin.thing = row.Text(0);
  ASSIGN_OR_RETURN(twin.desired, ParseJson(row.Text(1)));
  twin.desired_version = row.Integer(2);
  if (!row.IsNull(3)) twin.desired_at = FromMicros(row.Integer(3));
  ASSIGN_OR_RETURN(twin.reported, ParseJson(row.Text(4)));
  twin.reported_version = row.Integer(5);
  if (!row.IsNull(6)) twin.reported_at = FromMicros(row.Integer(6));
  return twin;
}

storage::SqlValue TimeValue(const std::optional<Time>& time) {
  return time ? storage::SqlValue(ToMicros(*time)) : storage::SqlValue(nullptr);
}

Json TimeJson(const std::optional<Time>& time) {
  return time ? Json(FormatTime(*time)) : Json(nullptr);
}

// What to lay over `reported` so that everything in `desired` is met.
Json PatchTowards(const Json& desired, const Json& reported) {
  Json patch = Json::object();
  for (const auto& [key, wanted] : desired.items()) {
    const auto is = reported.find(key);
    if (is == reported.end())
      patch[key] = wanted;
    else if (wanted.is_object() && is->is_object()) {
      if (Json below = PatchTowards(wanted, *is); !below.empty()) patch[key] = std::move(below);
    } else if (*is != wanted)
      patch[key] = wanted;
  }
  return patch;
}

Status CheckDocument(const Json& document, std::string_view which) {
  if (const int depth = DepthOf(document); depth > kTwinDepthMax)
    return InvalidArgument("the {} document is {} levels deep, at most {}", which, depth,
                           kTwinDepthMax);
  const size_t bytes = document.dump(-1, ' ', false, Json::error_handler_t::replace).size();
  if (bytes > kTwinBytesMax)
    return InvalidArgument("the {} document has {} bytes, at most {}", which, bytes, kTwinBytesMax);
  return {};
}

}  // namespace

Json Twin::Difference() const { return PatchTowards(desired, reported); }

Json Twin::ToJson() const {
  return {{"thing", thing},
          {"desired", desired},
          {"desired_version", desired_version},
          {"desired_at", TimeJson(desired_at)},
          {"reported", reported},
          {"reported_version", reported_version},
          {"reported_at", TimeJson(reported_at)},
          {"difference", Difference()}};
}

Result<std::unique_ptr<Twins>> Twins::Open(storage::Records& records, const Clock& clock) {
  TRY(records.Migrate(
      "fleet_twins",
      {{1,
        "CREATE TABLE twins(thing TEXT PRIMARY KEY,"
        " desired TEXT NOT NULL, desired_version INTEGER NOT NULL, desired_at INTEGER,"
        " reported TEXT NOT NULL, reported_version INTEGER NOT NULL, reported_at INTEGER)"
        " WITHOUT ROWID;"}}));
  return std::unique_ptr<Twins>(new Twins(records, clock));
}

Result<Twin> Twins::Get(const std::string& thing) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query(fmt::format("SELECT {} FROM twins WHERE thing=?", kColumns), {thing}));
  if (!rows.empty()) return FromRow(rows[0]);
  Twin twin;
  twin.thing = thing;
  return twin;
}

Result<Twin> Twins::PatchDesired(const std::string& thing, const Json& patch,
                                 std::optional<int64_t> if_version) {
  return Patch(thing, true, patch, if_version);
}

Result<Twin> Twins::PatchReported(const std::string& thing, const Json& patch,
                                  std::optional<int64_t> if_version) {
  return Patch(thing, false, patch, if_version);
}

Result<Twin> Twins::Patch(const std::string& thing, bool desired, const Json& patch,
                          std::optional<int64_t> if_version) {
  const std::string_view which = desired ? "desired" : "reported";
  if (thing.empty() || thing.size() > 200)
    return InvalidArgument("no name of a thing: \"{}\"", thing.substr(0, 80));
  if (!patch.is_object())
    return InvalidArgument("a merge patch of a twin is an object, not {}", patch.type_name());
  TRY(CheckDocument(patch, which));
  Twin twin;
  const Status done = records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(twin, Get(thing));
    Json& document = desired ? twin.desired : twin.reported;
    int64_t& version = desired ? twin.desired_version : twin.reported_version;
    if (if_version && *if_version != version) {
      auto error = Aborted("{} is at version {}, not {}", which, version, *if_version);
      error.error().Fix("read the twin again and repeat the change on it");
      return error;
    }
    const Json before = document;
    document.merge_patch(patch);
    if (document == before && version > 0) return {};
    TRY(CheckDocument(document, which));
    ++version;
    (desired ? twin.desired_at : twin.reported_at) = clock_.Now();
    const auto text = [](const Json& json) {
      return json.dump(-1, ' ', false, Json::error_handler_t::replace);
    };
    TRY(records_.Run(
        "INSERT OR REPLACE INTO twins(thing, desired, desired_version, desired_at, reported,"
        " reported_version, reported_at) VALUES(?,?,?,?,?,?,?)",
        {thing, text(twin.desired), twin.desired_version, TimeValue(twin.desired_at),
         text(twin.reported), twin.reported_version, TimeValue(twin.reported_at)}));
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return twin;
}

Status Twins::Remove(const std::string& thing) {
  ASSIGN_OR_RETURN(const int64_t removed, records_.Run("DELETE FROM twins WHERE thing=?", {thing}));
  if (removed == 0) return NotFound("no twin: {}", thing.substr(0, 80));
  return {};
}

Result<std::vector<Twin>> Twins::List(const std::string& after, size_t limit) const {
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query(
          fmt::format("SELECT {} FROM twins WHERE thing>? ORDER BY thing LIMIT ?", kColumns),
          {after, static_cast<int64_t>(std::min<size_t>(limit, 10'000))}));
  std::vector<Twin> twins;
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(Twin twin, FromRow(row));
    twins.push_back(std::move(twin));
  }
  return twins;
}

}  // namespace penstock::fleet
