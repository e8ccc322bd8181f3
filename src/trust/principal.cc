#include "trust/principal.h"

#include <array>
#include <utility>

namespace penstock::trust {
namespace {

constexpr std::array<std::pair<Role, std::string_view>, 6> kRoles = {
    {{Role::kNone, "none"},
     {Role::kViewer, "viewer"},
     {Role::kTechnician, "technician"},
     {Role::kEngineer, "engineer"},
     {Role::kAdmin, "admin"},
     {Role::kDevice, "device"}}};

}  // namespace

std::string_view RoleName(Role role) { return kRoles[static_cast<size_t>(role)].second; }

Result<Role> ParseRole(std::string_view name) {
  for (const auto& [role, role_name] : kRoles)
    if (role != Role::kNone && role != Role::kDevice && role_name == name) return role;
  auto error = InvalidArgument("no such role: \"{}\"", name.substr(0, 40));
  error.error().Fix("one of viewer, technician, engineer, admin");
  return error;
}

}  // namespace penstock::trust
