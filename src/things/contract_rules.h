// The quality rules and service levels of a data contract: "quality" and "slaProperties".
#pragma once

#include <regex>
#include <string>
#include <vector>

#include "things/data_contract.h"

namespace penstock::things {

// The "quality" list of an object or property; mistakes go to `findings`.
std::vector<ContractRule> ReadContractRules(const Json& owner, const std::string& pointer,
                                            Findings& findings);
// "logicalTypeOptions" of a field of text: minLength, maxLength, pattern.
void ReadContractText(const Json& options, const std::string& pointer, ContractText& text,
                      Findings& findings);
// The pattern compiled so that finding it in a text takes time in proportion to the text.
Result<std::regex> CompilePattern(const std::string& pattern);
// One entry whose keys were checked. Elements come without their object: "pump.flow" -> "flow".
ContractSla ReadContractSla(const Json& entry, const std::string& pointer, Findings& findings);

}  // namespace penstock::things
