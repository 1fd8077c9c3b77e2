#include "model/parameters.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "model/block.h"

namespace tributary {
namespace {

std::vector<ParameterSpec> specs() {
  return {{"b.weight", {3, 700}, Init::uniform_fan_in, 4.0},
          {"a.table", {2000}, Init::normal, 0.5},
          {"b.bias", {3}, Init::zeros, 0, false},
          {"norm", {5}, Init::ones}};
}

TEST(ParameterLayout, stands_in_name_order_with_padded_entries) {
  const ParameterLayout layout = make_layout(specs());
  ASSERT_EQ(layout.entries.size(), 4U);
  EXPECT_EQ(layout.entries[0].spec.name, "a.table");
  EXPECT_EQ(layout.entries[1].spec.name, "b.bias");
  std::int64_t offset = 0;
  for (const auto& entry : layout.entries) {
    EXPECT_EQ(entry.offset, offset);
    EXPECT_EQ(entry.padded % arena_block, 0);
    EXPECT_GE(entry.padded, entry.spec.count());
    offset += entry.padded;
  }
  EXPECT_EQ(layout.total, offset);
  EXPECT_EQ(layout.entries[layout.find("norm")].spec.count(), 5);
  EXPECT_THROW((void)layout.find("nothing"), Error);
}

TEST(ParameterLayout, counts_a_shared_parameter_once_and_refuses_two_shapes) {
  auto twice = specs();
  twice.push_back(twice.front());
  EXPECT_EQ(make_layout(twice).total, make_layout(specs()).total);
  twice.back().shape = {700, 3};
  EXPECT_THROW((void)make_layout(twice), Error);
}

TEST(ParameterLayout, sets_what_is_frozen_behind_what_is_trained_so_that_gradients_have_no_room_for_it) {
  const ParameterLayout layout = make_layout({{"a", {3}, Init::ones, 0, true, false}, {"b", {2000}}, {"c", {5}, Init::ones, 0, true, false}, {"d", {7}}});
  std::vector<std::string> names;
  for (const auto& entry : layout.entries) names.push_back(entry.spec.name);
  EXPECT_EQ(names, (std::vector<std::string>{"b", "d", "a", "c"}));
  EXPECT_EQ(layout.trainable, 3 * arena_block);
  EXPECT_EQ(layout.total, 5 * arena_block);
  const at::Tensor gradient = at::zeros({layout.trainable});
  EXPECT_EQ(view_of(layout, gradient, layout.find("d")).numel(), 7);
  EXPECT_THROW((void)view_of(layout, gradient, layout.find("c")), Error);
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_EQ(layout.entries[layout.find(name)].spec.name, name);
}

TEST(Initialise, draws_each_parameter_by_its_name_alone) {
  const ParameterLayout all = make_layout(specs());
  const ParameterLayout one = make_layout({specs()[1]});
  const at::Tensor many = make_arena(all, at::kFloat), single = make_arena(one, at::kFloat);
  initialise(all, many, 7);
  initialise(one, single, 7);
  EXPECT_TRUE(at::equal(view_of(all, many, all.find("a.table")), view_of(one, single, 0)));
  const at::Tensor other = make_arena(all, at::kFloat);
  initialise(all, other, 8);
  EXPECT_FALSE(at::equal(many, other));
}

TEST(Initialise, follows_the_stated_distributions) {
  const ParameterLayout layout = make_layout(specs());
  const at::Tensor arena = make_arena(layout, at::kDouble);
  initialise(layout, arena, 3);
  const at::Tensor weight = view_of(layout, arena, layout.find("b.weight"));
  EXPECT_LE(weight.abs().max().item<double>(), 0.5);
  EXPECT_NEAR(weight.mean().item<double>(), 0, 0.03);
  EXPECT_NEAR(weight.std().item<double>(), 0.5 / std::sqrt(3.0), 0.02);
  const at::Tensor table = view_of(layout, arena, layout.find("a.table"));
  EXPECT_NEAR(table.mean().item<double>(), 0, 0.05);
  EXPECT_NEAR(table.std().item<double>(), 0.5, 0.04);
  EXPECT_EQ(view_of(layout, arena, layout.find("norm")).sum().item<double>(), 5);
  EXPECT_EQ(view_of(layout, arena, layout.find("b.bias")).abs().sum().item<double>(), 0);
}

TEST(WeightQueue, drains_products_in_slot_order_whatever_the_order_of_backward) {
  WeightQueue queue;
  const at::Tensor parameter = at::zeros({1});
  const int first = queue.reserve(), second = queue.reserve();
  queue.add(second, parameter, [] { return at::full({1}, 2.0); });
  queue.add(first, parameter, [] { return at::full({1}, 1.0); });
  const auto gradients = queue.drain();
  ASSERT_EQ(gradients.size(), 2U);
  EXPECT_EQ(gradients[0].value.item<double>(), 1);
  EXPECT_EQ(gradients[1].value.item<double>(), 2);
  EXPECT_TRUE(gradients[0].parameter.is_same(parameter));
  EXPECT_TRUE(queue.drain().empty());
  EXPECT_THROW(queue.add(5, parameter, [] { return at::zeros({1}); }), Error);
}

TEST(BlockInput, keys_differ_by_step_leaf_block_and_draw) {
  const Batch batch;
  const auto key = [&](std::int64_t step, std::int64_t leaf, int block, std::uint64_t draw) {
    const LeafContext context{5, step, leaf, true, {}};
    return BlockInput{batch, batch, context, {}, {}, block, nullptr}.draw_key(draw);
  };
  EXPECT_EQ(key(1, 2, 3, 4), key(1, 2, 3, 4));
  EXPECT_FALSE(key(1, 2, 3, 4) == key(2, 1, 3, 4));
  EXPECT_FALSE(key(1, 2, 3, 4) == key(1, 2, 4, 3));
  EXPECT_FALSE(key(1, 2, 3, 4) == key(1, 2, 3, 5));
}

}  // namespace
}  // namespace tributary
