// Reads one Thing Description or Thing Model into typed structures, with every mistake of the file
// in one pass. What files say against each other (models, addresses, ids) is site_check.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "things/finding.h"
#include "things/thing.h"

namespace penstock::things {

struct ReadThing {
  std::optional<Thing> thing;  // Absent when there was an error.
  std::vector<Finding> findings;
};
// `file` is only for the messages and for Thing::file. Point ids are not given here.
ReadThing ReadThingDescription(const Json& document, const std::string& file);

struct ReadModel {
  std::optional<ThingModel> model;  // Absent when there was an error.
  std::vector<Finding> findings;
};
// The document as written: tm:extends and tm:ref are resolved by model.h.
ReadModel ReadThingModel(const Json& document, const std::string& file);

// Of a property as written (its "type", and a list of numbers is a waveform); nothing for what is
// no point.
std::optional<ValueType> ValueTypeOf(const Json& property);
std::string_view ValueTypeName(ValueType type);  // "number", "waveform"

}  // namespace penstock::things
