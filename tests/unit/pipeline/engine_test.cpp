#include "pipeline/engine.h"

#include <gmock/gmock.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "support/keep_leaves.h"
#include "support/two_blocks.h"

namespace tributary {
namespace {

using namespace testing_support;

// Gradients of a model in one piece, shared parameters summed.
std::vector<at::Tensor> folded(const ModelLayout& layout, const KeepLeaves& sink) {
  std::vector<at::Tensor> sums;
  for (const at::Tensor& gradient : sink.gradients) sums.push_back(fold_uses(layout, gradient));
  return sums;
}

struct Fixture {
  BlockList model = two_block_model();
  ModelLayout cut = lay_out(model, {0});
  const ParameterLayout& layout = cut.whole;
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
  const Engine engine(f.model, f.cut);
  KeepLeaves sink(f.cut.stages.front());
  (void)engine.run(alone(1), {f.parameters}, f.leaves, {&sink});
  ASSERT_EQ(sink.gradients.size(), 1U);
  int compared = 0;
  for (std::size_t e = 0; e < f.layout.entries.size(); ++e) {
    if (!f.layout.entries[e].spec.trainable) continue;  // has no place in a gradient arena
    const at::Tensor gradient = view_of(f.layout, folded(f.cut, sink)[0], e).flatten();
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
  const Engine engine(f.model, f.cut);
  KeepLeaves together(f.cut.stages.front());
  const auto outputs = engine.run(alone(3), {f.parameters}, f.leaves, {&together});
  EXPECT_THAT(together.leaves, testing::ElementsAre(0, 1, 2));
  for (std::size_t i = 0; i < 3; ++i) {
    KeepLeaves single(f.cut.stages.front());
    const auto output = engine.run(alone(1), {f.parameters}, {f.leaves[i]}, {&single});
    EXPECT_TRUE(at::equal(single.gradients[0], together.gradients[i]));
    EXPECT_TRUE(at::equal(output[0].outputs[0], outputs[i].outputs[0]));
  }
  EXPECT_FALSE(at::equal(together.gradients[0], together.gradients[1]));
}

TEST(Engine, runs_all_forwards_before_all_backwards_to_the_same_bits) {
  Fixture f(3);
  const Engine engine(f.model, f.cut);
  KeepLeaves one(f.cut.stages.front()), other(f.cut.stages.front());
  (void)engine.run(alone(3), {f.parameters}, f.leaves, {&one});
  Program gpipe;
  for (const ActionKind kind : {ActionKind::forward, ActionKind::backward})
    for (std::int64_t i = 0; i < 3; ++i) gpipe.push_back({Op::Kind::compute, {kind, i, 0}});
  (void)engine.run(gpipe, {f.parameters}, f.leaves, {&other});
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
  const ModelLayout layout = lay_out(model, {0});
  const at::Tensor parameters = make_arena(layout.whole, at::kFloat);
  const Batch batch = random_batch(0, 0, 4);
  KeepLeaves sink(layout.stages.front());
  (void)Engine(model, layout).run(alone(1), {parameters}, {{{1, 0, 0, true, {}}, &batch}}, {&sink});
  EXPECT_TRUE(at::allclose(view_of(layout.whole, folded(layout, sink)[0], 0), 2 * batch.static_value.sum(0, true)));
}

TEST(Engine, refuses_lists_that_do_not_fit_together) {
  const BlockList good = two_block_model();
  const auto make = [](const BlockList& list) {
    const ModelLayout layout = lay_out(list, {0});
    const Engine engine(list, layout);
  };
  BlockList bad = good;
  bad.blocks[1].takes[0] = "nothing";
  EXPECT_THROW(make(bad), Error);
  bad = good;
  bad.blocks[1].gives[0] = "hidden";
  EXPECT_THROW(make(bad), Error);
  bad = good;
  bad.blocks[0].parameters.emplace_back("unknown");
  EXPECT_THROW(make(bad), Error);
  bad = good;
  bad.outputs.emplace_back("nowhere");
  EXPECT_THROW(make(bad), Error);
  EXPECT_NO_THROW(make(good));
}

TEST(Engine, says_of_what_a_block_throws_in_which_step_leaf_stage_and_block_it_was) {
  const auto told = [](const auto& failure, bool training) {
    Fixture f(2);
    f.model.blocks[1].forward = [&failure, sound = f.model.blocks[1].forward](const BlockInput& in) {
      if (in.context.leaf == 1) failure();
      return sound(in);
    };
    f.leaves[1].context.training = training;
    const Engine engine(f.model, f.cut);
    KeepLeaves sink(f.cut.stages.front());
    try {
      if (training)
        (void)engine.run(alone(2), {f.parameters}, f.leaves, {&sink});
      else
        (void)engine.evaluate(f.parameters, f.leaves[1]);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorKind::watchdog, "");
  };
  const Error own = told([] { fail(ErrorKind::data, "no such token"); }, true);
  EXPECT_EQ(own.kind(), ErrorKind::data);
  EXPECT_STREQ(own.what(), "step 4, leaf 1, stage 0, forward of block 'second': no such token");
  const Error later = told([] { fail(ErrorKind::data, "no such token"); }, false);
  EXPECT_STREQ(later.what(), "evaluation after step 3, leaf 1, stage 0, forward of block 'second': no such token");
  const Error library = told([] { (void)at::linear(at::ones({2, 3}), at::ones({4, 5})); }, true);
  EXPECT_EQ(library.kind(), ErrorKind::internal);
  EXPECT_THAT(library.what(), testing::StartsWith("step 4, leaf 1, stage 0, forward of block 'second': mat1 and mat2 shapes cannot be multiplied"));
  const Error other = told([] { throw std::out_of_range("index"); }, true);
  EXPECT_STREQ(other.what(), "step 4, leaf 1, stage 0, forward of block 'second': index");
}

// Its forward is sound, its backward throws.
class Throws : public torch::autograd::Function<Throws> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) { return x * 1; }
  static std::vector<at::Tensor> backward(torch::autograd::AutogradContext*, const std::vector<at::Tensor>&) { fail(ErrorKind::numerical, "no slope"); }
};

TEST(Engine, keeps_the_kind_of_what_a_backward_throws) {
  Fixture f(1);
  f.model.blocks[1].forward = [sound = f.model.blocks[1].forward](const BlockInput& in) -> std::vector<at::Tensor> { return {Throws::apply(sound(in)[0])}; };
  const Engine engine(f.model, f.cut);
  KeepLeaves sink(f.cut.stages.front());
  try {
    (void)engine.run(alone(1), {f.parameters}, f.leaves, {&sink});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
    EXPECT_STREQ(error.what(), "step 4, leaf 0, stage 0, backward of block 'second': no slope");
  }
}

TEST(Engine, refuses_a_program_that_leaves_a_leaf_unfinished) {
  Fixture f(2);
  const Engine engine(f.model, f.cut);
  KeepLeaves sink(f.cut.stages.front());
  EXPECT_THROW((void)engine.run(alone(1), {f.parameters}, f.leaves, {&sink}), Error);
  EXPECT_THROW((void)engine.run({{Op::Kind::compute, {ActionKind::forward, 2, 0}}}, {f.parameters}, f.leaves, {&sink}), Error);
}

TEST(Engine, runs_weight_products_later_and_forwards_again_to_the_same_bits) {
  Fixture f(3);
  std::vector<int> forwards(f.model.blocks.size());
  for (std::size_t b = 0; b < forwards.size(); ++b)
    f.model.blocks[b].forward = [&forwards, b, sound = f.model.blocks[b].forward](const BlockInput& in) {
      ++forwards[b];
      return sound(in);
    };
  const auto counted = [&] { return std::exchange(forwards, std::vector<int>(forwards.size())); };
  KeepLeaves plain(f.cut.stages.front()), split(f.cut.stages.front()), again(f.cut.stages.front());
  (void)Engine(f.model, f.cut).run(alone(3), {f.parameters}, f.leaves, {&plain});
  EXPECT_THAT(counted(), testing::ElementsAre(3, 3, 3));
  Program program;
  for (const ActionKind kind : {ActionKind::forward, ActionKind::backward_input, ActionKind::backward_weight})
    for (std::int64_t i = 0; i < 3; ++i) program.push_back({Op::Kind::compute, {kind, i, 0}});
  (void)Engine(f.model, f.cut).run(program, {f.parameters}, f.leaves, {&split});
  EXPECT_THAT(counted(), testing::ElementsAre(3, 3, 3));
  (void)Engine(f.model, f.cut, {}, {{true, true, false}}).run(program, {f.parameters}, f.leaves, {&again});
  EXPECT_THAT(counted(), testing::ElementsAre(6, 6, 3)) << "of a block that is recomputed two a leaf";
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(plain.gradients[i], split.gradients[i]));
    EXPECT_TRUE(at::equal(plain.gradients[i], again.gradients[i]));
  }
}

