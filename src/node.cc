// The order of construction is the order of the data's way; Stop takes it down from the outside in:
// first nobody can come in any more (drivers, listeners, HTTP), then what was taken is finished
// (pipeline), then the files close.
//
// A data folder has one node: an exclusive lock on DATA/lock, which the kernel lets go when the
// process dies.
#include "node.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "api/app.h"
#include "api/event_hub.h"
#include "api/http_server.h"
#include "api/routes.h"
#include "api/routes_lineage.h"
#include "api/webhook.h"
#include "archive_flow.h"
#include "base/file.h"
#include "base/log.h"
#include "contract_flow.h"
#include "decision_flow.h"
#include "decisions/notification.h"
#include "edge_hub.h"
#include "expiry.h"
#include "lineage_flow.h"
#include "live_updates.h"
#include "product_flow.h"
#include "protocols/driver/driver.h"
#include "protocols/mqtt/listener.h"
#include "site_watch.h"
#include "storage/epoch.h"
#include "stream_flow.h"
#include "telemetry/last_known.h"
#include "telemetry/ledger_forward.h"
#include "telemetry/retention_clock.h"
#include "telemetry/text_keeper.h"
#include "things/point_ids.h"
#include "value_flow.h"

namespace penstock {
namespace {

constexpr auto kHousekeeping = std::chrono::milliseconds(500);
constexpr auto kLongLook = std::chrono::milliseconds(5);
// Of the log: how far the hub has this node's rows, over the uplink and over a stream.
constexpr const char *kHubCursor = "hub", *kStreamCursor = "stream";

// Held while the node lives.
class FolderLock {
 public:
  static Result<std::unique_ptr<FolderLock>> Take(const std::string& folder) {
    const int fd = open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return FromErrno(errno, "cannot open " + folder + "/lock");
    auto lock = std::unique_ptr<FolderLock>(new FolderLock(fd));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
    auto error = AlreadyExists("another node runs on {}", folder);
    error.error().Fix("stop it, or give this one its own folder: --data");
    return error;
  }
  ~FolderLock() { close(fd_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

// When a file of the folder was last written; nothing for an empty one.
std::optional<Time> NewestChange(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::optional<Time> newest;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto written = std::chrono::file_clock::to_sys(entry.last_write_time(error));
    if (error) continue;
    const Time time = std::chrono::time_point_cast<Duration>(written);
    newest = std::max(newest.value_or(time), time);
  }
  return newest;
}

storage::HistoryOptions HistoryOptionsOf(ArchiveFlow* archive) {
  storage::HistoryOptions options;
  if (archive != nullptr) options.archive = &archive->archive();
  options.memory_limit_mb = 96;
  options.threads = 1;
  return options;
}

telemetry::PipelineOptions PipelineOptionsOf(const Settings& settings) {
  telemetry::PipelineOptions options;
  options.retain = settings.retain_raw;
  options.history_bytes_max = settings.history_bytes_max;
  return options;
}

std::string NodeName() {
  char name[256] = "node";
  (void)gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

struct Node::Parts {
  Settings settings;
  const Clock* clock = nullptr;
  SystemClock real_clock;
  bool listen = true;

  std::unique_ptr<FolderLock> lock;
  std::unique_ptr<storage::Records> records;
  std::unique_ptr<trust::AuditLog> audit;
  std::unique_ptr<trust::Users> users;
  std::unique_ptr<trust::Titles> titles;
  std::unique_ptr<things::PointIds> point_ids;
  std::unique_ptr<things::Directory> directory;
  std::unique_ptr<SiteWatch> site_watch;
  std::unique_ptr<telemetry::BelievedClock> log_clock;
  std::unique_ptr<telemetry::ForwardBook> forward;  // Without a hub null. Outlives the log.
  std::unique_ptr<storage::DurableLog> log;
  std::unique_ptr<ArchiveFlow> archive;     // Outlives the history, which may ask it for files.
  std::unique_ptr<telemetry::Texts> texts;  // Outlives the history, which asks it.
  std::unique_ptr<storage::History> history;
  storage::Epoch epoch;
  std::unique_ptr<telemetry::PointLedger> ledger;
  std::unique_ptr<telemetry::QuarantineStore> quarantine;
  std::unique_ptr<ContractFlow> contracts;
  std::unique_ptr<ProductFlow> products;
  std::unique_ptr<telemetry::LiveValues> live;
  std::unique_ptr<telemetry::FeatureEngine> features;
  std::unique_ptr<fleet::DeviceRegistry> devices;
  std::unique_ptr<fleet::Twins> twins;
  std::unique_ptr<inference::ModelRepository> models;
  std::unique_ptr<inference::Scorer> scorer;
  std::unique_ptr<learning::AnomalyScorer> anomalies;
  std::unique_ptr<decisions::Provenance> provenance;
  std::unique_ptr<decisions::Alarms> alarms;
  std::unique_ptr<learning::Labels> labels;
  std::unique_ptr<DecisionFlow> flow;
  std::unique_ptr<ValueFlow> value;
  std::unique_ptr<Expiry> expiry;
  std::unique_ptr<telemetry::TextKeeper> text_keeper;
  std::unique_ptr<StreamFlow> stream;  // Outlives the pipeline, which calls it.
  std::unique_ptr<EdgeHub> edge_hub;   // Outlives the pipeline, which calls it.
  std::unique_ptr<telemetry::Pipeline> pipeline;
  std::unique_ptr<LineageFlow> lineage;
  api::EventHub events;
  api::Webhooks webhooks;
  std::unique_ptr<decisions::Notifier> notifier;
  std::unique_ptr<api::Services> services;
  api::Router router;
  std::unique_ptr<api::App> app;
  std::unique_ptr<LiveUpdates> live_updates;
  std::unique_ptr<api::HttpServer> http;
  std::unique_ptr<protocols::mqtt::Listener> mqtt;
  std::unique_ptr<protocols::Drivers> drivers;
  std::jthread housekeeping;
  std::chrono::steady_clock::time_point look_at_files;  // Not before.
  bool stopped = false;

  Status OpenStores(const std::string& models_folder);
  Status OpenLog();
  Status OpenForward();
  void BookForwarded();
  Status LearnTexts();
  void KeepTexts();
  Status OpenDecisions();
  Status StartPipeline();
  void Remember(const things::Snapshot& snapshot);
  void WireAlarms();
  void MakeServices();
  Status Listen();
  void Reload();
  void Housekeep();
};

Status Node::Parts::OpenStores(const std::string& models_folder) {
  TRY(MakeFolders(settings.data));
  ASSIGN_OR_RETURN(lock, FolderLock::Take(settings.data));
  ASSIGN_OR_RETURN(epoch, storage::OpenEpoch(settings.data, clock->Now()));
  ASSIGN_OR_RETURN(records, storage::Records::Open(RecordsAddress(settings)));
  ASSIGN_OR_RETURN(audit, trust::AuditLog::Open(*records, *clock));
  ASSIGN_OR_RETURN(users, trust::Users::Open(*records, real_clock, *audit));
  ASSIGN_OR_RETURN(titles, trust::Titles::Open(*records, *audit));
  ASSIGN_OR_RETURN(point_ids, things::PointIdsIn(*records));
  directory = std::make_unique<things::Directory>(settings.folder, *point_ids);
  for (const auto& finding : directory->Reload()) {
    if (finding.is_error)
      LogWarn("not used: {}", finding.error.ToString());
    else
      LogInfo("{}", finding.error.ToString());
  }
  TRY(OpenLog());
  ASSIGN_OR_RETURN(archive, ArchiveFlow::Open(settings, *clock));
  ASSIGN_OR_RETURN(
      history, storage::History::Open(settings.data + "/history", HistoryOptionsOf(archive.get())));
  ASSIGN_OR_RETURN(texts, telemetry::Texts::Open(settings.data + "/texts"));
  TRY(LearnTexts());
  if (archive) archive->EvictFrom(*history);
  ASSIGN_OR_RETURN(ledger, telemetry::PointLedger::Open(settings.data + "/ledger", epoch.value));
  ASSIGN_OR_RETURN(quarantine,
                   telemetry::QuarantineStore::Open(*records, settings.data + "/quarantine"));
  ASSIGN_OR_RETURN(contracts, ContractFlow::Open(settings.folder, *records, *clock, *quarantine,
                                                 directory->snapshot(), *texts));
  ASSIGN_OR_RETURN(
      products, ProductFlow::Open({settings, *clock, *directory, *history, *records, *audit,
                                   [this] { return contracts->services().directory.set(); },
                                   [this](const std::string& name, const std::string& title) {
                                     const auto held = titles->Of(name);
                                     return held && std::find(held->begin(), held->end(), title) !=
                                                        held->end();
                                   }}));
  ASSIGN_OR_RETURN(devices, fleet::DeviceRegistry::Open(*records));
  devices->Expect(*directory->snapshot(), clock->Now());
  ASSIGN_OR_RETURN(twins, fleet::Twins::Open(*records, *clock));
  models = std::make_unique<inference::ModelRepository>(models_folder);
  site_watch = std::make_unique<SiteWatch>(settings.folder, models_folder);
  anomalies = std::make_unique<learning::AnomalyScorer>(models_folder);
  return {};
}

// A table that is new, or lost something, gets back what stands in the history's files.
Status Node::Parts::LearnTexts() {
  if (texts->complete()) return {};
  uint64_t failed = 0;
  const Status visited =
      history->VisitTexts([&](std::string_view text) { failed += texts->Learn(text) ? 0 : 1; });
  if (!visited || failed > 0)
    LogWarn("texts of the history not known again: {}",
            visited ? fmt::format("{} of them", failed) : visited.error().ToString());
  if (texts->size() > 0) LogInfo("the table of texts has {} texts of the history", texts->size());
  return texts->Sync();
}

void Node::Parts::KeepTexts() {
  const auto kept_from = [this](Time now) {
    const storage::HistoryRetention rules = products->RetentionAt(now);
    Time from = rules.raw;
    for (const auto& [product, raw] : rules.raw_of_product) from = std::min(from, raw);
    return from;
  };
  const auto present = [this] {
    std::vector<double> values;
    uint64_t revision = 0;
    for (const auto& value : live->ChangedSince(revision)) values.push_back(value.value);
    return values;
  };
  text_keeper = std::make_unique<telemetry::TextKeeper>(
      telemetry::TextKeeper::Parts{*texts, *clock, *log, kept_from, present});
}

// By age goes what a clock that jumped does not make old.
Status Node::Parts::OpenLog() {
  log_clock = std::make_unique<telemetry::BelievedClock>(real_clock);
  if (const auto written = NewestChange(settings.data + "/log")) log_clock->Remember(*written);
  storage::LogOptions options;
  options.max_bytes = settings.log_bytes_max;
  options.clock = log_clock.get();
  const auto seconds = [](Duration duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration);
  };
  using storage::LogPriority;
  options.max_age = seconds(settings.retain_log);
  for (const auto& [priority, keep] : {std::pair(LogPriority::kLow, settings.uplink.keep_low),
                                       {LogPriority::kNormal, settings.uplink.keep_normal},
                                       {LogPriority::kHigh, settings.uplink.keep_high}})
    options.keep_unread[static_cast<size_t>(priority)] = seconds(keep);
  options.on_evict = [this](uint64_t index, LogPriority priority, ByteView record) {
    if (forward) forward->GaveUp(index, priority, record);
  };
  ASSIGN_OR_RETURN(log, storage::DurableLog::Open(settings.data + "/log", options));
  return {};
}

// Which rows are a hub's by now. Cursors of a way that site.yaml has no more would hold up the log.
Status Node::Parts::OpenForward() {
  const bool to_hub = !settings.uplink.hub.empty(),
             to_stream = settings.cluster.stream_role == "edge";
  if (!to_hub) TRY(log->DropCursor(kHubCursor));
  if (!to_stream) TRY(log->DropCursor(kStreamCursor));
  if (!to_hub && !to_stream) return telemetry::ForwardBook::Close(*log, *ledger);
  ASSIGN_OR_RETURN(forward, telemetry::ForwardBook::Open(*log, *ledger, *pipeline,
                                                         to_hub ? kHubCursor : kStreamCursor,
                                                         to_hub && settings.uplink.evict));
  pipeline->BeforeCursor([this] { return forward->Keep(); });
  return {};
}

void Node::Parts::BookForwarded() {
  if (!forward) return;
  const auto begin = std::chrono::steady_clock::now();
  for (Result<bool> more = true; more && *more;) {
    more = forward->Advance();
    if (!more) LogSometimes(LogLevel::kWarn, "forward", "ledger: " + more.error().ToString());
    if (std::chrono::steady_clock::now() - begin > kHousekeeping) return;
  }
}

Status Node::Parts::OpenDecisions() {
  live = std::make_unique<telemetry::LiveValues>();
  features = std::make_unique<telemetry::FeatureEngine>(*clock);
  scorer = std::make_unique<inference::Scorer>(*models);
  ASSIGN_OR_RETURN(provenance, decisions::Provenance::Open(*records));
  ASSIGN_OR_RETURN(alarms, decisions::Alarms::Open(*records, *clock, *provenance, *audit));
  ASSIGN_OR_RETURN(labels, learning::Labels::Open(*records));
  flow = std::make_unique<DecisionFlow>(DecisionFlow::Parts{
      *clock, *directory, *features, *scorer, *anomalies, *alarms, *provenance,
      [this](const things::Point& point) { return contracts->ContractOf(point); }});
  flow->Bind(settings.folder + "/models");
  ASSIGN_OR_RETURN(value, ValueFlow::Open({settings, *clock, *directory, *records, *history,
                                           *alarms, *provenance, *labels, *scorer, *models}));
  expiry = std::make_unique<Expiry>(settings.retain_decisions, *clock, *alarms, *labels, *value);
  features->OnRow([this](const std::string& schema, telemetry::FeatureRow&& row) {
    flow->OnRow(schema, std::move(row));
  });
  return {};
}

Status Node::Parts::StartPipeline() {
  telemetry::PipelineOptions options = PipelineOptionsOf(settings);
  options.epoch = epoch.value;
  options.ledger = ledger.get();
  options.texts = texts.get();
  options.retention = [this](Time now) { return products->RetentionAt(now); };
  options.id_of = [this](const std::string& path) {
    const auto id = point_ids->IdOf(path);
    return id ? std::optional(*id) : std::nullopt;
  };
  options.on_deleted = [this](const std::vector<storage::HistoryDeletion>& gone) {
    if (const auto told = products->Deleted(gone); !told)
      LogWarn("what retention deleted is not written down: {}", told.error().ToString());
    lineage->Deleted(gone);
  };
  pipeline = std::make_unique<telemetry::Pipeline>(*log, *history, *quarantine, *clock, options);
  const auto snapshot = directory->snapshot();
  pipeline->SetSnapshot(snapshot);
  live->SetSnapshot(snapshot);
  Remember(*snapshot);
  using Replay = telemetry::Pipeline::Replay;
  pipeline->Subscribe([this](const telemetry::Batch& batch) { live->Observe(batch); },
                      Replay::kYes);
  pipeline->Subscribe([this](const telemetry::Batch& batch) { value->Observe(batch); },
                      Replay::kYes);
  pipeline->Subscribe([this](const telemetry::Batch& batch) { flow->Observe(batch); },
                      Replay::kYes);
  pipeline->Subscribe([this](const telemetry::Batch& batch) { features->Observe(batch); });
  ASSIGN_OR_RETURN(edge_hub, EdgeHub::Open({settings, real_clock, *records, *audit, *users,
                                            *point_ids, *directory, *log, *pipeline, epoch.value}));
  ASSIGN_OR_RETURN(stream, StreamFlow::Open({settings, real_clock, *records, *point_ids, *log,
                                             *pipeline, epoch.value, edge_hub->services().receiver,
                                             edge_hub->services().origins}));
  KeepTexts();
  TRY(OpenForward());
  if (stream) edge_hub->ShowStream([this] { return stream->ToJson(); });
  contracts->Attach(*pipeline);
  products->Attach(*pipeline);
  ASSIGN_OR_RETURN(lineage, LineageFlow::Open(*records, {settings, *clock, *directory, *ledger,
                                                         contracts->services().directory, [this] {
                                                           return flow->ModelsJson(*models);
                                                         }}));
  if (!settings.lineage_url.empty())
    lineage->lineage().SendTo(
        [this](const Json& event) { webhooks.Send(settings.lineage_url, event); });
  if (archive)
    archive->OnCopied([this](const storage::BlobArchive::Report& copy) {
      lineage->Copied(copy.files, copy.bytes);
    });
  TRY(pipeline->Start());
  return contracts->FinishReleases(*history);
}

// What the history's end says of an earlier life. Without it the node starts all the same.
void Node::Parts::Remember(const things::Snapshot& snapshot) {
  live->LoadSparksWith(telemetry::SparksFrom(*history, *directory));
  const auto known = telemetry::LastKnown(*history, snapshot);
  if (!known) return LogWarn("last values not known: {}", known.error().ToString());
  live->Restore(*known);
  pipeline->Prime(*known);
  if (const auto running = telemetry::LastRunning(*history, snapshot, *known))
    flow->Observe(*running);
  else
    LogWarn("standstills not known: {}", running.error().ToString());
}

void Node::Parts::WireAlarms() {
  notifier = std::make_unique<decisions::Notifier>(
      settings.notify, *clock, [this](const decisions::Notification& n) {
        const Json body = {{"role", n.route.role},
                           {"step", n.step},
                           {"alarm", api::AlarmJson(*services, n.alarm)}};
        if (n.route.via == "webhook")
          webhooks.Send(n.route.url, body);
        else
          events.Publish("notification", body);
        (void)provenance->Add(
            n.alarm.trace, {clock->Now(), "notified",
                            fmt::format("told {} by {}", n.route.role, n.route.via), body["role"]});
      });
  alarms->OnChange([this](const decisions::Alarm& alarm, decisions::AlarmEvent event) {
    value->OnAlarm(alarm, event);
    events.Publish("alarm", api::AlarmJson(*services, alarm));
    notifier->OnAlarm(alarm, event);
  });
  alarms->OnVerdict([this](const decisions::Alarm& alarm) {
    const auto changed = value->OnVerdict(alarm);
    events.Publish("kpi", {{"changed", changed}});
    events.Publish("gate", Json::object());
  });
}

void Node::Parts::MakeServices() {
  services = std::unique_ptr<api::Services>(
      new api::Services{settings,
                        *clock,
                        NodeName(),
                        *directory,
                        *pipeline,
                        *live,
                        *quarantine,
                        *history,
                        *records,
                        *devices,
                        *twins,
                        *alarms,
                        *provenance,
                        *labels,
                        *users,
                        *titles,
                        *audit,
                        events,
                        value->kpis(),
                        value->states(),
                        value->usecases(),
                        value->gates(),
                        [this](const things::Point& point) { return flow->NormalBand(point); },
                        [this] { return flow->ModelsJson(*models); }});
  services->may_read = [this](const trust::Principal& who, const things::Point& point) {
    return products->services().products.MayReadPoint(who, point);
  };
  services->withholds = [this](const trust::Principal& who, const things::Point& point) {
    return products->services().products.Withholds(who, point);
  };
  app = std::make_unique<api::App>(router, *users, !settings.tls_off,
                                   edge_hub->services().certificates);
  api::AddSessionRoutes(router, *services, *app);
  api::AddPlantRoutes(router, *services);
  api::AddFieldRoutes(router, *services);
  api::AddPointRoutes(router, *services);
  api::AddAlarmRoutes(router, *services);
  api::AddModelRoutes(router, *services);
  api::AddValueRoutes(router, *services);
  api::AddTrustRoutes(router, *services);
  api::AddIngestRoutes(router, *services);
  api::AddLiveRoutes(router, *services);
  api::AddProductRoutes(router, *services, products->services());
  api::AddProductAccessRoutes(router, *services, products->services());
  api::AddSqlRoutes(router, *services, products->services());
  api::AddContractRoutes(router, *services, contracts->services());
  api::AddLineageRoutes(router, lineage->lineage());
  api::AddHubRoutes(router, *services, edge_hub->services());
}

Status Node::Parts::Listen() {
  api::HttpServerOptions http_options;
  http_options.listen = settings.http;
  http_options.tls = edge_hub->tls();
  ASSIGN_OR_RETURN(
      http, api::HttpServer::Start(http_options,
                                   [this](api::Request request, const api::Responder& respond) {
                                     app->Handle(std::move(request), respond);
                                   }));
  const protocols::DriverContext context{*clock, *pipeline, *quarantine, *devices, nullptr};
  protocols::mqtt::ListenerOptions mqtt_options;
  mqtt_options.endpoint = settings.mqtt;
  mqtt_options.tls = edge_hub->tls();
  ASSIGN_OR_RETURN(
      mqtt, protocols::mqtt::Listener::Open(mqtt_options, context, edge_hub->mqtt_authorizer()));
  mqtt->Apply(*directory->snapshot());
  drivers = std::make_unique<protocols::Drivers>(context);
  drivers->Apply(*directory->snapshot());
  live_updates = std::make_unique<LiveUpdates>(*services);
  edge_hub->SetPort(http->port());
  return edge_hub->Start();
}

// A changed file of the site: things at once, models and KPIs with them. What is bad keeps its old
// version.
void Node::Parts::Reload() {
  for (const auto& finding : directory->Reload())
    if (finding.is_error) LogWarn("keeps its old version: {}", finding.error.ToString());
  const auto snapshot = directory->snapshot();
  pipeline->SetSnapshot(snapshot);
  contracts->Reload(snapshot);
  live->SetSnapshot(snapshot);
  devices->Expect(*snapshot, clock->Now());
  flow->Bind(settings.folder + "/models");
  value->Reload();
  if (mqtt) mqtt->Apply(*snapshot);
  if (drivers) drivers->Apply(*snapshot);
  LogInfo("site read again: {} things", snapshot->things.size());
}

void Node::Parts::Housekeep() {
  alarms->Sweep();
  expiry->Sweep();
  notifier->Sweep();
  features->Advance();
  lineage->Sweep();
  if (const auto kept = devices->Flush(); !kept)
    LogSometimes(LogLevel::kWarn, "devices",
                 "device changes not stored: " + kept.error().ToString());
  // To look at thousands of files takes a percent of the time at most.
  if (const auto begin = std::chrono::steady_clock::now(); begin >= look_at_files) {
    const bool beside = site_watch->Changed(), changed = directory->Changed() || beside;
    const auto took = std::chrono::steady_clock::now() - begin;
    if (listen && took > kLongLook) look_at_files = begin + 100 * took;
    if (changed) Reload();
  }
  edge_hub->Housekeep();
  BookForwarded();
  text_keeper->Sweep();
}

Node::Node(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Node::~Node() { Stop(); }

Result<std::unique_ptr<Node>> Node::Start(NodeOptions options) {
  auto parts = std::make_unique<Parts>();
  parts->settings = std::move(options.settings);
  parts->clock = options.clock != nullptr ? options.clock : &parts->real_clock;
  parts->listen = options.listen;
  Parts& p = *parts;
  const std::string models = options.models.empty() ? p.settings.data + "/models" : options.models;
  TRY(p.OpenStores(models));
  TRY(p.OpenDecisions());
  TRY(p.StartPipeline());
  p.MakeServices();
  p.WireAlarms();
  std::unique_ptr<Node> node(new Node(std::move(parts)));
  if (p.archive) p.archive->Start();
  if (p.stream) p.stream->Start();
  if (p.listen) {
    TRY(p.Listen());
    p.housekeeping = std::jthread([&p](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        p.Housekeep();
        std::this_thread::sleep_for(kHousekeeping);
      }
    });
  }
  return node;
}

void Node::Stop() {
  Parts& p = *parts_;
  if (p.stopped) return;
  p.stopped = true;
  if (p.housekeeping.joinable()) {
    p.housekeeping.request_stop();
    p.housekeeping.join();
  }
  p.live_updates.reset();
  if (p.drivers) p.drivers->Stop();
  if (p.mqtt) p.mqtt->Stop();
  p.events.Close();
  p.products->Close();
  if (p.http) p.http->Stop();
  p.edge_hub->Stop();
  if (p.stream) p.stream->Stop();
  p.BookForwarded();
  p.pipeline->Stop();
  p.lineage->Finish();
  if (p.archive) p.archive->Stop();
  if (const auto saved = p.anomalies->Save(); !saved)
    LogWarn("detectors: {}", saved.error().ToString());
  if (const auto flushed = p.quarantine->Flush(); !flushed)
    LogWarn("quarantine: {}", flushed.error().ToString());
}

void Node::Housekeep() { parts_->Housekeep(); }

std::string Node::url() const {
  return fmt::format("{}://{}:{}", parts_->settings.tls_off ? "http" : "https",
                     parts_->settings.http.host == "::1" ? "[::1]" : parts_->settings.http.host,
                     http_port());
}
uint16_t Node::http_port() const { return parts_->http ? parts_->http->port() : 0; }
uint16_t Node::mqtt_port() const { return parts_->mqtt ? parts_->mqtt->port() : 0; }

std::optional<std::string> Node::setup_token() const {
  const std::string token = parts_->users->SetupToken();
  return token.empty() ? std::nullopt : std::optional(token);
}

Result<std::string> Node::MachineToken(const std::string& name, trust::Role role) {
  return parts_->users->CreateToken("node", name, role);
}

std::string Node::certificate_file() const { return parts_->edge_hub->certificate_file(); }

const api::Services& Node::services() const { return *parts_->services; }
const api::App& Node::app() const { return *parts_->app; }
LineageFlow& Node::lineage() { return *parts_->lineage; }

}  // namespace penstock
