// Passwords as argon2id hashes in the PHC string format.
#pragma once

#include <string>

#include "base/result.h"

namespace penstock::trust {

Result<std::string> HashPassword(const std::string& password);
bool VerifyPassword(const std::string& hash, const std::string& password);
// Length, and not the name itself; the error says what is missing.
Status CheckPassword(const std::string& name, const std::string& password);

}  // namespace penstock::trust
