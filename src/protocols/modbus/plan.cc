#include "protocols/modbus/plan.h"

#include <algorithm>
#include <tuple>

#include "protocols/modbus/pdu.h"

namespace penstock::protocols::modbus {
namespace {

uint32_t EndOf(const things::ModbusForm& form) { return uint32_t{form.address} + Width(form); }

bool SameSeries(const Read& read, const things::ModbusForm& form) {
  return read.unit == form.unit && read.entity == form.entity && read.polling == form.polling;
}

bool Joins(const Read& read, const things::ModbusForm& form) {
  if (!SameSeries(read, form)) return false;
  const uint32_t end = uint32_t{read.first} + read.quantity;
  const uint32_t limit = IsCoil(form.entity) ? kCoilsPerReadMax : kRegistersPerReadMax;
  return form.address <= end + kGapMax && EndOf(form) - read.first <= limit;
}

Read ReadOf(std::span<const things::ModbusForm> forms, std::vector<size_t> indexes) {
  const things::ModbusForm& first = forms[indexes.front()];
  Read read{
      .unit = first.unit, .entity = first.entity, .polling = first.polling, .first = first.address};
  for (const size_t index : indexes) {
    const things::ModbusForm& form = forms[index];
    read.timeout = std::max(read.timeout, form.timeout);
    read.quantity = std::max(read.quantity, static_cast<uint16_t>(EndOf(form) - read.first));
  }
  read.points = std::move(indexes);
  return read;
}

}  // namespace

std::vector<Read> PlanReads(std::span<const things::ModbusForm> forms) {
  std::vector<size_t> order(forms.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto key = [&](size_t index) {
    const things::ModbusForm& form = forms[index];
    return std::tuple(form.unit, form.entity, form.polling, form.address);
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });

  std::vector<Read> reads;
  for (const size_t index : order) {
    const things::ModbusForm& form = forms[index];
    if (reads.empty() || !Joins(reads.back(), form)) {
      reads.push_back(ReadOf(forms, {index}));
      continue;
    }
    reads.back().points.push_back(index);
    reads.back() = ReadOf(forms, std::move(reads.back().points));
  }
  return reads;
}

std::vector<Read> Split(const Read& read, std::span<const things::ModbusForm> forms) {
  // Candidates to cut before: each point that begins behind all points before it. Points that
  // overlap stay together.
  size_t cut = 0;
  int64_t widest = -1;
  uint32_t end = EndOf(forms[read.points.front()]);
  const size_t middle = read.points.size() / 2;
  const auto from_middle = [&](size_t i) { return i > middle ? i - middle : middle - i; };
  for (size_t i = 1; i < read.points.size(); ++i) {
    const things::ModbusForm& form = forms[read.points[i]];
    const int64_t gap = int64_t{form.address} - end;
    if (gap > widest || (gap == widest && gap >= 0 && from_middle(i) < from_middle(cut))) {
      if (gap >= 0) cut = i;
      widest = std::max(widest, gap);
    }
    end = std::max(end, EndOf(form));
  }
  if (cut == 0) return {};
  const auto at = read.points.begin() + static_cast<std::ptrdiff_t>(cut);
  return {ReadOf(forms, {read.points.begin(), at}), ReadOf(forms, {at, read.points.end()})};
}

}  // namespace penstock::protocols::modbus
