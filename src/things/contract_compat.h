// What a new version of a data contract changes, and which step of its version number that needs.
//
// Backward compatible: what was stored under the old version keeps the new one's promises. Forward
// compatible: what comes under the new version keeps the old one's, so that readers of the old go
// on. Version steps follow Semantic Versioning 2.0.0: major for a change that breaks a producer or
// a reader of the old version, minor for an addition, patch for words. Below 1.0.0 a minor step may
// break, too.
#pragma once

#include <string>
#include <vector>

#include "things/data_contract.h"

namespace penstock::things {

enum class VersionStep { kNone, kPatch, kMinor, kMajor };

struct ContractChange {
  VersionStep step = VersionStep::kPatch;  // What this change alone needs.
  bool backward = true, forward = true;
  std::string kind;     // "field_added", "range_narrowed", "unit_changed", "sla_loosened" ...
  std::string field;    // "" for the contract as a whole.
  std::string text;     // "discharge_pressure: -0.5..16 becomes -0.5..10"
  std::string pointer;  // Into the new document, or the old one for what is gone.
};

struct ContractDiff {
  std::vector<ContractChange> changes;  // In the order of the schema, bounded by its size.
  VersionStep step = VersionStep::kNone;
  bool backward = true, forward = true;
};

ContractDiff CompareContracts(const DataContract& old, const DataContract& now);
// The lowest version that may carry the changes: "2.0.0".
std::string NextVersion(const std::string& old, VersionStep step);
// kFailedPrecondition with pointer /version, the first breaking changes and the fix, when `now` may
// not replace `old` under its number.
Status CheckVersionStep(const DataContract& old, const DataContract& now, const ContractDiff& diff);

std::string_view VersionStepName(VersionStep step);  // "major"
Json ContractDiffJson(const ContractDiff& diff);

}  // namespace penstock::things
