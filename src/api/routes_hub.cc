// The hub: who may be an edge, and what edges bring. The routes of edges need their certificate
// (role device); those of people are the usual roles. Wire: docs/formats/uplink.md.
//
// POST /api/v1/frames is for everybody who has many samples at hand: the same frames, without the
// sequences of an edge; what is unknown is quarantined and told, as line protocol does.
#include <charconv>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "api/hub_services.h"
#include "api/routes.h"
#include "base/metrics.h"
#include "telemetry/batch_rows.h"
#include "telemetry/frame.h"
#include "telemetry/texts.h"

namespace penstock::api {
namespace {

using telemetry::Frame;

constexpr size_t kFrameRowsTogether = 1 << 20;
constexpr size_t kErrorsMax = 100;
constexpr size_t kThingsMax = 100'000;  // Of one edge, between two digests.

std::string EdgeOf(const Request& request) {
  return request.principal.name.substr(request.principal.name.find(':') + 1);
}

// --- Enrolment

Result<Response> Invite(const Services& s, const HubServices& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"name"}));
  ASSIGN_OR_RETURN(const std::string name, GetString(body, "name"));
  ASSIGN_OR_RETURN(const std::string token, hub.certificates->Invite(request.principal.name, name));
  (void)s;
  return JsonResponse({{"edge", name},
                       {"hub", hub.url()},
                       {"authority", hub.tls->authority().certificate()},
                       {"token", token}},
                      201);
}

Result<Response> Enrol(const HubServices& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"token", "request"}));
  ASSIGN_OR_RETURN(const std::string token, GetString(body, "token"));
  ASSIGN_OR_RETURN(const std::string csr, GetString(body, "request"));
  ASSIGN_OR_RETURN(const auto issued,
                   hub.certificates->Enrol(token, csr, hub.tls->authority(), request.remote));
  return JsonResponse({{"edge", issued.name}, {"certificate", issued.certificate}}, 201);
}

Result<Response> Renew(const HubServices& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"request"}));
  ASSIGN_OR_RETURN(const std::string csr, GetString(body, "request"));
  ASSIGN_OR_RETURN(const auto issued,
                   hub.certificates->Renew(request.principal, csr, hub.tls->authority()));
  return JsonResponse({{"edge", issued.name}, {"certificate", issued.certificate}}, 201);
}

// What is known of each edge: its certificate, and what of its rows is here.
Result<Response> ListEdges(const HubServices& hub) {
  ASSIGN_OR_RETURN(Json edges, hub.certificates->ToJson());
  ASSIGN_OR_RETURN(Json origins, hub.origins->ToJson());
  std::map<std::string, Json> by_name;
  for (Json& origin : origins["edges"]) {
    const std::string name = origin["edge"].get<std::string>();
    origin.erase("edge");
    by_name[name].push_back(std::move(origin));
  }
  for (Json& edge : edges) {
    const auto found = by_name.find(edge["name"].get<std::string>());
    edge["epochs"] = found == by_name.end() ? Json::array() : std::move(found->second);
  }
  return ListResponse(std::move(edges));
}

// --- The uplink

// Digests of the descriptions that edges have sent completely; forgotten with the process.
struct ToldThings {
  std::mutex mutex;
  std::map<std::string, std::string> digest;
  // Names on the hub of what came since the last digest: whether the site took them is told there.
  std::map<std::string, std::vector<std::string>> fresh;
  std::string Of(const std::string& edge) {
    const std::lock_guard lock(mutex);
    const auto found = digest.find(edge);
    return found == digest.end() ? "" : found->second;
  }
  void Set(const std::string& edge, const std::string& to) {
    const std::lock_guard lock(mutex);
    digest[edge] = to;
  }
  std::mutex writing;  // Of files; one request at a time.
};

Result<Response> Hello(const Services& s, const HubServices& hub, ToldThings& told,
                       const Request& request) {
  ASSIGN_OR_RETURN(const Json body,
                   BodyObject(request, {"epoch", "begin", "next", "site", "things", "reason"}));
  ASSIGN_OR_RETURN(Json answer, hub.receiver->Hello(EdgeOf(request), body, s.clock.Now()));
  answer["things"] = told.Of(EdgeOf(request));
  return JsonResponse(answer);
}

Json RefusedJson(const std::vector<protocols::uplink::RefusedThing>& refused) {
  Json all = Json::array();
  for (const auto& thing : refused)
    all.push_back({{"thing", thing.thing}, {"message", thing.message}, {"fix", thing.fix}});
  return all;
}

