#include "checkpoint/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace tributary {
namespace {

TensorDifference compare_values(const TensorReader& a, const TensorReader& b, const NamedShape& tensor) {
  constexpr std::int64_t step = std::int64_t{1} << 20;
  TensorDifference difference{tensor.name, "values", 0, tensor.count() * static_cast<std::int64_t>(sizeof(float)), 0};
  std::vector<float> x(static_cast<std::size_t>(std::min(step, tensor.count()))), y(x.size());
  for (std::int64_t first = 0; first < tensor.count(); first += step) {
    const std::int64_t last = std::min(tensor.count(), first + step);
    a.read(tensor, first, last, x.data());
    b.read(tensor, first, last, y.data());
    for (std::size_t i = 0; i < static_cast<std::size_t>(last - first); ++i) {
      if (std::memcmp(&x[i], &y[i], sizeof(float)) == 0) continue;
      const auto *p = reinterpret_cast<const unsigned char*>(&x[i]), *q = reinterpret_cast<const unsigned char*>(&y[i]);
      for (std::size_t byte = 0; byte < sizeof(float); ++byte) difference.differing_bytes += p[byte] != q[byte];
      const double distance = std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i]));
      difference.largest = std::max(difference.largest, std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance);
    }
  }
  return difference;
}

}  // namespace

CheckpointDifference compare_checkpoints(const std::filesystem::path& a, const std::filesystem::path& b) {
  const Manifest first = load_manifest(a), second = load_manifest(b);
  const TensorReader reader_a(a / tensors_file), reader_b(b / tensors_file);
  CheckpointDifference result;
  for (const TensorRecord& record : first.tensors) {
    const TensorRecord* other = second.find(record.tensor.name);
    if (other == nullptr) {
      result.tensors.push_back({record.tensor.name, "only in the first"});
    } else if (other->tensor.shape != record.tensor.shape) {
      result.tensors.push_back({record.tensor.name, "shape"});
    } else {
      ++result.compared;
      if (other->digest != record.digest) result.tensors.push_back(compare_values(reader_a, reader_b, record.tensor));
    }
  }
  for (const TensorRecord& record : second.tensors) {
    if (first.find(record.tensor.name) == nullptr) result.tensors.push_back({record.tensor.name, "only in the second"});
  }
  return result;
}

}  // namespace tributary
