// Thing Models made whole and made into descriptions (W3C TD 1.1, section 10).
#pragma once

#include <functional>
#include <string>

#include "base/json.h"

namespace penstock::things {

// Gives the document of a file of the same folder by its name: "pump.tm.json".
using ModelLoader = std::function<Result<Json>(const std::string& name)>;

// The model with every link "tm:extends" and every "tm:ref" replaced by what it refers to.
// References are relative to the model's own folder and may not leave it; at most 16 deep, a circle
// is an error with its pointer.
Result<Json> ResolveModel(const Json& model, const ModelLoader& load);

// A description from a (resolved) model: placeholders replaced, model terms removed, security
// "nosec" and version added when missing. `placeholders` is an object NAME -> value; a text that is
// one placeholder alone takes the value with its type. kInvalidArgument names placeholders that
// have no value and values that have no placeholder. The result has no forms where the model has
// none: `penstock check` says what is still to be filled in.
Result<Json> Instantiate(const Json& model, const Json& placeholders);

// Whether a description must have the affordance at `pointer` ("/properties/flow"): not when
// tm:optional lists it, or when tm:required (of drafts of the standard) exists and does not.
bool IsRequired(const Json& model, const std::string& pointer);

}  // namespace penstock::things
