// UCUM codes. A term is components joined by "." and "/"; a component is an atom with an optional
// metric prefix and exponent, a whole number, a term in parentheses, or an annotation in braces,
// which counts as 1.
//
// Every atom but the seven base units is defined by a factor and another term, as in UCUM's own
// table, so that a mistyped digit can be found by reading; definitions go at most a few levels deep
// and always end at base units. An atom is looked up whole first and then with its prefix cut off;
// UCUM's codes are chosen so that this is never ambiguous. Temperature scales have an offset only
// when they stand alone: in "Cel/min" they are differences.
#include "things/units.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "base/check.h"
#include "base/json.h"
#include "things/text.h"

namespace penstock::things {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr size_t kMaxCode = 64;
constexpr int kUnitDepthMax = 4;
constexpr int kMaxDefinitions = 8;

struct AtomRow {
  std::string_view code;
  bool metric;                  // Takes prefixes.
  double factor;                // Of `definition`.
  std::string_view definition;  // A term; for base units their own code.
  double offset = 0;  // In units of `definition`, added before the factor: 273.15 for Cel.
  std::string_view logarithm = "";
};

constexpr AtomRow kAtoms[] = {
    // Base units. "10*" and "10^" are the number ten, "1" and whole numbers are read by the parser.
    {"m", true, 1, "m"},
    {"s", true, 1, "s"},
    {"g", true, 1, "g"},
    {"rad", true, 1, "rad"},
    {"K", true, 1, "K"},
    {"C", true, 1, "C"},
    {"cd", true, 1, "cd"},
    {"10*", false, 10, "1"},
    {"10^", false, 10, "1"},
    // Dimensionless.
    {"[pi]", false, kPi, "1"},
    {"%", false, 1e-2, "1"},
    {"[ppth]", false, 1e-3, "1"},
    {"[ppm]", false, 1e-6, "1"},
    {"[ppb]", false, 1e-9, "1"},
    {"[pptr]", false, 1e-12, "1"},
    {"mol", true, 6.02214076e23, "1"},
    {"sr", true, 1, "rad2"},
    // Angle.
    {"deg", false, kPi / 180, "rad"},
    {"'", false, kPi / 10800, "rad"},
    {"''", false, kPi / 648000, "rad"},
    {"gon", false, kPi / 200, "rad"},
    {"circ", false, 2 * kPi, "rad"},
    // Time.
    {"min", false, 60, "s"},
    {"h", false, 3600, "s"},
    {"d", false, 86400, "s"},
    {"wk", false, 7, "d"},
    {"mo", false, 30.4375, "d"},
    {"a", false, 365.25, "d"},
    {"a_j", false, 365.25, "d"},
    {"mo_j", false, 30.4375, "d"},
    // SI.
    {"Hz", true, 1, "/s"},
    {"N", true, 1000, "g.m/s2"},
    {"Pa", true, 1, "N/m2"},
    {"J", true, 1, "N.m"},
    {"W", true, 1, "J/s"},
    {"A", true, 1, "C/s"},
    {"V", true, 1, "J/C"},
    {"F", true, 1, "C/V"},
    {"Ohm", true, 1, "V/A"},
    {"S", true, 1, "A/V"},
    {"mho", true, 1, "S"},
    {"Wb", true, 1, "V.s"},
    {"T", true, 1, "Wb/m2"},
    {"H", true, 1, "Wb/A"},
    {"lm", true, 1, "cd.sr"},
    {"lx", true, 1, "lm/m2"},
    {"Bq", true, 1, "/s"},
    {"Gy", true, 1, "J/kg"},
    {"Sv", true, 1, "J/kg"},
    {"Cel", true, 1, "K", 273.15},
    {"[degF]", false, 5.0 / 9, "K", 459.67},
    {"[degR]", false, 5.0 / 9, "K"},
    // Beside SI.
    {"l", true, 1e-3, "m3"},
    {"L", true, 1e-3, "m3"},
    {"ar", true, 100, "m2"},
    {"t", true, 1e6, "g"},
    {"u", true, 1.66053906660e-24, "g"},
    {"eV", true, 1.602176634e-19, "J"},
    {"bar", true, 1e5, "Pa"},
    {"atm", false, 101325, "Pa"},
    {"att", false, 98066.5, "Pa"},
    {"m[H2O]", true, 9806.65, "Pa"},
    {"m[Hg]", true, 133322.0, "Pa"},
    {"[in_i'H2O]", false, 249.08891, "Pa"},
    {"[in_i'Hg]", false, 3386.3788, "Pa"},
    {"gf", true, 9.80665e-3, "N"},
    {"[g]", true, 9.80665, "m/s2"},
    {"cal", true, 4.184, "J"},
    {"cal_IT", true, 4.1868, "J"},
    {"dyn", true, 1e-5, "N"},
    {"erg", true, 1e-7, "J"},
    {"P", true, 0.1, "Pa.s"},
    {"St", true, 1e-4, "m2/s"},
    {"G", true, 1e-4, "T"},
    {"Ao", false, 1e-10, "m"},
    // Of electrical practice, not in UCUM (which writes W.h and V.A).
    {"Wh", true, 3600, "J"},
    {"VA", true, 1, "V.A"},
    {"var", true, 1, "V.A"},
    // Customary units.
    {"[in_i]", false, 0.0254, "m"},
    {"[ft_i]", false, 0.3048, "m"},
    {"[yd_i]", false, 0.9144, "m"},
    {"[mi_i]", false, 1609.344, "m"},
    {"[nmi_i]", false, 1852, "m"},
    {"[kn_i]", false, 1, "[nmi_i]/h"},
    {"[sin_i]", false, 1, "[in_i]2"},
    {"[sft_i]", false, 1, "[ft_i]2"},
    {"[cin_i]", false, 1, "[in_i]3"},
    {"[cft_i]", false, 1, "[ft_i]3"},
    {"[gal_us]", false, 231, "[in_i]3"},
    {"[bbl_us]", false, 42, "[gal_us]"},
    {"[gal_br]", false, 4.54609, "l"},
    {"[foz_us]", false, 1.0 / 128, "[gal_us]"},
    {"[lb_av]", false, 453.59237, "g"},
    {"[oz_av]", false, 28.349523125, "g"},
    {"[ston_av]", false, 2000, "[lb_av]"},
    {"[lton_av]", false, 2240, "[lb_av]"},
    {"[lbf_av]", false, 4.4482216152605, "N"},
    {"[psi]", false, 6894.757293168361, "Pa"},
    {"[HP]", false, 745.69987158227022, "W"},
    {"[Btu_IT]", false, 1055.05585262, "J"},
    {"[Btu]", false, 1055.05585262, "J"},
    // Data.
    {"bit", false, 1, "1"},
    {"By", true, 8, "bit"},
    {"Bd", true, 1, "/s"},
    // Logarithmic.
    {"B", true, 1, "1", 0, "B"},
    {"Np", true, 1, "1", 0, "Np"},
    {"[pH]", false, 1, "1", 0, "[pH]"},
    {"B[SPL]", true, 1, "1", 0, "B[SPL]"},
    {"B[V]", true, 1, "1", 0, "B[V]"},
    {"B[mV]", true, 1, "1", 0, "B[mV]"},
    {"B[uV]", true, 1, "1", 0, "B[uV]"},
    {"B[W]", true, 1, "1", 0, "B[W]"},
    {"B[kW]", true, 1, "1", 0, "B[kW]"},
};
constexpr size_t kBaseUnits = 7;

struct PrefixRow {
  std::string_view code;
  double factor;
};
constexpr PrefixRow kPrefixes[] = {
    {"Y", 1e24},  {"Z", 1e21},  {"E", 1e18},  {"P", 1e15},    {"T", 1e12},    {"G", 1e9},
    {"M", 1e6},   {"k", 1e3},   {"h", 1e2},   {"da", 1e1},    {"d", 1e-1},    {"c", 1e-2},
    {"m", 1e-3},  {"u", 1e-6},  {"n", 1e-9},  {"p", 1e-12},   {"f", 1e-15},   {"a", 1e-18},
    {"z", 1e-21}, {"y", 1e-24}, {"Ki", 1024}, {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40},
};

// What people write for what UCUM calls otherwise.
struct SlipRow {
  std::string_view wrong, right;
};
constexpr SlipRow kSlips[] = {
    {"°C", "Cel"},      {"degC", "Cel"},     {"C°", "Cel"},      {"celsius", "Cel"},
    {"Celsius", "Cel"}, {"°F", "[degF]"},    {"degF", "[degF]"}, {"°", "deg"},
    {"rpm", "/min"},    {"RPM", "/min"},     {"1/min", "/min"},  {"psi", "[psi]"},
    {"ppm", "[ppm]"},   {"ppb", "[ppb]"},    {"m^3/h", "m3/h"},  {"m³/h", "m3/h"},
    {"m³", "m3"},       {"m²", "m2"},        {"percent", "%"},   {"pct", "%"},
    {"sec", "s"},       {"hr", "h"},         {"hour", "h"},      {"day", "d"},
    {"Nm", "N.m"},      {"kWhr", "kWh"},     {"KWh", "kWh"},     {"kwh", "kWh"},
    {"Ah", "A.h"},      {"VAr", "var"},      {"mm/sec", "mm/s"}, {"Ohms", "Ohm"},
    {"ohm", "Ohm"},     {"Ω", "Ohm"},        {"inch", "[in_i]"}, {"ft", "[ft_i]"},
    {"lb", "[lb_av]"},  {"gal", "[gal_us]"}, {"hp", "[HP]"},     {"µm", "um"},
    {"pH", "[pH]"},     {"bars", "bar"},     {"count", "1"},     {"pieces", "1"},
};

const AtomRow* FindAtom(std::string_view code) {
  for (const AtomRow& row : kAtoms)
    if (row.code == code) return &row;
  return nullptr;
}

class UnitParser {
 public:
  UnitParser(std::string_view code, int definitions) : code_(code), definitions_(definitions) {}

