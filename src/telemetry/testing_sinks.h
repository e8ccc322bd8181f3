// Sinks for the unit tests of this room.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "telemetry/batch_rows.h"
#include "telemetry/sample.h"
#include "telemetry/violation.h"

namespace penstock::telemetry {

// Where nothing may be put away.
class NoNotes final : public QuarantineSink {
 public:
  void Put(QuarantineEntry entry) override { ADD_FAILURE() << entry.message; }
};

// What broke a contract, as it would be shown.
class KeptViolations final : public ViolationSink {
 public:
  struct One {
    std::string contract, path, rule, value, message;
    Batch rows;
  };
  Status Keep(const Violations& found) override {
    if (full) return ResourceExhausted("the disk is full");
    size_t begin = 0;
    for (const Violation& v : found.list) {
      const double offending = found.rows.value[begin + v.offending];
      One& one = violations.emplace_back();
      one.contract = v.contract;
      one.path = std::string(v.thing) + "/" + std::string(v.property);
      one.rule = v.rule;
      one.value = ValueShown(v, offending);
      one.message = MessageShown(v, offending);
      AddRows(one.rows, found.rows, {begin, begin + v.rows});
      begin += v.rows;
    }
    EXPECT_EQ(begin, found.rows.size());
    ++calls;
    return {};
  }
  bool full = false;
  size_t calls = 0;
  std::vector<One> violations;
};

}  // namespace penstock::telemetry
