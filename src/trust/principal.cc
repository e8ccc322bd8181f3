#include "trust/principal.h"

#include <array>

namespace penstock::trust {
namespace {
constexpr std::array<std::string_view, 5> kNames = {"none", "viewer", "technician", "engineer", "admin"};
}  // namespace

std::string_view RoleName(Role role) { return kNames.at(static_cast<size_t>(role)); }

Result<Role> ParseRole(std::string_view name) {
  for (size_t i = 1; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Role>(i);
  auto error = InvalidArgument("no such role: \"{}\"", name.substr(0, 40));
  error.error().At("/role").Fix("viewer, technician, engineer or admin");
  return error;
}

}  // namespace penstock::trust
