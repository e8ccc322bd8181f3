// Children that are killed, or that must end by themselves in time, and what they say when they
// fail.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace penstock::faults {

// For a child: its complaint goes to its parent, and it ends. Any thread.
[[noreturn]] void ChildFails(const std::string& complaint);

// Runs `work` in a child and waits for it. "" when it ended in order; else its complaint, its
// signal, or that it hung.
std::string RunChild(std::chrono::milliseconds patience, const std::function<void()>& work);
// Kills the child after `patience`. "" unless it complained or ended before.
std::string KillChild(std::chrono::microseconds patience, const std::function<void()>& work);

}  // namespace penstock::faults
