// Contracts as YAML for people: keys in the order of the standard, short objects on one line, texts
// in quotes only where YAML would read them as something else.
#pragma once

#include <string>

#include "base/json.h"

namespace penstock::things {

// `indent` spaces before every line; ParseYaml gives the same document back.
std::string ContractYaml(const Json& document, size_t indent = 0);

// One entry of a list: "- name: flow" and what belongs to it, `indent` spaces before the dash.
std::string ContractYamlItem(const Json& item, size_t indent);

}  // namespace penstock::things