  Result<Unit> Parse() {
    ASSIGN_OR_RETURN(const Unit unit, Term(0));
    if (at_ != code_.size()) return Bad("unexpected \"{}\"", code_.substr(at_));
    if (!std::isfinite(unit.factor) || unit.factor == 0) return Bad("factor out of range");
    return unit;
  }

 private:
  template <typename... Args>
  std::unexpected<Error> Bad(fmt::format_string<Args...> why, Args&&... args) const {
    return InvalidArgument("unit unknown: \"{}\" ({})", code_,
                           fmt::format(why, std::forward<Args>(args)...));
  }

  bool Eat(char c) {
    if (at_ >= code_.size() || code_[at_] != c) return false;
    ++at_;
    return true;
  }

  // At most kMaxCode characters, so at most that many components.
  Result<Unit> Term(int depth) {
    if (depth > kUnitDepthMax) return Bad("more than {} levels of parentheses", kUnitDepthMax);
    Unit total;
    bool divide = Eat('/');
    bool alone = !divide;
    while (true) {
      ASSIGN_OR_RETURN(Unit next, Component(depth));
      const bool ends = at_ == code_.size() || code_[at_] == ')';
      if (alone && ends) return next;
      alone = false;
      if (!next.logarithm.empty()) return Bad("{} stands alone only", next.logarithm);
      TRY(Multiply(total, next, divide ? -1 : 1));
      if (ends) return total;
      if (Eat('.'))
        divide = false;
      else if (Eat('/'))
        divide = true;
      else
        return Bad("unexpected \"{}\"", code_.substr(at_));
    }
  }

