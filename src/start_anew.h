// A program that is safe under kill -9 at any moment can forget what a replay leaves out by
// starting anew: the same process, program and arguments, nothing written before
// (docs/decisions/0019).
//
// Thread rule: any thread.
#pragma once

#include <string>

namespace penstock {

// Says why and replaces the program. When it returns, that has failed and was said.
void StartAnew(const std::string& why);

}  // namespace penstock
