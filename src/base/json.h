// JSON and YAML as one value type, with errors that name the place.
//
// For control traffic (files, REST); the hot path parses in place (telemetry, protocols).
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace penstock {

using Json = nlohmann::json;

// Depth is limited to 64 and size to 16 MiB; duplicate keys are an error. The error's message has
// line and column.
Result<Json> ParseJson(std::string_view text);
// YAML 1.2 core schema into the same type (at most 2^20 nodes after aliases). Quoted scalars stay
// text.
Result<Json> ParseYaml(std::string_view text);
// By the file's extension: .json, .yaml, .yml. Errors carry `where`.
Result<Json> ReadDocument(const std::string& path);

// Field access for hand-written readers: an error with pointer "<base>/<key>" when missing or of
// another type.
Result<std::string> GetString(const Json& object, std::string_view key, std::string_view base = "");
Result<double> GetNumber(const Json& object, std::string_view key, std::string_view base = "");
std::string StringOr(const Json& object, std::string_view key, std::string_view otherwise);
double NumberOr(const Json& object, std::string_view key, double otherwise);
bool BoolOr(const Json& object, std::string_view key, bool otherwise);

// Unknown keys in a file are errors (a typo must not switch a setting off); `fix` names the nearest
// known key.
Status CheckKeys(const Json& object, std::initializer_list<std::string_view> known,
                 std::string_view base = "");
// The candidate with the smallest edit distance, or "" when none is within a third of the length.
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

// JSON has no NaN and no infinity.
Json NumberOrNull(double value);
Json NumberOrNull(const std::optional<double>& value);

// RFC 6901: "~" and "/" escaped.
std::string EscapePointer(std::string_view key);

}  // namespace penstock
