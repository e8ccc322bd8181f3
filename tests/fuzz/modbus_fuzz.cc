// Bytes from a device, through the Modbus codec: whatever is believed has the size that was asked
// for.
#include "base/check.h"
#include "protocols/modbus/pdu.h"

using namespace penstock;
using namespace penstock::protocols;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView rest(data, size);
  while (true) {
    const auto bytes = modbus::FrameBytes(rest);
    if (!bytes || *bytes == 0 || rest.size() < *bytes) break;
    CHECK(*bytes <= modbus::kFrameBytesMax);
    const auto answer = modbus::Decode(rest.first(*bytes));
    rest = rest.subspan(*bytes);
    if (!answer) {
      CHECK(!answer.error().message.empty());
      continue;
    }
    for (const uint16_t quantity : {1, 2, 4, 8, 125, 2000}) {
      const modbus::ReadRequest request{.transaction = answer->transaction,
                                        .unit = answer->unit,
                                        .function = answer->function,
                                        .address = 7,
                                        .quantity = quantity};
      if (!modbus::Check(request, *answer) || answer->exception != 0) continue;
      things::ModbusForm form;
      form.entity = answer->function <= 2 ? things::ModbusForm::Entity::kCoil
                                          : things::ModbusForm::Entity::kHoldingRegister;
      for (int type = 0; type <= static_cast<int>(things::ModbusForm::Type::kFloat64); ++type) {
        form.type = static_cast<things::ModbusForm::Type>(type);
        const int last = quantity - modbus::Width(form);
        if (last < 0) continue;
        for (const int offset : {0, last}) {
          form.address = static_cast<uint16_t>(request.address + offset);
          modbus::Value(form, request.address, answer->data);
        }
      }
    }
  }
  return 0;
}
