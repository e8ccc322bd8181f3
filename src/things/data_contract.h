// A data contract: what the data of a kind of asset promises, as an Open Data Contract Standard
// 3.1 file contracts/<id>.odcs.yaml. The document is kept whole; what is typed here is what the
// program enforces or measures.
//
// Source: Bitol, Open Data Contract Standard v3.1.0. Own terms are customProperties: `unit` (UCUM),
// `sampleRate` (Hz), `personalData` (classes), `thingModel` (where it was generated from).
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "things/finding.h"
#include "things/point.h"

namespace penstock::things {

inline constexpr std::string_view kContractSuffix = ".odcs.yaml";
inline constexpr size_t kContractBytesMax = 1 << 20;
inline constexpr size_t kContractFieldsMax = 10'000;

// Values a field may have; an absent bound is infinite. `step` 0: any.
struct ContractRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;  // The bound itself is outside.
  double step = 0;                           // Multiples of it only ("multipleOf").
  bool operator==(const ContractRange&) const = default;
};

// One entry of a "quality" list. A rule of severity error that allows no missing or no invalid
// value is enforced sample by sample; the others are measured over a time.
struct ContractRule {
  enum class Metric { kNull, kMissing, kInvalid, kDuplicate, kRowCount, kText, kSql, kCustom };
  enum class Operator {
    kNone,
    kEqual,
    kNotEqual,
    kGreater,
    kGreaterOrEqual,
    kLess,
    kLessOrEqual,
    kBetween,
    kNotBetween
  };
  Metric metric = Metric::kText;
  Operator op = Operator::kNone;
  double a = 0, b = 0;             // The threshold; b with the two "Between".
  bool percent = false;            // The measure is a percentage of rows, else rows.
  bool warning_only = false;       // Severity info or warning.
  std::string name;                // The rule's own, else its metric's.
  std::vector<double> values;      // validValues of kInvalid, missingValues of kMissing; sorted.
  std::vector<std::string> texts;  // The same of a field of text.
  std::string pointer;             // Into the document.

  bool PerSample() const;             // Enforced before storage.
  bool Measurable() const;            // Penstock measures it; text, sql and custom are not.
  bool Holds(double measured) const;  // Whether the operator is satisfied.
};
std::string_view MetricName(ContractRule::Metric metric);  // "invalidValues"
std::string OperatorText(const ContractRule& rule);        // "mustBeLessThan 1 percent"

// What texts a field may have.
struct ContractText {
  size_t shortest = 0, longest = SIZE_MAX;  // In characters (Unicode code points).
  std::string pattern;                      // ECMA-262, found anywhere in the text; "": any.
  bool operator==(const ContractText&) const = default;
};

struct ContractField {
  std::string name;               // The property of the Thing Model.
  std::optional<ValueType> type;  // Absent: a logical type that no point has (date, object ...).
  std::string unit;               // UCUM; "" when dimensionless or not said.
  ContractRange range;            // For a waveform: of its samples.
  ContractText text;              // Of a field of text.
  double sample_rate_hz = 0;
  bool required = false;
  std::string classification;         // "" = the contract's.
  std::vector<std::string> personal;  // Classes of personal data: "location" ...
  std::vector<ContractRule> rules;
  std::string pointer;
};

struct ContractObject {
  std::string name;           // The kind of thing: "pump".
  std::string physical_name;  // The history product, when it says one.
  std::vector<ContractField> fields;
  std::vector<ContractRule> rules;
  std::string pointer;
};

// One entry of slaProperties.
struct ContractSla {
  enum class Kind { kFreshness, kLatency, kRetention, kFrequency, kCompleteness, kOther };
  Kind kind = Kind::kOther;
  std::string property;               // As written: "freshness".
  Duration limit{0};                  // Of all kinds in time.
  double percent = 0;                 // Of kCompleteness.
  std::vector<std::string> elements;  // Field names; empty: the whole contract.
  std::string pointer;
};

struct DataContract {
  std::string id;       // The file's name without its suffix: "pump".
  std::string version;  // "1.2.0"
  std::string name, status, domain, purpose;
  std::string team, owner;     // The team's name, and its member of the role owner.
  std::string thing_model;     // "pump@1.2", or "".
  std::string classification;  // "internal" unless said.
  std::vector<ContractObject> objects;
  std::vector<ContractSla> sla;
  std::string file;
  Json document;

  std::string reference() const { return id + "@" + version; }  // "pump@1.2.0"
  const ContractField* FindField(std::string_view field) const;
  // The tightest promise of this kind for the field, or nothing.
  std::optional<ContractSla> SlaOf(ContractSla::Kind kind, std::string_view field) const;
};

struct ReadContract {
  std::optional<DataContract> contract;  // Absent when there was an error.
  std::vector<Finding> findings;
};
// `file` must end with <id>.odcs.yaml; it gives the id and is named by the findings.
ReadContract ReadDataContract(const Json& document, const std::string& file);
ReadContract ReadDataContractFile(const std::string& path);

std::string ContractIdOf(std::string_view file);  // ".../pump.odcs.yaml" -> "pump", else "".

// MAJOR.MINOR.PATCH.
struct Version3 {
  uint32_t major = 0, minor = 0, patch = 0;
  auto operator<=>(const Version3&) const = default;
  std::string ToString() const { return fmt::format("{}.{}.{}", major, minor, patch); }
};
std::optional<Version3> ParseVersion3(std::string_view text);

}  // namespace penstock::things
