#include "pipeline/engine.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "support/two_blocks.h"

namespace tributary {
namespace {

using namespace testing_support;

class KeepAll : public GradientSink {
 public:
  explicit KeepAll(const ParameterLayout& layout) : layout_(layout) {}
  at::Tensor begin(std::int64_t) override { return make_gradient_arena(layout_, at::kFloat); }
  void complete(std::int64_t leaf, at::Tensor gradient) override {
    leaves.push_back(leaf);
    gradients.push_back(std::move(gradient));
  }
  std::vector<std::int64_t> leaves;
  std::vector<at::Tensor> gradients;

 private:
  const ParameterLayout& layout_;
};

struct Fixture {
  BlockList model = two_block_model();
  ParameterLayout layout = make_layout(model.parameters);
  at::Tensor parameters = make_arena(layout, at::kFloat);
  std::vector<Batch> batches;
  std::vector<Leaf> leaves;
  explicit Fixture(std::int64_t count) {
    initialise(layout, parameters, 11);
    for (std::int64_t i = 0; i < count; ++i) batches.push_back(random_batch(3, i, 5));
    for (std::int64_t i = 0; i < count; ++i) leaves.push_back({{9, 3, i, true, {20.0}}, &batches[static_cast<std::size_t>(i)]});
  }
};

TEST(Engine, equals_finite_differences_of_the_loss_in_every_trainable_parameter) {
  Fixture f(1);
  const Engine engine(f.model, f.layout);
  KeepAll sink(f.layout);
  (void)engine.run(sequential_schedule(1), f.parameters, f.leaves, sink);
  ASSERT_EQ(sink.gradients.size(), 1U);
  int compared = 0;
  for (std::size_t e = 0; e < f.layout.entries.size(); ++e) {
    if (!f.layout.entries[e].spec.trainable) continue;  // has no place in a gradient arena
    const at::Tensor gradient = view_of(f.layout, sink.gradients[0], e).flatten();
    EXPECT_GT(gradient.abs().sum().item<double>(), 0) << f.layout.entries[e].spec.name;
    for (std::int64_t i = 0; i < gradient.numel(); i += std::max<std::int64_t>(1, gradient.numel() / 7)) {
      const auto loss_at = [&](double delta) {
        at::Tensor moved = f.parameters.clone();
        view_of(f.layout, moved, e).flatten()[i].add_(delta);
        return engine.evaluate(moved, f.leaves[0]).outputs[0].item<double>() / 20.0;
      };
      EXPECT_NEAR((loss_at(1e-2) - loss_at(-1e-2)) / 2e-2, gradient[i].item<double>(), 2e-3) << f.layout.entries[e].spec.name << " " << i;
      ++compared;
    }
  }
  EXPECT_GT(compared, 30);
}

TEST(Engine, gives_a_leaf_the_same_bits_whatever_other_leaves_run) {
  Fixture f(3);
  const Engine engine(f.model, f.layout);
  KeepAll together(f.layout);
  const auto outputs = engine.run(sequential_schedule(3), f.parameters, f.leaves, together);
  EXPECT_THAT(together.leaves, testing::ElementsAre(0, 1, 2));
  for (std::size_t i = 0; i < 3; ++i) {
    KeepAll alone(f.layout);
    const auto output = engine.run(sequential_schedule(1), f.parameters, {f.leaves[i]}, alone);
    EXPECT_TRUE(at::equal(alone.gradients[0], together.gradients[i]));
    EXPECT_TRUE(at::equal(output[0].outputs[0], outputs[i].outputs[0]));
  }
  EXPECT_FALSE(at::equal(together.gradients[0], together.gradients[1]));
}

TEST(Engine, runs_all_forwards_before_all_backwards_to_the_same_bits) {
  Fixture f(3);
  const Engine engine(f.model, f.layout);
  KeepAll one(f.layout), other(f.layout);
  (void)engine.run(sequential_schedule(3), f.parameters, f.leaves, one);
  Schedule gpipe;
  for (std::int64_t i = 0; i < 3; ++i) gpipe.push_back({ActionKind::forward, i});
  for (std::int64_t i = 0; i < 3; ++i) gpipe.push_back({ActionKind::backward, i});
  (void)engine.run(gpipe, f.parameters, f.leaves, other);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(one.gradients[i], other.gradients[i]));
}

// One block whose operator leaves its weight product to the queue: y = x W^T, with the product added by hand.
BlockList queued_model() {
  BlockList model;
  model.parameters = {{"w", {1, features}, Init::uniform_fan_in, 13}};
  model.blocks.push_back({"only", {}, {}, {"loss"}, {"w"}, [](const BlockInput& in) -> std::vector<at::Tensor> {
                            const at::Tensor x = in.batch.static_value;
                            // The loss sees w twice: once through autograd, once through the queue; slots are drained in order.
                            const int slot = in.weights->reserve();
                            in.weights->add(slot, in.parameters[0], [x] { return x.sum(0, true); });
                            return {at::linear(x, in.parameters[0]).sum()};
                          }});
  return model;
}

TEST(Engine, adds_queued_weight_products_to_what_autograd_found) {
  const BlockList model = queued_model();
  const ParameterLayout layout = make_layout(model.parameters);
  const at::Tensor parameters = make_arena(layout, at::kFloat);
  const Batch batch = random_batch(0, 0, 4);
  KeepAll sink(layout);
  (void)Engine(model, layout).run(sequential_schedule(1), parameters, {{{1, 0, 0, true, {}}, &batch}}, sink);
  EXPECT_TRUE(at::allclose(view_of(layout, sink.gradients[0], 0), 2 * batch.static_value.sum(0, true)));
}

TEST(Engine, refuses_lists_that_do_not_fit_together) {
  const BlockList good = two_block_model();
  const ParameterLayout layout = make_layout(good.parameters);
  BlockList bad = good;
  bad.blocks[1].takes[0] = "nothing";
  EXPECT_THROW(Engine(bad, layout), Error);
  bad = good;
  bad.blocks[1].gives[0] = "hidden";
  EXPECT_THROW(Engine(bad, layout), Error);
  bad = good;
  bad.blocks[0].parameters.emplace_back("unknown");
  EXPECT_THROW(Engine(bad, layout), Error);
  bad = good;
  bad.outputs.emplace_back("nowhere");
  EXPECT_THROW(Engine(bad, layout), Error);
  EXPECT_NO_THROW(Engine(good, layout));
}

TEST(Engine, refuses_a_schedule_that_leaves_a_leaf_unfinished) {
  Fixture f(2);
  const Engine engine(f.model, f.layout);
  KeepAll sink(f.layout);
  EXPECT_THROW((void)engine.run(sequential_schedule(1), f.parameters, f.leaves, sink), Error);
  EXPECT_THROW((void)engine.run({{ActionKind::backward, 0}}, f.parameters, f.leaves, sink), Error);
}

}  // namespace
}  // namespace tributary
