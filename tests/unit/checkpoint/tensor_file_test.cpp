#include "checkpoint/tensor_file.h"

#include <gtest/gtest.h>

#include <numeric>

namespace tributary {
namespace {

// Row-major numbers of a box's elements, in order.
std::vector<std::int64_t> elements_of(const Extent& dims, const Hyperslab& box) {
  const std::int64_t count = std::accumulate(box.count.begin(), box.count.end(), std::int64_t{1}, std::multiplies<>());
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t rest = i, number = 0, stride = 1;
    for (std::size_t d = dims.size(); d-- > 0;) {
      number += (box.start[d] + rest % box.count[d]) * stride;
      rest /= box.count[d];
      stride *= dims[d];
    }
    numbers.push_back(number);
  }
  return numbers;
}

TEST(BoxesOfRange, are_the_range_in_order_for_every_range_of_small_arrays) {
  std::int64_t compared = 0;
  for (const Extent& dims : {Extent{7}, Extent{1}, Extent{3, 4}, Extent{5, 1}, Extent{1, 5}, Extent{2, 3, 4}, Extent{3, 1, 2, 2}}) {
    const std::int64_t total = std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
    for (std::int64_t first = 0; first <= total; ++first) {
      for (std::int64_t last = first; last <= total; ++last) {
        std::vector<std::int64_t> found, expected(static_cast<std::size_t>(last - first));
        std::iota(expected.begin(), expected.end(), first);
        const auto boxes = boxes_of_range(dims, first, last);
        for (const Hyperslab& box : boxes) {
          const auto part = elements_of(dims, box);
          ASSERT_FALSE(part.empty());
          found.insert(found.end(), part.begin(), part.end());
        }
        ASSERT_EQ(found, expected) << "[" << first << ", " << last << ")";
        ASSERT_LE(boxes.size(), 2 * (dims.size() - 1) + 1);
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 400);
}

}  // namespace
}  // namespace tributary
