// A Parquet file of the history as a damaged disk may give it back: a footer,
// or the bytes of one column. Whatever they are, reading ends with rows or with
// an error, inside the input.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "storage/parquet_reader.h"

namespace {

using namespace penstock;
using namespace penstock::storage;

constexpr ParquetColumn kColumns[] = {{"point", ParquetKind::kText},
                                      {"time", ParquetKind::kTime},
                                      {"value", ParquetKind::kDouble},
                                      {"quality", ParquetKind::kUint32},
                                      {"text", ParquetKind::kText, true}};

void ReadColumn(ByteView bytes, const ParquetColumn& column, uint64_t rows) {
  auto reader = ParquetColumnReader::Parse(bytes, rows, column);
  if (!reader) return;
  if (column.kind == ParquetKind::kText) {
    (void)reader->Points();
    (void)reader->Find("host_1/usage");
    return;
  }
  std::vector<uint64_t> values(rows);
  (void)reader->Read(0, rows, values.data());
  (void)reader->Read(rows / 2, rows, values.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView bytes(data, size);
  (void)ParquetFile::FromFooter(bytes, 1 << 20, "fuzz", kColumns);
  if (size < 3) return 0;
  // The first bytes choose the column and its rows, the rest is the column.
  const ParquetColumn& column = kColumns[data[0] % std::size(kColumns)];
  ReadColumn(bytes.subspan(3), column, (uint64_t{data[1]} | uint64_t{data[2]} << 8) + 1);
  return 0;
}
