// From a publish to samples: which points a topic carries, where each value lies in the JSON
// payload, and what is quarantined instead. Shared by the listener and by the client of foreign
// brokers.
//
// Thread rule: a TopicRouter never changes once built; a PayloadMapper belongs to one thread.
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocols/driver/driver.h"
#include "protocols/driver/reporter.h"
#include "protocols/mqtt/topic.h"

namespace penstock::protocols::mqtt {

// All points of one topic filter. The JSON pointers of their forms are merged into one tree, so
// that a payload is walked once, however many points it carries.
class TopicPlan {
 public:
  struct Target {
    size_t point = 0;    // Index into the router's points.
    int value_slot = 0;  // Of the distinct pointers.
    int time_slot = -1;  // -1: ingest time.
  };
  struct Node {
    int slot = -1;                                      // A pointer ends here.
    std::vector<std::pair<std::string, int>> children;  // Key or index -> node.
  };

  using Tree = std::vector<Node>;  // 0 is the root.

  void Add(size_t point, const things::MqttForm& form);

  const std::vector<Target>& targets() const { return targets_; }
  const std::vector<std::string>& pointers() const { return pointers_; }  // By slot.
  // One tree for each walk over the payload. A second walk is needed only for pointers into another
  // point's own value, such as the first element of an array that is a waveform.
  const std::vector<Tree>& walks() const { return walks_; }

 private:
  int SlotOf(const std::string& pointer);
  void Plant(Tree& tree, int slot);
  std::vector<Target> targets_;
  std::vector<std::string> pointers_;
  std::vector<Tree> walks_;
};

class TopicRouter {
 public:
  // The points whose form names this broker ("" = this node's own listener).
  TopicRouter(const things::Snapshot& snapshot, std::string_view broker);
  explicit TopicRouter(std::vector<SourcePoint> points);

  // Plans for the topic, appended to `out`. Most topics have none or one.
  void Find(std::string_view topic, std::vector<const TopicPlan*>& out) const;
  const std::vector<SourcePoint>& points() const { return points_; }
  const std::vector<std::string>& things() const { return things_; }  // Sorted.
  size_t thing_of(size_t point) const { return thing_of_[point]; }    // Index into things().
  std::vector<std::pair<std::string, int>> filters() const;           // With the highest QoS.
  bool empty() const { return points_.empty(); }

 private:
  void Build();
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::vector<SourcePoint> points_;
  std::vector<std::string> things_;
  std::vector<size_t> thing_of_;
  std::unordered_map<std::string, std::unique_ptr<TopicPlan>, Hash, std::equal_to<>> exact_;
  TopicTree<std::unique_ptr<TopicPlan>> wildcards_;
};

class PayloadMapper {
 public:
  // `sink` keeps the texts; all three outlive the mapper.
  PayloadMapper(const Clock& clock, telemetry::QuarantineSink& quarantine,
                telemetry::SampleSink& sink);
  ~PayloadMapper();
  // From now on payloads are read by this router. Report states begin anew.
  void Use(std::shared_ptr<const TopicRouter> router);
  const TopicRouter& router() const { return *router_; }

  // Appends the payload's samples to `out`; `client` is who sent it, for the quarantine. `readable`
  // bytes from the payload's begin may be read (parsing in place wants kReadAhead behind its end;
  // else it copies). Returns the number of values refused (each is in quarantine with its reason).
  static constexpr size_t kReadAhead = 64;
  size_t Map(const TopicPlan& plan, std::string_view topic, std::string_view payload,
             size_t readable, std::string_view client, telemetry::Batch& out);
  // The way to the senders is gone: one Bad_NoCommunication sample for each point that was not
  // silent already.
  void FailAll(telemetry::Batch& out);
  // Samples that the last Map appended, by thing (index into router().things()).
  std::span<const std::pair<size_t, uint64_t>> counts() const { return counts_; }

 private:
  struct Parse;
  struct Message {
    const TopicPlan& plan;
    std::string_view topic, payload, client;
    Time now;
  };
  struct Refusal {
    std::string_view rule;
    std::string value, message;
  };
  std::expected<Time, Refusal> TimeOf(const Message& message, int time_slot) const;
  std::expected<void, Refusal> MapText(const Message& message, const TopicPlan::Target& target,
                                       Time at, telemetry::Batch& out);
  std::expected<void, Refusal> MapTarget(const Message& message, const TopicPlan::Target& target,
                                         telemetry::Batch& out);
  void Quarantine(const Message& message, const things::Point* point, Refusal refusal);
  void Count(size_t point, uint64_t samples);

  const Clock& clock_;
  telemetry::QuarantineSink& quarantine_;
  telemetry::SampleSink& sink_;
  std::shared_ptr<const TopicRouter> router_;  // Shared with whoever built it; it never changes.
  std::unique_ptr<Reporter> reporter_;
  std::unique_ptr<Parse> parse_;
  std::vector<std::pair<size_t, uint64_t>> counts_;
};

}  // namespace penstock::protocols::mqtt
