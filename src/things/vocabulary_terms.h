// The terms by class of object: what vocabulary.cc walks along.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "things/vocabulary.h"

namespace penstock::things {

enum class Shape {
  kText,
  kTexts,    // One text; one or a list of them.
  kTextMap,  // Language -> text.
  kFlag,
  kNumber,
  kPositive,
  kCount,
  kDuration,
  kAny,
  kList,  // Any value; any list.
  kObject,
  kObjects,
  kMap,      // Of class `of`: one, a list, by name.
  kSchemas,  // One data schema or a list of them.
};

enum class Class {
  kNone,
  kThing,
  kProperty,
  kAction,
  kEvent,
  kSchema,
  kForm,
  kRootForm,
  kLink,
  kSecurity,
  kVersion,
  kResponse,
  kOtherResponse,
  kReport,
  kQuality,
};

struct Term {
  std::string_view key;
  Shape shape;
  Class of = Class::kNone;
  bool required = false;        // In a Thing Description; a model may leave it to its descriptions.
  std::string_view words = "";  // "|a|b|": the only texts allowed.
};

// A class is a list of tables, because the standard mixes them: a property affordance is an
// interaction affordance and a data schema at once.
using Tables = std::vector<std::span<const Term>>;
Tables TablesOf(Class of, DocumentKind kind);

}  // namespace penstock::things