  Status Multiply(Unit& total, const Unit& by, int power) const {
    for (size_t i = 0; i < total.dimension.size(); ++i) {
      const int sum = total.dimension[i] + by.dimension[i] * power;
      if (sum < -100 || sum > 100) return Bad("exponents too large");
      total.dimension[i] = static_cast<int8_t>(sum);
    }
    total.factor *= std::pow(by.factor, power);
    return {};
  }

  Result<Unit> Component(int depth) {
    if (at_ >= code_.size()) return Bad("ends early");
    if (code_[at_] == '{') {
      TRY(Annotation());
      return Unit{};
    }
    Unit unit;
    if (Eat('(')) {
      ASSIGN_OR_RETURN(unit, Term(depth + 1));
      if (!Eat(')')) return Bad("\")\" is missing");
    } else if (IsDigit(code_[at_]) && !code_.substr(at_).starts_with("10*") &&
               !code_.substr(at_).starts_with("10^")) {
      ASSIGN_OR_RETURN(unit.factor, Whole());
    } else {
      ASSIGN_OR_RETURN(unit, AtomWithExponent());
    }
    if (at_ < code_.size() && code_[at_] == '{') TRY(Annotation());
    return unit;
  }

  Status Annotation() {
    const size_t end = code_.find('}', at_);
    if (end == code_.npos) return Bad("\"}}\" is missing");
    at_ = end + 1;
    return {};
  }

  Result<double> Whole() {
    double value = 0;
    const size_t first = at_;
    while (at_ < code_.size() && IsDigit(code_[at_])) value = value * 10 + (code_[at_++] - '0');
    if (at_ - first > 15 || value == 0) return Bad("number out of range");
    return value;
  }

  Result<Unit> AtomWithExponent() {
    std::string_view symbol = Symbol();
    if (symbol.empty()) return Bad("unexpected \"{}\"", code_.substr(at_));
    at_ += symbol.size();
    int power = 1;
    ASSIGN_OR_RETURN(power, Exponent());
    ASSIGN_OR_RETURN(const Unit atom, Atom(symbol));
    if (power == 1) return atom;
    if (!atom.logarithm.empty()) return Bad("{} has no powers", atom.logarithm);
    Unit raised;
    TRY(Multiply(raised, atom, power));
    return raised;
  }

