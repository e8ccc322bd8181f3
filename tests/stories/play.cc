#include <algorithm>
#include <thread>

#include "tests/stories/steps.h"

namespace penstock::stories {
namespace {

constexpr auto kPatience =
    std::chrono::seconds(5);  // Real time for what the pipeline's thread does by itself.
constexpr auto kLookEvery = std::chrono::milliseconds(20);

Result<const StepKind*> Find(std::span<const StepKind> kinds, const std::string& word) {
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [&](const StepKind& kind) { return kind.word == word; });
  if (found != kinds.end()) return &*found;
  std::vector<std::string> known;
  for (const StepKind& kind : kinds) known.emplace_back(kind.word);
  return InvalidArgument("there is no step \"{}\"; there are {}", word, fmt::join(known, ", "));
}

Status Run(World& world, const StepKind& kind, Words words) {
  auto done = kind.run(world, words);
  if (done) done = words.End();
  if (!done && done.error().code == Code::kInvalidArgument)
    done.error().message += fmt::format(" ({})", kind.form);
  return done;
}

Status Expect(World& world, Words words, bool eventually) {
  TRY(world.Start());
  ASSIGN_OR_RETURN(const std::string word, words.Word("what to expect"));
  ASSIGN_OR_RETURN(const StepKind* kind, Find(Expectations(), word));
  const auto end = std::chrono::steady_clock::now() + (eventually ? kPatience : kPatience * 0);
  for (;;) {
    auto seen = Run(world, *kind, words);
    if (seen || std::chrono::steady_clock::now() >= end) return seen;
    std::this_thread::sleep_for(kLookEvery);
    world.Housekeep();
  }
}

Status PlayStep(World& world, const Step& step) {
  Words words(step.words);
  const bool eventually = words.Take("eventually");
  if (words.Take("expect")) return Expect(world, words, eventually);
  world.last_answer = {};
  ASSIGN_OR_RETURN(const std::string word, words.Word("a step"));
  ASSIGN_OR_RETURN(const StepKind* kind, Find(Actions(), word));
  return Run(world, *kind, words);
}

// A refusal that the next step does not ask for was not meant.
Status NotRefused(const World& world, const Step* next) {
  if (world.last_answer.status < 400) return {};
  if (next != nullptr && next->words.size() > 1 && next->words[0] == "expect" &&
      next->words[1] == "answer")
    return {};
  return FailedPrecondition("answered {}: {}", world.last_answer.status, world.last_answer.text);
}

// Whatever happened in a story: every sample is somewhere.
Status LedgerAddsUp(World& world) {
  if (!world.started()) return {};
  ASSIGN_OR_RETURN(const Json ledger, world.Get("/api/v1/ledger"));
  if (ledger["gap"] == 0 && ledger["points_with_gap"] == 0 && ledger["lost"] == 0) return {};
  return FailedPrecondition("the ledger has a gap: {}", ledger.dump());
}

}  // namespace

Status Play(const Story& story) {
  World world;
  for (size_t i = 0; i < story.steps.size(); ++i) {
    const Step& step = story.steps[i];
    Status played = PlayStep(world, step);
    if (step.words[0] == "expect") world.last_answer = {};
    if (played)
      played = NotRefused(world, i + 1 < story.steps.size() ? &story.steps[i + 1] : nullptr);
    if (!played)
      return FailedPrecondition("line {}: {}\n  {}\n  at {}\nthe node's log:\n{}", step.line,
                                step.text, played.error().ToString(),
                                FormatTime(world.clock().Now()), world.Log());
  }
  return LedgerAddsUp(world);
}

}  // namespace penstock::stories