// Stages of one rank hand over without messages, so a cut model can be tested in one process.
TEST(Engine, gives_the_same_bits_for_every_cut) {
  Fixture f(2);
  KeepLeaves whole(f.cut.stages.front());
  const auto expected = Engine(f.model, f.cut).run(alone(2), {f.parameters}, f.leaves, {&whole});
  int compared = 0;
  for (const std::vector<std::size_t>& cut : {std::vector<std::size_t>{0, 1}, {0, 2}, {0, 1, 2}}) {
    const ModelLayout layout = lay_out(f.model, cut);
    std::vector<int> own(cut.size());
    std::iota(own.begin(), own.end(), 0);
    std::vector<KeepLeaves> keeps;
    for (const StageLayout& stage : layout.stages) keeps.emplace_back(stage);
    std::vector<GradientSink*> sinks;
    for (KeepLeaves& keep : keeps) sinks.push_back(&keep);
    Program program;
    for (std::int64_t leaf = 0; leaf < 2; ++leaf) {
      for (int s = 0; s < static_cast<int>(cut.size()); ++s) program.push_back({Op::Kind::compute, {ActionKind::forward, leaf, s}});
      for (int s = static_cast<int>(cut.size()); s-- > 0;) program.push_back({Op::Kind::compute, {ActionKind::backward, leaf, s}});
    }
    const auto outputs = Engine(f.model, layout, {std::vector<int>(cut.size(), 0), 0}).run(program, cut_arena(layout, f.parameters, own), f.leaves, sinks);
    for (std::size_t i = 0; i < 2; ++i, ++compared) {
      EXPECT_TRUE(at::equal(outputs[i].outputs[0], expected[i].outputs[0]));
      at::Tensor sum = at::zeros({f.layout.trainable});
      for (std::size_t s = 0; s < keeps.size(); ++s)
        for (const ParameterEntry& entry : layout.stages[s].parameters.entries)
          if (entry.offset < layout.stages[s].parameters.trainable)
            sum.narrow(0, f.layout.entries[f.layout.find(entry.spec.name)].offset, entry.padded)
                .copy_(keeps[s].gradients[i].narrow(0, entry.offset, entry.padded));
      for (const LaterUse& use : layout.later) {
        const ParameterEntry& entry = layout.stages[static_cast<std::size_t>(use.owner)].parameters.entries[use.entry];
        sum.narrow(0, f.layout.entries[f.layout.find(entry.spec.name)].offset, entry.padded)
            .add_(keeps[static_cast<std::size_t>(use.stage)].gradients[i].narrow(0, use.gradient, entry.padded));
      }
      EXPECT_TRUE(at::equal(sum, folded(f.cut, whole)[i]));
    }
  }
  EXPECT_EQ(compared, 6);
}

}  // namespace
}  // namespace tributary
