// fabric_load: the client of `./dev bench fabric`. One program for all servers, so that each gets
// the same bytes in the same way; it prints one line of JSON and knows nothing of who is at the
// other end.
//
//   write   line protocol over HTTP, several connections, each its own hosts, one request at a time
//   query   one GET again and again over one kept-alive connection
//   mqtt    publishes QoS 0 or 1 (mqtt_load.cc)
//   nats    publishes to core NATS (mqtt_load.cc)
//   print   the lines themselves
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>

#include "messages.h"
#include "walk.h"
#include "wire.h"

namespace penstock::bench {
namespace {

// --name value pairs.
class Arguments {
 public:
  Arguments(int count, char** words) {
    for (int i = 2; i < count; i += 2) {
      if (std::strncmp(words[i], "--", 2) != 0 || i + 1 == count)
        Die(std::string("not an option with its value: ") + words[i]);
      values_[words[i] + 2] = words[i + 1];
    }
  }
  std::string Text(const std::string& name, const std::string& otherwise = "") const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
  }
  int64_t Number(const std::string& name, int64_t otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : std::atoll(found->second.c_str());
  }

 private:
  std::map<std::string, std::string> values_;
};

std::string HeadersOf(const Arguments& arguments) {
  const std::string token = arguments.Text("token");
  return token.empty() ? "" : "Authorization: Bearer " + token + "\r\n";
}

WalkOptions WalkOf(const Arguments& arguments) {
  WalkOptions options;
  options.seed = static_cast<uint64_t>(arguments.Number("seed", 1));
  options.hosts = static_cast<int>(arguments.Number("hosts", 4000));
  options.start_s = arguments.Number("start-s", 1'767'225'600);
  options.spacing_s = arguments.Number("spacing-s", 10);
  options.fields = static_cast<int>(arguments.Number("values", 10));
  if (options.fields < 1 || options.fields > kFieldsMax) Die("--values is 1 to 100");
  return options;
}

struct WriteCounts {
  std::atomic<uint64_t> samples{0}, bytes{0}, requests{0}, refused{0};
};

// Sends each request until it is acknowledged: 429 and 503 mean "later" to all of these products.
void Deliver(HttpClient& client, const std::string& target, const std::string& body,
             WriteCounts& counts, std::vector<double>& took) {
  for (int attempt = 0;; ++attempt) {
    const double begin = Now();
    const HttpAnswer answer = client.Ask("POST", target, body);
    took.push_back(1000 * (Now() - begin));
    if (answer.status / 100 == 2) return;
    if ((answer.status != 429 && answer.status != 503) || attempt == 1000)
      Die("POST " + target + " answered " + std::to_string(answer.status) + ": " +
          answer.body.substr(0, 500));
    ++counts.refused;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

int Write(const Arguments& arguments) {
  const WalkOptions all = WalkOf(arguments);
  const auto connections = static_cast<int>(arguments.Number("connections", 2));
  const auto lines = static_cast<int>(arguments.Number("lines", 1000));
  const int64_t from = arguments.Number("from-step", 0), steps = arguments.Number("steps", 360);
  const auto port = static_cast<int>(arguments.Number("port", 0));
  const std::string target = arguments.Text("target", "/write"), headers = HeadersOf(arguments);
  WriteCounts counts;
  std::vector<std::vector<double>> took(static_cast<size_t>(connections));
  std::atomic<int> ready{0};
  std::vector<std::jthread> threads;
  for (int c = 0; c < connections; ++c) {
    threads.emplace_back([&, c] {
      WalkOptions mine = all;
      mine.first_host = static_cast<int>(int64_t{all.hosts} * c / connections);
      mine.hosts = static_cast<int>(int64_t{all.hosts} * (c + 1) / connections) - mine.first_host;
      Walk walk(mine);
      walk.Skip(from);
      HttpClient client(port, headers);
      ++ready;
      while (ready < connections) std::this_thread::yield();
      std::string body;
      uint64_t in_body = 0;
      const auto deliver = [&] {
        if (in_body == 0) return;
        Deliver(client, target, body, counts, took[static_cast<size_t>(c)]);
        counts.samples += in_body * static_cast<uint64_t>(walk.fields());
        counts.bytes += body.size();
        ++counts.requests;
        body.clear();
        in_body = 0;
      };
      // Requests of `lines` lines; few hosts fill one with several steps.
      for (int64_t step = 0; step < steps; ++step, walk.Advance())
        for (int host = 0; host < walk.hosts();) {
          const int count = std::min(lines - static_cast<int>(in_body), walk.hosts() - host);
          walk.Lines(host, count, body);
          host += count;
          in_body += static_cast<uint64_t>(count);
          if (in_body == static_cast<uint64_t>(lines)) deliver();
        }
      deliver();
    });
  }
  while (ready < connections) std::this_thread::yield();
  const double begin = Now();
  threads.clear();
  const double seconds = Now() - begin;
  std::vector<double> requests;
  for (const auto& one : took) requests.insert(requests.end(), one.begin(), one.end());
  std::printf(
      "{\"samples\": %lu, \"bytes\": %lu, \"requests\": %lu, \"refused\": %lu, \"seconds\": %.6f, "
      "\"request_ms\": %.3f, \"request_ms_p99\": %.3f}\n",
      counts.samples.load(), counts.bytes.load(), counts.requests.load(), counts.refused.load(),
      seconds, Quantile(requests, 0.5), Quantile(requests, 0.99));
  return 0;
}

// A query's text may name {host}: another host each time, so that no cache answers.
std::string WithHost(std::string target, int64_t host) {
  char name[32];
  std::snprintf(name, sizeof name, "host_%04ld", host);
  for (size_t at = target.find("{host}"); at != std::string::npos; at = target.find("{host}"))
    target.replace(at, 6, name);
  return target;
}

int Query(const Arguments& arguments) {
  HttpClient client(static_cast<int>(arguments.Number("port", 0)), HeadersOf(arguments));
  const std::string target = arguments.Text("target"), body = arguments.Text("body");
  const int64_t count = arguments.Number("count", 200), warmup = arguments.Number("warmup", 20);
  const int64_t hosts = arguments.Number("hosts", 4000);
  std::vector<double> took;
  HttpAnswer answer;
  for (int64_t i = -warmup; i < count; ++i) {
    const int64_t host = (i + warmup) * 2'654'435'761 % hosts;
    const std::string one = WithHost(target, host), text = WithHost(body, host);
    const double begin = Now();
    answer = client.Ask(body.empty() ? "GET" : "POST", one, text);
    if (i >= 0) took.push_back(1000 * (Now() - begin));
    if (answer.status != 200)
      Die(one + " answered " + std::to_string(answer.status) + ": " + answer.body.substr(0, 500));
  }
  std::string shown = answer.body.substr(0, static_cast<size_t>(arguments.Number("show", 0)));
  std::fprintf(stderr, "%s", shown.c_str());
  std::printf("{\"count\": %ld, \"ms\": %.4f, \"ms_p99\": %.4f, \"bytes\": %zu}\n", count,
              Quantile(took, 0.5), Quantile(took, 0.99), answer.body.size());
  return 0;
}

int Print(const Arguments& arguments) {
  Walk walk(WalkOf(arguments));
  walk.Skip(arguments.Number("from-step", 0));
  std::string text;
  for (int64_t step = arguments.Number("steps", 1); step > 0; --step) {
    text.clear();
    walk.Lines(0, walk.hosts(), text);
    std::fwrite(text.data(), 1, text.size(), stdout);
    walk.Advance();
  }
  return 0;
}

MessageLoad MessagesOf(const Arguments& arguments) {
  MessageLoad load;
  load.port = static_cast<int>(arguments.Number("port", 0));
  load.qos = static_cast<int>(arguments.Number("qos", 0));
  load.messages = static_cast<uint64_t>(arguments.Number("messages", 200'000));
  load.connections = static_cast<int>(arguments.Number("connections", 2));
  load.window = static_cast<int>(arguments.Number("window", 1000));
  load.subscriber = arguments.Number("subscriber", 0) != 0;
  load.topics = static_cast<int>(arguments.Number("hosts", 100));
  load.start_us = arguments.Number("start-s", 1'767'225'600) * 1'000'000;
  return load;
}

int Main(int count, char** words) {
  if (count < 2) Die("write, query, mqtt, nats or print, and --name value pairs");
  const std::string command = words[1];
  const Arguments arguments(count, words);
  if (command == "write") return Write(arguments);
  if (command == "query") return Query(arguments);
  if (command == "print") return Print(arguments);
  if (command == "mqtt") return PublishMqtt(MessagesOf(arguments));
  if (command == "nats") return PublishNats(MessagesOf(arguments));
  Die("no command \"" + command + "\"");
}

}  // namespace
}  // namespace penstock::bench

int main(int count, char** words) { return penstock::bench::Main(count, words); }
