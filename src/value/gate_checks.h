// The checks of gate G1 as rows: each asks for one piece of evidence and says what it found. A
// check that finds nothing is blocked; none of them ever counts an absence as good news.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "value/gate.h"

namespace penstock::value {

// What the checks look at; made once per evaluation.
struct GateContext {
  const UseCase& use;
  const Kpis& kpis;
  const AlarmFacts& facts;
  const States& states;
  const Evidence& evidence;
  std::optional<Signature> signature;  // The latest one.
  Time now{};
  // Per needed point, in the use case's order; an error where the evidence could not be had.
  std::vector<Result<PointCoverage>> coverage;
  std::vector<std::string> things;  // Of the asset.
  Time from() const { return now - use.baseline; }
};

struct CheckKind {
  std::string_view id, title;
  void (*ask)(const GateContext& context, Check& check);
};

std::span<const CheckKind> G1Checks();

}  // namespace penstock::value
