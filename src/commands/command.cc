#include "commands/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/http.h"
#include "base/number.h"

namespace penstock::commands {
namespace {

std::string AddressFile(const Settings& settings) { return settings.data + "/node.json"; }

Error FromProblem(const std::string& text, long status) {
  Error error{Code::kUnknown, fmt::format("the node answered {}", status)};
  if (const auto body = ParseJson(text); body && body->is_object()) {
    error.message = StringOr(*body, "detail", error.message);
    error.pointer = StringOr(*body, "pointer", "");
    error.fix = StringOr(*body, "fix", "");
  }
  if (status == 404) error.code = Code::kNotFound;
  if (status == 503) error.code = Code::kUnavailable;
  return error;
}

}  // namespace

void AddCommonOptions(CLI::App& command, Common& common) {
  command.add_option("--site", common.site,
                     "Site folder (default: $PENSTOCK_SITE, else examples/bottling, else .)");
  command.add_option("--data", common.data, "Data folder, instead of site.yaml's");
  command.add_flag("--json", common.json, "One JSON document on stdout");
}

Result<Settings> SettingsOf(const Common& common) {
  namespace fs = std::filesystem;
  std::string folder = common.site;
  if (folder.empty())
    if (const char* from_environment = std::getenv("PENSTOCK_SITE")) folder = from_environment;
  if (folder.empty()) folder = fs::exists("site.yaml") ? "." : "examples/bottling";
  ASSIGN_OR_RETURN(Settings settings, ReadSite(folder));
  if (!common.data.empty()) settings.data = fs::absolute(common.data).lexically_normal().string();
  while (settings.data.size() > 1 && settings.data.ends_with('/')) settings.data.pop_back();
  return settings;
}

int Fail(const Common& common, const Error& error) {
  if (common.json) {
    PrintJson({{"error",
                {{"code", CodeName(error.code)},
                 {"message", error.message},
                 {"where", error.where},
                 {"pointer", error.pointer},
                 {"fix", error.fix}}}});
    return kFailed;
  }
  std::string text = "error: " + error.message + "\n";
  if (!error.where.empty())
    text += "  in:  " + error.where + (error.pointer.empty() ? "" : "  " + error.pointer) + "\n";
  if (!error.fix.empty()) text += "  fix: " + error.fix + "\n";
  std::fputs(text.c_str(), stderr);
  return kFailed;
}

void PrintJson(const Json& document) {
  std::fputs((document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n").c_str(), stdout);
  std::fflush(stdout);
}

bool IsTerminal(int descriptor) {
  return isatty(descriptor) != 0 && std::getenv("NO_COLOR") == nullptr;
}

std::string ClockText(const std::string& rfc3339) {
  return rfc3339.size() >= 23 ? rfc3339.substr(11, 12) : rfc3339;
}

std::string NumberText(const Json& number) {
  return number.is_number() ? penstock::NumberText(number.get<double>()) : "-";
}

Result<NodeAddress> FindNode(const Settings& settings) {
  const auto document = ReadDocument(AddressFile(settings));
  NodeAddress node;
  if (document) {
    node.url = StringOr(*document, "url", "");
    node.token = StringOr(*document, "token", "");
    node.certificate = StringOr(*document, "certificate", "");
    node.pid = static_cast<int>(NumberOr(*document, "pid", 0));
  }
  if (!document || node.pid <= 0 || (kill(node.pid, 0) != 0 && errno == ESRCH)) {
    auto error = NotFound("no node runs on {}", settings.data);
    error.error().Fix("penstock up --site " + settings.folder);
    return error;
  }
  return node;
}

Status WriteNodeAddress(const Settings& settings, const NodeAddress& address) {
  const Json body = {{"url", address.url},
                     {"token", address.token},
                     {"pid", address.pid},
                     {"certificate", address.certificate}};
  const std::string path = AddressFile(settings);
  // The token is for the owner of the data folder alone; the mode is set before the content is
  // there.
  const int fd = open((path + ".tmp").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd >= 0) {
    (void)fchmod(fd, 0600);
    close(fd);
  }
  return WriteFileAtomically(path, body.dump());
}

void RemoveNodeAddress(const Settings& settings) { (void)unlink(AddressFile(settings).c_str()); }

Result<Json> Ask(const NodeAddress& node, const std::string& method, const std::string& path,
                 const Json& body) {
  // The node shows this very certificate; what its names are does not matter on this machine.
  const HttpRequest request{
      .method = method,
      .url = node.url + path,
      .headers = {"Authorization: Bearer " + node.token, "Content-Type: application/json"},
      .body = body.is_null() ? "" : body.dump(),
      .certificate = node.certificate};
  const auto answer = AskHttp(request);
  if (!answer)
    return Unavailable("no answer from the node at {}: {}", node.url, answer.error().message);
  if (answer->status / 100 != 2) return std::unexpected(FromProblem(answer->body, answer->status));
  if (answer->body.empty()) return Json(nullptr);
  return ParseJson(answer->body);
}

}  // namespace penstock::commands
