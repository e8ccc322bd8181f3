// What a Thing Description says of its security: "securityDefinitions" and the names chosen of
// them.
#pragma once

#include <string>

#include "base/json.h"
#include "things/finding.h"

namespace penstock::things {

// Mistakes of `names`, a text or a list of texts at `pointer`, that are none of `definitions`.
void CheckSecurity(const Json& names, const Json& definitions, const std::string& pointer,
                   Findings& findings);
// A doubt for every scheme that no driver knows.
void CheckSchemes(const Json& definitions, Findings& findings);
// "basic" is the scheme of one of the names.
bool WantsPassword(const Json& names, const Json& definitions);

}  // namespace penstock::things
