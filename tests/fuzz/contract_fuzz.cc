// Data contracts: any YAML; what is accepted is usable, what is refused has a reason, and a
// contract compared with itself has not changed.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "things/contract_compat.h"
#include "things/contract_generate.h"
#include "things/contract_yaml.h"
#include "things/data_contract.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  using namespace penstock::things;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto document = ParseYaml(text);
  if (!document) return 0;
  const std::string id = StringOr(*document, "id", "x");
  const ReadContract read = ReadDataContract(*document, id + std::string(kContractSuffix));
  bool error = false;
  for (const Finding& finding : read.findings) {
    error = error || finding.is_error;
    CHECK(!finding.error.message.empty() && !FormatFinding(finding).empty());
  }
  CHECK(read.contract.has_value() == !error);
  if (!read.contract) return 0;
  CHECK(CompareContracts(*read.contract, *read.contract).changes.empty());
  for (const ContractObject& object : read.contract->objects)
    for (const ContractField& field : object.fields) {
      CHECK(field.range.low <= field.range.high);
      CHECK(read.contract->FindField(field.name) == &field);
      (void)read.contract->SlaOf(ContractSla::Kind::kFreshness, field.name);
    }
  // What people read says the same.
  const auto again = ParseYaml(ContractYaml(*document));
  CHECK(again.has_value());
  const ContractUpdate update = CompareWithModel(*document, *again);
  CHECK(update.added.empty() && update.gone.empty());
  return 0;
}
