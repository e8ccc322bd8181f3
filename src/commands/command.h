// What the commands of the program share: options that all have, where the output goes, how to
// reach a running node.
//
// Data goes to stdout, talk to stderr. Exit: 0 done, 1 the answer is no (a check that failed,
// nothing found), 2 it could not be done (bad arguments, no node, no file).
#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "base/json.h"
#include "base/site.h"

namespace penstock::commands {

inline constexpr int kDone = 0, kNo = 1, kFailed = 2;

struct Common {
  std::string site;  // --site: the site folder; PENSTOCK_SITE, else examples/bottling or the
                     // current folder.
  std::string data;  // --data: instead of site.yaml's.
  bool json = false;
  bool verbose = false;
};

// Each adds its subcommand; the exit code of what ran goes to *exit_code.
using Add = void (*)(CLI::App& app, Common& common, int* exit_code);
void AddUp(CLI::App& app, Common& common, int* exit_code);
void AddEdge(CLI::App& app, Common& common, int* exit_code);
void AddHub(CLI::App& app, Common& common, int* exit_code);
void AddDemo(CLI::App& app, Common& common, int* exit_code);
void AddPlant(CLI::App& app, Common& common, int* exit_code);
void AddCheck(CLI::App& app, Common& common, int* exit_code);
void AddReplay(CLI::App& app, Common& common, int* exit_code);
void AddLearn(CLI::App& app, Common& common, int* exit_code);
void AddExplain(CLI::App& app, Common& common, int* exit_code);
void AddKpi(CLI::App& app, Common& common, int* exit_code);
void AddGate(CLI::App& app, Common& common, int* exit_code);
void AddDoctor(CLI::App& app, Common& common, int* exit_code);
void AddModel(CLI::App& app, Common& common, int* exit_code);
void AddArchive(CLI::App& app, Common& common, int* exit_code);
void AddAudit(CLI::App& app, Common& common, int* exit_code);
void AddBackup(CLI::App& app, Common& common, int* exit_code);
void AddDevice(CLI::App& app, Common& common, int* exit_code);
void AddContract(CLI::App& app, Common& common, int* exit_code);
void AddProduct(CLI::App& app, Common& common, int* exit_code);
void AddQuarantine(CLI::App& app, Common& common, int* exit_code);
void AddCompletion(CLI::App& app, Common& common, int* exit_code);

// Adds --site, --data and --json with their help.
void AddCommonOptions(CLI::App& command, Common& common);
// The site's settings with --data applied.
Result<Settings> SettingsOf(const Common& common);
// Prints the error on stderr (or as a problem object with --json) and returns kFailed.
int Fail(const Common& common, const Error& error);
void PrintJson(const Json& document);  // Pretty, one document, on stdout.
bool IsTerminal(int descriptor);
// "2026-11-22T14:02:10.500000Z" -> "14:02:10.500"
std::string ClockText(const std::string& rfc3339);
// A number with three significant digits, or "-" for null.
std::string NumberText(const Json& number);

// How a command reaches the node of a data folder: DATA/node.json, written by the node with mode
// 0600.
struct NodeAddress {
  std::string url, token;
  int pid = 0;
  std::string certificate = {};  // Of a node with TLS: the file that it shows, to know it by.
};
Result<NodeAddress> FindNode(const Settings& settings);  // kNotFound when no node runs there.
Status WriteNodeAddress(const Settings& settings, const NodeAddress& address);
void RemoveNodeAddress(const Settings& settings);

// GET or POST of the node's API; a problem document becomes an Error.
Result<Json> Ask(const NodeAddress& node, const std::string& method, const std::string& path,
                 const Json& body = nullptr);

}  // namespace penstock::commands