  // The characters of an atom: brackets may hold anything, outside of them digits and signs end it.
  std::string_view Symbol() const {
    const std::string_view rest = code_.substr(at_);
    if (rest.starts_with("10*") || rest.starts_with("10^")) return rest.substr(0, 3);
    size_t i = 0;
    for (bool bracket = false; i < rest.size(); ++i) {
      const char c = rest[i];
      if (c == '[') bracket = true;
      if (c == ']') bracket = false;
      if (!bracket && (IsDigit(c) || std::string_view("./(){}+-").find(c) != rest.npos)) break;
    }
    return rest.substr(0, i);
  }

  Result<int> Exponent() {
    const bool minus = Eat('-');
    const bool sign = minus || Eat('+');
    const size_t first = at_;
    int value = 0;
    while (at_ < code_.size() && IsDigit(code_[at_]) && at_ - first < 2)
      value = value * 10 + (code_[at_++] - '0');
    if (at_ == first) return sign ? Result<int>(Bad("exponent is missing")) : Result<int>(1);
    if (value > 9 || value == 0) return Bad("exponent {} out of -9..9", value);
    return minus ? -value : value;
  }

  Result<Unit> Atom(std::string_view symbol) const {
    if (const AtomRow* row = FindAtom(symbol)) return FromRow(*row, 1);
    for (const PrefixRow& prefix : kPrefixes) {
      if (!symbol.starts_with(prefix.code)) continue;
      const AtomRow* row = FindAtom(symbol.substr(prefix.code.size()));
      if (row != nullptr && row->metric) return FromRow(*row, prefix.factor);
    }
    return Bad("no atom \"{}\"", symbol);
  }

  Result<Unit> FromRow(const AtomRow& row, double prefix) const {
    Unit unit;
    if (const auto index = static_cast<size_t>(&row - kAtoms); index < kBaseUnits) {
      unit.dimension[index] = 1;
    } else {
      CHECK(definitions_ < kMaxDefinitions);
      ASSIGN_OR_RETURN(unit, UnitParser(row.definition, definitions_ + 1).Parse());
    }
    const double definition = unit.factor;
    unit.factor = prefix * row.factor * definition;
    unit.offset = row.offset * row.factor * definition;
    unit.logarithm = row.logarithm;
    return unit;
  }

  std::string_view code_;
  int definitions_;
  size_t at_ = 0;
};

std::string FixFor(std::string_view code) {
  for (const SlipRow& slip : kSlips)
    if (slip.wrong == code) return fmt::format("write the UCUM code \"{}\"", slip.right);
  std::vector<std::string> known;
  for (const AtomRow& row : kAtoms) known.emplace_back(row.code);
  const std::string nearest = code.size() > 2 ? Nearest(code, known) : "";
  return nearest.empty()
             ? "write a UCUM code: bar, Cel, mm/s, m3/h, N.m, /min, kWh, %, 1"
             : fmt::format("write a UCUM code; the nearest known one is \"{}\"", nearest);
}

}  // namespace

Result<Unit> ParseUnit(std::string_view code) {
  if (code.empty()) return Unit{};
  if (code.size() > kMaxCode)
    return InvalidArgument("unit of {} characters, at most {}", code.size(), kMaxCode);
  auto unit = UnitParser(code, 0).Parse();
  if (!unit) unit.error().Fix(FixFor(code));
  return unit;
}

bool Convertible(const Unit& from, const Unit& to) {
  return from.dimension == to.dimension && from.logarithm == to.logarithm;
}

Result<double> Convert(double value, std::string_view from, std::string_view to) {
  ASSIGN_OR_RETURN(const Unit source, ParseUnit(from));
  ASSIGN_OR_RETURN(const Unit target, ParseUnit(to));
  if (!Convertible(source, target))
    return InvalidArgument("cannot convert \"{}\" to \"{}\": different dimensions", from, to);
  if (from == to) return value;
  return (value * source.factor + source.offset - target.offset) / target.factor;
}

std::string UnitForPeople(std::string_view code) {
  if (code.empty() || code == "1") return "";
  if (code == "Cel") return "°C";
  if (code == "[degF]") return "°F";
  if (code == "deg") return "°";
  if (code == "/min") return "1/min";
  std::string text;
  for (size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    const bool after_letter = i > 0 && std::isalpha(static_cast<unsigned char>(code[i - 1])) != 0;
    if (c == '.')
      text += "·";
    else if (c == '[' || c == ']')
      continue;
    else if (c == '2' && after_letter)
      text += "²";
    else if (c == '3' && after_letter)
      text += "³";
    else
      text += c;
  }
  return text;
}

}  // namespace penstock::things
