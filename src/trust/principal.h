// Who asks, and what they may do.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::trust {

// Each role may do what the ones before may.
enum class Role { kNone = 0, kViewer = 1, kTechnician = 2, kEngineer = 3, kAdmin = 4 };
std::string_view RoleName(Role role);  // "viewer"
Result<Role> ParseRole(std::string_view name);

struct Principal {
  std::string name;  // User name, or "token:<name>" for a machine.
  Role role = Role::kNone;
  bool Has(Role needed) const { return role >= needed; }
};

}  // namespace penstock::trust
