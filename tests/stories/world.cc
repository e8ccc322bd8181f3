// The node is started without listeners, so nothing in it happens by itself but the pipeline's own
// thread: each batch is waited for, and housekeeping is called where the running program would call
// it. That makes a story exact in its own time.
#include "tests/stories/world.h"

#include <filesystem>
#include <future>

#include "base/file.h"

namespace penstock::stories {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMorning = "2026-03-02T06:00:00Z";  // A Monday, early shift.
constexpr auto kHousekeepEvery = std::chrono::seconds(30);
constexpr auto kPatience = std::chrono::seconds(20);  // Real time for one request.

api::Request RequestOf(const std::string& method, const std::string& path,
                       const std::string& body) {
  api::Request request;
  request.method = method;
  request.body = body;
  request.remote = "127.0.0.1";
  const size_t mark = path.find('?');
  request.path = api::PercentDecode(path.substr(0, mark), false);
  std::string query = mark == std::string::npos ? "" : path.substr(mark + 1);
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string pair = query.substr(0, end);
    const size_t equals = std::min(pair.find('='), pair.size() - 1);
    request.query[pair.substr(0, equals)] = api::PercentDecode(pair.substr(equals + 1), true);
    query.erase(0, std::min(end + 1, query.size()));
  }
  return request;
}

}  // namespace

World::World() : clock_(ParseTime(kMorning).value()) {}

World::~World() { Stop(); }

Status World::CopySite(const std::string& folder) {
  std::error_code error;
  fs::remove_all(site(), error);
  fs::copy(folder, site(), fs::copy_options::recursive, error);
  if (error) return FromErrno(error.value(), "cannot copy " + folder);
  return {};
}

Status World::Start() {
  if (started()) return {};
  if (!fs::exists(site())) TRY(CopySite(PENSTOCK_SOURCE_DIR "/tests/stories/site"));
  NodeOptions options;
  ASSIGN_OR_RETURN(options.settings, ReadSite(site()));
  options.settings.data = data();
  options.clock = &clock_;
  options.listen = false;
  ASSIGN_OR_RETURN(node_, Node::Start(std::move(options)));
  return {};
}

void World::Stop() {
  tokens_.clear();
  node_.reset();
}

void World::Housekeep() {
  if (started()) node_->Housekeep();
}

void World::Wait(Duration time) {
  for (const Time end = clock_.Now() + time; clock_.Now() < end;) {
    clock_.Advance(std::min<Duration>(kHousekeepEvery, end - clock_.Now()));
    Housekeep();
  }
}

Status World::AddPerson(const std::string& name, const std::string& role) {
  constexpr const char* kPassword = "a password of the story";
  TRY(Start());
  ASSIGN_OR_RETURN(const trust::Role parsed, trust::ParseRole(role));
  TRY(services().users.AddUser("story", name, parsed, kPassword));
  ASSIGN_OR_RETURN(sessions_[name], services().users.Login(name, kPassword, "127.0.0.1"));
  return {};
}

Result<Answer> World::Ask(const std::string& role, const std::string& method,
                          const std::string& path, const std::string& body) {
  TRY(Start());
  const auto session = sessions_.find(role);
  if (session == sessions_.end() && !tokens_.contains(role)) {
    ASSIGN_OR_RETURN(const trust::Role parsed, trust::ParseRole(role));
    ASSIGN_OR_RETURN(tokens_[role], node_->MachineToken(role, parsed));
  }
  api::Request request = RequestOf(method, path, body);
  if (session != sessions_.end()) {
    request.headers["cookie"] = node_->app().CookieName() + "=" + session->second;
    request.headers["x-penstock-csrf"] = "1";
  } else {
    request.headers["authorization"] = "Bearer " + tokens_[role];
  }
  auto promise = std::make_shared<std::promise<api::Response>>();
  auto future = promise->get_future();
  node_->app().Handle(std::move(request), [promise](api::Response response) {
    promise->set_value(std::move(response));
  });
  if (future.wait_for(kPatience) != std::future_status::ready)
    return DeadlineExceeded("no answer to {} {}", method, path);
  const api::Response response = future.get();
  Answer answer{response.status, response.body, nullptr};
  if (auto parsed = ParseJson(response.body)) answer.body = std::move(*parsed);
  return answer;
}

Result<Json> World::Get(const std::string& path) {
  ASSIGN_OR_RETURN(Answer answer, Ask("viewer", "GET", path));
  if (answer.status != 200)
    return Internal("GET {} answered {}: {}", path, answer.status, answer.text);
  return std::move(answer.body);
}

Status World::Send(telemetry::Batch batch) {
  auto promise = std::make_shared<std::promise<Status>>();
  auto future = promise->get_future();
  telemetry::Pipeline& pipeline = services().pipeline;
  pipeline.Write(std::move(batch), [promise](const Status& status) { promise->set_value(status); });
  if (future.wait_for(kPatience) != std::future_status::ready)
    return DeadlineExceeded("a batch was not made durable");
  TRY(future.get());
  pipeline.WaitUntilHandled();  // Subscribers have seen it too.
  return {};
}

}  // namespace penstock::stories