// The end of an edge's descriptions: the site is read again, and what its other files contradict
// shows.
Result<Response> EndThings(const Services& s, const HubServices& hub, ToldThings& told,
                           const std::string& edge, const std::string& digest) {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(told.mutex);
    names.swap(told.fresh[edge]);
  }
  if (!names.empty()) hub.reload();
  std::vector<protocols::uplink::RefusedThing> refused;
  const auto snapshot = s.directory.snapshot();
  for (const std::string& name : names)
    if (snapshot->FindThing(name) == nullptr)
      refused.push_back({name, "contradicts another file of the hub's site",
                         "run penstock check on the hub; it names both places"});
  told.Set(edge, digest);
  return JsonResponse({{"taken", 0}, {"changed", 0}, {"refused", RefusedJson(refused)}});
}

Result<Response> TakeThings(const Services& s, const HubServices& hub, ToldThings& told,
                            const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"models", "things", "digest"}));
  const std::string edge = EdgeOf(request);
  if (body.contains("digest"))
    return EndThings(s, hub, told, edge, StringOr(body, "digest", "").substr(0, 64));
  const std::lock_guard writing(told.writing);
  ASSIGN_OR_RETURN(const auto taken, hub.things->Take(edge, body));
  const std::lock_guard lock(told.mutex);
  auto& fresh = told.fresh[edge];
  fresh.insert(fresh.end(), taken.names.begin(), taken.names.end());
  if (fresh.size() > kThingsMax) fresh.resize(kThingsMax);
  return JsonResponse({{"taken", taken.taken},
                       {"changed", taken.changed},
                       {"refused", RefusedJson(taken.refused)}});
}

struct PartOfBlock {
  std::string id;
  size_t offset = 0, total = 0;
};

