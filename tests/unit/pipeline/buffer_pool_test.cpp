#include "pipeline/buffer_pool.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <thread>

namespace tributary {
namespace {

constexpr std::int64_t large = 100'000;  // floats: 400 KB

at::Tensor floats(const BufferPool& pool, std::int64_t count) { return pool.take({count}, at::kFloat, at::kCPU); }

TEST(BufferPool, gives_out_again_what_nobody_uses) {
  const BufferPool pool;
  std::set<void*> seen;
  for (int step = 0; step < 5; ++step) {
    const at::Tensor one = floats(pool, large), other = floats(pool, large);
    ASSERT_NE(one.data_ptr(), other.data_ptr());
    ASSERT_EQ(one.sizes(), at::IntArrayRef({large}));
    seen.insert({one.data_ptr(), other.data_ptr()});
  }
  EXPECT_EQ(seen.size(), 2U);
}

TEST(BufferPool, keeps_what_a_view_still_uses) {
  const BufferPool pool;
  at::Tensor first = floats(pool, large).fill_(7);
  const at::Tensor view = first.view({large / 10, 10}).select(1, 3);
  first.reset();
  EXPECT_EQ(pool.idle_bytes(), 0U);
  floats(pool, large).fill_(8);
  EXPECT_TRUE(view.eq(7).all().item<bool>());
}

TEST(BufferPool, shares_few_sizes_among_leaves_of_all_lengths) {
  const BufferPool pool;
  std::set<void*> seen;
  std::int64_t asked = 0;
  for (std::int64_t count = large; count < 2 * large; count += 100, ++asked) {
    const at::Tensor buffer = floats(pool, count);
    seen.insert(buffer.data_ptr());
    buffer[count - 1] = 1;  // is there
  }
  EXPECT_EQ(asked, 1000);
  EXPECT_LE(seen.size(), 6U);
  EXPECT_LE(pool.idle_bytes(), seen.size() * 2 * large * sizeof(float) * 5 / 4);
}

TEST(BufferPool, takes_back_from_any_thread_and_may_go_before_its_buffers) {
  std::optional<BufferPool> pool(std::in_place);
  at::Tensor buffer = floats(*pool, large);
  std::thread([given = std::move(buffer)]() mutable { given.reset(); }).join();
  EXPECT_GE(pool->idle_bytes(), large * sizeof(float));
  buffer = floats(*pool, large);
  EXPECT_EQ(pool->idle_bytes(), 0U);
  pool.reset();
  buffer.fill_(1);
}

TEST(BufferPool, leaves_small_and_empty_tensors_to_malloc) {
  const BufferPool pool;
  { const at::Tensor small = floats(pool, 8), none = pool.take({0, 3}, at::kDouble, at::kCPU); }
  EXPECT_EQ(pool.idle_bytes(), 0U);
}

}  // namespace
}  // namespace tributary
