// Who asks, and what they may do.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::trust {

// Each role of a person may do what the ones before may. A device, known by its certificate, may do
// what devices may and nothing else.
enum class Role { kNone = 0, kViewer = 1, kTechnician = 2, kEngineer = 3, kAdmin = 4, kDevice = 5 };
std::string_view RoleName(Role role);  // "viewer"
Result<Role> ParseRole(std::string_view name);

struct Principal {
  std::string name;  // User name, "token:<name>" for a machine, "device:<name>" by certificate.
  Role role = Role::kNone;
  bool Has(Role needed) const {
    if (role == Role::kDevice || needed == Role::kDevice)
      return role == needed || needed == Role::kNone;
    return role >= needed;
  }
};

}  // namespace penstock::trust