bool Digits(std::string_view text, size_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

// "Penstock-Block: ID", "Content-Range: bytes FIRST-LAST/TOTAL" (RFC 9110, section 14.4).
Result<PartOfBlock> PartOf(const Request& request) {
  PartOfBlock part;
  part.id = request.Header("penstock-block");
  if (part.id.empty() || part.id.size() > 64)
    return InvalidArgument("the header Penstock-Block names the block, with 1 to 64 characters");
  const std::string range = request.Header("content-range");
  part.total = request.body.size();
  if (range.empty()) return part;
  const size_t dash = range.find('-'), slash = range.find('/');
  size_t last = 0;
  const bool good = range.starts_with("bytes ") && dash != range.npos && slash != range.npos &&
                    dash < slash &&
                    Digits(std::string_view(range).substr(6, dash - 6), &part.offset) &&
                    Digits(std::string_view(range).substr(dash + 1, slash - dash - 1), &last) &&
                    Digits(std::string_view(range).substr(slash + 1), &part.total) &&
                    part.offset <= last && last < part.total;
  if (!good)
    return InvalidArgument("Content-Range \"{}\" is not bytes FIRST-LAST/TOTAL",
                           range.substr(0, 60));
  return part;
}

void TakeBlock(const HubServices& hub, Request request, const Responder& respond) {
  auto part = PartOf(request);
  if (!part) return respond(Problem(part.error()));
  hub.receiver->Take(EdgeOf(request), part->id, part->offset, part->total, std::move(request.body),
                     request.torn, [respond](Result<Json> answer) {
                       respond(answer ? JsonResponse(*answer) : Problem(answer.error()));
                     });
}

// --- POST /api/v1/frames

struct FramesResult {
  telemetry::Batch batch;
  Json errors = Json::array();
  size_t rows = 0, refused = 0, error_count = 0;
};

// Why rows of a point are refused, and how many.
struct RefusedRows {
  std::string rule, message;
  size_t rows = 0;
};

void NoteRefused(const Services& s, const Request& request, std::string_view path,
                 const RefusedRows& refused, Time now, FramesResult& result) {
  result.refused += refused.rows;
  ++result.error_count;
  const std::string message = fmt::format("{}; {} samples refused", refused.message, refused.rows);
  if (result.errors.size() < kErrorsMax)
    result.errors.push_back(
        {{"point", path}, {"rule", refused.rule}, {"rows", refused.rows}, {"message", message}});
  s.quarantine.Put({now, "POST " + request.path + " from " + request.remote, std::string(path),
                    refused.rule, fmt::format("{} samples", refused.rows), message});
}

// What the rows of a frame become here: their points, their texts, and why some are refused.
class FrameRows {
 public:
  FrameRows(const Services& services, Frame& frame) : services_(services), frame_(frame) {
    for (const auto& [text, row] : frame.texts) texts_.emplace(frame.batch.value[row], text);
  }

  void Name(const things::Point* point) { points_.push_back(point); }  // By place in `paths`.
  // Takes the refused rows out; the others get the points' ids and the ingest time.
  void Sift(Time now);
  // By place in `paths` and rule.
  const std::map<std::pair<uint32_t, std::string>, RefusedRows>& refused() const {
    return refused_;
  }

 private:
  // Nothing: the row is good.
  std::optional<RefusedRows> Judge(size_t row, bool is_text);

  const Services& services_;
  Frame& frame_;
  std::vector<const things::Point*> points_;
  std::map<double, std::string_view> texts_;  // By code; those not yet asked about.
  std::map<double, Error> not_kept_;
  std::map<std::pair<uint32_t, std::string>, RefusedRows> refused_;
};

std::optional<RefusedRows> FrameRows::Judge(size_t row, bool is_text) {
  const uint32_t place = frame_.batch.point[row].value;
  const double value = frame_.batch.value[row];
  const things::Point* point = points_[place];
  if (point == nullptr)
    return RefusedRows{"unknown_point", fmt::format("point unknown: {}", frame_.paths[place])};
  const bool wants_text = point->type == things::ValueType::kString;
  // A bad sample may have no value at all.
  if (is_text != wants_text && !(wants_text && telemetry::IsBad(frame_.batch.quality[row])))
    return RefusedRows{"type", fmt::format("{} where {} is {}", is_text ? "a text" : "a number",
                                           point->path(), wants_text ? "a text" : "none")};
  if (!is_text) return std::nullopt;
  if (const auto fresh = texts_.find(value); fresh != texts_.end()) {
    if (const auto code = services_.pipeline.Intern(point->id, fresh->second); !code)
      not_kept_.emplace(value, code.error());
    texts_.erase(fresh);
  }
  const auto failed = not_kept_.find(value);
  if (failed == not_kept_.end()) return std::nullopt;
  return RefusedRows{std::string(telemetry::TextRule(failed->second)), failed->second.message};
}

void FrameRows::Sift(Time now) {
  telemetry::Batch& batch = frame_.batch;
  size_t next_text = 0, row = 0;
  telemetry::KeepRows(batch, [&](size_t i) {
    const bool is_text = next_text < frame_.text_rows.size() && frame_.text_rows[next_text] == row;
    next_text += is_text ? 1 : 0;
    ++row;
    auto why = Judge(i, is_text);
    if (!why) {
      batch.ingest_time[i] = now;
      batch.point[i] = points_[batch.point[i].value]->id;
      return true;
    }
    auto& booked = refused_[{batch.point[i].value, why->rule}];
    if (booked.rows == 0) booked = std::move(*why);
    ++booked.rows;
    return false;
  });
}

// Rows of known points that fit them, in their order; the others are counted by point.
void Resolve(const Services& s, const Request& request, const things::Snapshot& snapshot,
             Frame& frame, Time now, FramesResult& result) {
  const bool device = request.principal.role == trust::Role::kDevice;
  FrameRows rows(s, frame);
  for (const std::string_view path : frame.paths)
    rows.Name(snapshot.FindPoint(device ? protocols::uplink::HubPath(EdgeOf(request), path)
                                        : std::string(path)));
  result.rows += frame.batch.size();
  rows.Sift(now);
  for (const auto& [where, refused] : rows.refused())
    NoteRefused(s, request, frame.paths[where.first], refused, now, result);
  if (result.batch.empty())
    result.batch = std::move(frame.batch);
  else
    result.batch.Append(frame.batch);
}

Response PartialFrames(const FramesResult& result) {
  Response response = Problem(Error{
      Code::kInvalidArgument,
      fmt::format("partial write: {} of {} samples refused; {}", result.refused, result.rows,
                  result.errors.empty() ? "" : result.errors[0]["message"].get<std::string>())});
  if (auto body = ParseJson(response.body)) {
    (*body)["errors"] = result.errors;
    (*body)["error_count"] = result.error_count;
    (*body)["rows"] = result.rows;
    response.body = body->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return response;
}

void TakeFrames(const Services& s, const Request& request, const Responder& respond) {
  static thread_local telemetry::FrameDecoder decoder;  // Handler threads are few.
  const Time now = s.clock.Now();
  const auto snapshot = s.directory.snapshot();
  FramesResult result;
  const ByteView bytes = AsBytes(request.body);
  // A bad frame ends the reading, for where the next one begins is not known; what was before it is
  // stored.
  for (size_t at = 0; at < bytes.size();) {
    Frame frame;
    auto size = decoder.Decode(bytes.subspan(at), frame, kFrameRowsTogether - result.rows);
    if (!size) {
      Counter("penstock_frames_refused_total", "Bodies with a frame that cannot be read").Add();
      ++result.error_count;
      result.errors.push_back({{"byte", at}, {"rule", "frame"}, {"message", size.error().message}});
      break;
    }
    at += *size;
    Resolve(s, request, *snapshot, frame, now, result);
  }
  if (bytes.empty()) return respond(Problem(InvalidArgument("no frame in the body").error()));
  telemetry::Batch batch = std::move(result.batch);
  result.batch = {};
  if (batch.empty())
    return respond(result.error_count == 0 ? EmptyResponse() : PartialFrames(result));
  s.pipeline.Write(std::move(batch), [respond, result](const Status& durable) {
    if (!durable) return respond(Problem(durable.error()));
    respond(result.error_count == 0 ? EmptyResponse() : PartialFrames(result));
  });
}

Json TextsSchema(std::initializer_list<const char*> names) {
  Json properties = Json::object(), required = Json::array();
  for (const char* name : names) {
    properties[name] = {{"type", "string"}};
    required.push_back(name);
  }
  return {{"type", "object"}, {"required", required}, {"properties", properties}};
}

void AddEnrolment(Router& router, const Services& s, const HubServices& hub) {
  using trust::Role;
  router.Add({"GET", "/api/v1/edges", Role::kViewer,
              "Edges: certificate, what of their rows is here, gaps",
              [&hub](const Request&) { return ListEdges(hub); }});
  router.Add({"POST", "/api/v1/edges", Role::kAdmin,
              "Invite an edge; the token in the answer is shown once",
              [&s, &hub](const Request& r) { return Invite(s, hub, r); }, TextsSchema({"name"})});
  router.Add({"POST", "/api/v1/edges/{name}/revoke", Role::kAdmin,
              "Shut an edge out, from its next request on",
              [&hub](const Request& r) -> Result<Response> {
                TRY(hub.certificates->Revoke(r.principal.name, r.At("name")));
                return EmptyResponse();
              }});
  router.Add({"POST", "/api/v1/enrollments", Role::kNone,
              "A certificate for the token of an invitation and a signing request",
              [&hub](const Request& r) { return Enrol(hub, r); },
              TextsSchema({"token", "request"})});
  router.Add({"POST", "/api/v1/enrollments/renew", Role::kDevice,
              "A new certificate for a device that has a valid one",
              [&hub](const Request& r) { return Renew(hub, r); }, TextsSchema({"request"})});
}

}  // namespace

void AddHubRoutes(Router& router, const Services& s, const HubServices& hub) {
  using trust::Role;
  Route frames{"POST", "/api/v1/frames", Role::kEngineer,
               "Write samples as frames; answered when they are durable", nullptr};
  frames.devices = true;
  frames.handle_async = [&s](const Request& request, const Responder& respond) {
    TakeFrames(s, request, respond);
  };
  router.Add(std::move(frames));
  if (hub.stream)
    router.Add({"GET", "/api/v1/stream", Role::kViewer,
                "How this node stands to the stream: what is confirmed, or which partitions it has",
                [&hub](const Request&) -> Result<Response> { return JsonResponse(hub.stream()); }});
  if (hub.uplink != nullptr)
    router.Add({"GET", "/api/v1/uplink", Role::kViewer, "How far the hub has this edge's samples",
                [&hub](const Request&) -> Result<Response> {
                  return JsonResponse(hub.uplink->ToJson());
                }});
  if (hub.tls == nullptr) return;
  AddEnrolment(router, s, hub);
  const auto told = std::make_shared<ToldThings>();  // Shared by two routes.
  router.Add({"POST", "/api/v1/uplink/hello", Role::kDevice,
              "An edge says what it has, and hears what of it is here",
              [&s, &hub, told](const Request& r) { return Hello(s, hub, *told, r); },
              TextsSchema({"epoch"})});
  router.Add({"POST", "/api/v1/uplink/things", Role::kDevice, "An edge describes its things",
              [&s, &hub, told](const Request& r) { return TakeThings(s, hub, *told, r); },
              Json{{"type", "object"}}});
  router.Add({"GET", "/api/v1/uplink/blocks/{id}", Role::kDevice,
              "How much of a block was kept when it was cut",
              [&hub](const Request& r) -> Result<Response> {
                return JsonResponse({{"bytes", hub.receiver->KeptBytes(EdgeOf(r), r.At("id"))}});
              }});
  Route blocks{"POST", "/api/v1/uplink/blocks", Role::kDevice,
               "A block of an edge's frames; answered when it is durable", nullptr};
  blocks.takes_torn = true;
  blocks.handle_async = [&hub](Request request, const Responder& respond) {
    TakeBlock(hub, std::move(request), respond);
  };
  router.Add(std::move(blocks));
}

}  // namespace penstock::api
