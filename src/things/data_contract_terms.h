// The keys that the Open Data Contract Standard 3.1 knows, by class of object, with the shape of
// their values: what ReadDataContract walks along, so that a typo is told and switches nothing off.
#pragma once

#include <string>

#include "base/json.h"
#include "things/finding.h"

namespace penstock::things {

enum class ContractClass {
  kContract,
  kObject,
  kField,
  kRule,
  kSla,
  kCustom,
  kTeam,
  kMember,
};

// Unknown keys and values of a wrong shape in `object`, which must be an object; false when it is
// none (then it is told, too).
bool CheckContractTerms(const Json& object, ContractClass of, const std::string& pointer,
                        Findings& findings);

}  // namespace penstock::things
