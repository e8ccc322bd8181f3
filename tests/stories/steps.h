// What the steps of a story do. Actions move the world, expectations only look.
#pragma once

#include <span>
#include <string_view>

#include "tests/stories/story.h"
#include "tests/stories/world.h"

namespace penstock::stories {

// A kind of step: the first word, how it is written, what it does.
struct StepKind {
  std::string_view word, form;
  Status (*run)(World& world, Words& words);
};

std::span<const StepKind> Actions();
std::span<const StepKind> Expectations();  // The word after "expect".

// Plays all steps on a world of their own; the error names line and step.
Status Play(const Story& story);

// The newest alarm of that cause; kNotFound lists those there are.
Result<Json> NewestAlarm(World& world, const std::string& cause);

}  // namespace penstock::stories
