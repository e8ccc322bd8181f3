// The vocabulary of Thing Descriptions and Thing Models as a table: which keys an object of which
// class may have and what their values look like. A typo must not switch a setting off, so an
// unknown key is a mistake that names the nearest known one; keys of prefixes that the file itself
// declares are left alone.
#pragma once

#include <set>
#include <string>

#include "base/json.h"
#include "things/finding.h"

namespace penstock::things {

inline constexpr std::string_view kOwnTerms =
    "urn:penstock:v1#";  // What "ps" stands for in @context.

enum class DocumentKind { kDescription, kModel };

// Keys, types, required keys, words out of lists, prefixes, placeholders; not what the values mean
// together.
void CheckVocabulary(const Json& document, DocumentKind kind, Findings& findings);

// "{{NAME}}" anywhere in the text.
bool HasPlaceholder(std::string_view text);
// The names between the braces of all texts and keys, in a document of any shape.
std::set<std::string> PlaceholdersOf(const Json& document);

}  // namespace penstock::things
