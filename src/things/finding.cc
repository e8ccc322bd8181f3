#include "things/finding.h"

#include <utility>

namespace penstock::things {

void Findings::Mistake(std::string_view pointer, std::string message, std::string_view fix) {
  Add({true, Error{Code::kInvalidArgument, std::move(message), file_, std::string(pointer),
                   std::string(fix)}});
}

void Findings::Doubt(std::string_view pointer, std::string message, std::string_view fix) {
  Add({false, Error{Code::kInvalidArgument, std::move(message), file_, std::string(pointer),
                    std::string(fix)}});
}

void Findings::Mistake(Error error) {
  error.where = file_;
  Add({true, std::move(error)});
}

void Findings::Add(Finding finding) {
  if (finding.is_error) ++errors_;
  if (findings_.size() >= kMax) {
    ++left_out_;
    return;
  }
  findings_.push_back(std::move(finding));
}

std::vector<Finding> Findings::Take() {
  if (left_out_ > 0)
    findings_.push_back(
        {errors_ > 0, Error{Code::kInvalidArgument, fmt::format("and {} more findings", left_out_),
                            file_, "", "mend the first ones and check again"}});
  left_out_ = errors_ = 0;
  return std::exchange(findings_, {});
}

std::string FormatFinding(const Finding& finding) {
  const Error& error = finding.error;
  std::string text = error.where;
  if (!error.pointer.empty()) text += (text.empty() ? "" : "  ") + error.pointer;
  text += fmt::format("\n  {}: {}", finding.is_error ? "error" : "warning", error.message);
  if (!error.fix.empty()) text += fmt::format("\n  fix:   {}", error.fix);
  return text;
}

}  // namespace penstock::things
