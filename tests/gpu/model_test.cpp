// Every operator and one leaf of each family on a GPU against the CPU, with deterministic algorithms on.
#include <c10/cuda/CUDAFunctions.h>
#include <gmock/gmock.h>

#include <cstdlib>

#include "comm/gpu.h"
#include "model/layers/keep_mask.h"
#include "model/layers/library.h"
#include "support/model_leaves.h"
#include "support/operator_cases.h"

namespace tributary {
namespace {

using namespace testing_support;

const at::Device gpu(at::kCUDA, 0);

class GpuModel : public testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "no GPU: " << gpu_support().problem;
    at::globalContext().setDeterministicAlgorithms(true, false);
  }
  void TearDown() override { at::globalContext().setDeterministicAlgorithms(false, false); }
};

TEST_F(GpuModel, computes_every_operator_in_all_types) {
  std::size_t compared = 0;
  for (const OperatorCase& test : operator_cases()) {
    EXPECT_LE(worst_difference(test, gpu, at::kFloat), 1e-5) << test.name;
    EXPECT_LE(worst_difference(test, gpu, at::kBFloat16), 0.03) << test.name;
    EXPECT_LE(worst_difference(test, gpu, at::kHalf), 0.004) << test.name;
    ++compared;
  }
  EXPECT_GE(compared, 25U);
}

TEST_F(GpuModel, draws_masks_at_their_rate_by_the_key_alone) {
  const auto draw = [](std::uint64_t key) { return ops::keep_mask({300, 1000}, 0.25, derive_key(Draw::dropout, {key}), gpu).cpu(); };
  const at::Tensor once = draw(1);
  static_cast<void>(ops::keep_mask({77}, 0.5, Key{}, gpu));  // what is drawn between leaves no trace
  EXPECT_TRUE(once.equal(draw(1)));
  EXPECT_FALSE(once.equal(draw(2)));
  EXPECT_NEAR(once.to(at::kDouble).mean().item<double>(), 0.75, 0.005);
}

TEST_F(GpuModel, drops_attention_weights_with_the_gradients_that_differences_give) {
  const Function attention = [](const Tensors& t, WeightQueue*) {
    const auto there = [](const at::Tensor& x) { return x.to(gpu); };
    const at::Tensor lengths = at::tensor(std::vector<std::int64_t>{5, 1, 9}, at::kLong);
    return ops::library::packed_attention(there(t.at("q")), there(t.at("k")), there(t.at("v")), lengths, 2, 0.3, derive_key(Draw::dropout, {4})).cpu();
  };
  expect_gradients_by_differences({{"q", numbers({15, 6}, 1, 2)}, {"k", numbers({15, 6}, 2, 2)}, {"v", numbers({15, 6}, 3)}}, attention);
}

struct Bounds {
  double loss, cosine, length;
};

void expect_near_the_cpu(const Place& place, const Bounds& bounds) {
  for (const ModelLeaf& leaf : model_leaves()) {
    SCOPED_TRACE(leaf.name);
    const TestModel model = model_of(leaf);
    const ModelResult cpu = run_at(model, leaf, {}), found = run_at(model, leaf, place);
    const double loss = cpu.outputs.at(loss_name).item<double>();
    EXPECT_NEAR(found.outputs.at(loss_name).item<double>(), loss, bounds.loss * loss);
    const GradientComparison gradients = compare_gradients(model, found.gradient / place.loss_scale, cpu.gradient);
    EXPECT_GE(gradients.compared, model.layout.entries.size() / 3);
    EXPECT_GE(gradients.lowest_cosine, bounds.cosine) << gradients.of;
    EXPECT_LE(gradients.largest_length, bounds.length);
  }
}

TEST_F(GpuModel, float32_equals_the_cpu_for_a_leaf_of_each_family) { expect_near_the_cpu({gpu, at::kFloat}, {1e-5, 0.999999, 1e-4}); }
TEST_F(GpuModel, bfloat16_has_the_loss_and_the_direction_of_every_gradient) { expect_near_the_cpu({gpu, at::kBFloat16}, {0.02, 0.95, 0.2}); }
TEST_F(GpuModel, float16_with_a_loss_scale_has_the_loss_and_every_gradient) { expect_near_the_cpu({gpu, at::kHalf, 1024}, {0.003, 0.995, 0.03}); }

TEST_F(GpuModel, dropout_gives_the_same_bits_every_time) {
  for (const ModelLeaf& leaf : model_leaves())
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const TestModel model = model_of(leaf);
      const Place place{gpu, type, 1, true};
      const ModelResult once = run_at(model, leaf, place), again = run_at(model, leaf, place), without = run_at(model, leaf, {gpu, type});
      EXPECT_TRUE(once.gradient.equal(again.gradient)) << leaf.name;
      EXPECT_TRUE(once.outputs.at(loss_name).equal(again.outputs.at(loss_name))) << leaf.name;
      EXPECT_FALSE(once.outputs.at(loss_name).equal(without.outputs.at(loss_name))) << leaf.name;
      EXPECT_TRUE(once.gradient.isfinite().all().item<bool>()) << leaf.name;
    }
}

// Holds what it is given and looks at nothing.
class Hold final : public GradientSink {
 public:
  void add(std::int64_t, std::size_t, const std::vector<at::Tensor>& given) override { gradients.insert(gradients.end(), given.begin(), given.end()); }
  std::vector<at::Tensor> gradients;
};

std::vector<std::vector<at::Tensor>> parameters_of(const StageLayout& stage, const at::Tensor& arena) {
  std::vector<std::vector<at::Tensor>> parameters;
  for (const auto& block : stage.uses) {
    std::vector<at::Tensor>& own = parameters.emplace_back();
    for (const ParameterUse& use : block) own.push_back(view_of(stage.parameters, arena, use.entry).detach().set_requires_grad(true));
  }
  return parameters;
}

// While LibTorch refuses every call that would wait. The engine itself waits for the batch and for the outputs.
TEST_F(GpuModel, no_block_waits_for_the_device) {
  for (const ModelLeaf& leaf : model_leaves()) {
    SCOPED_TRACE(leaf.name);
    const TestModel model = model_of(leaf);
    const StageLayout& layout = model.cut.stages.front();
    const auto parameters = parameters_of(layout, model.arena.to(gpu, at::kBFloat16));
    const Batch batch = on_device(leaf.batch, gpu, at::kBFloat16);
    const Wiring wiring(model.list);
    const std::vector<bool> recompute(model.list.blocks.size(), false);
    const StageContext stage{model.list, wiring, 0, layout, parameters, recompute};
    Leaf placed{{}, &batch, &leaf.batch};
    placed.context.training = true;
    placed.context.label_counts = leaf.label_counts;
    Hold sink;
    const auto run = [&] {
      LeafStage under_way(stage, placed, true);
      under_way.forward();
      under_way.backward(&sink);
    };
    run();  // the first call of a kernel may load it
    c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
    EXPECT_NO_THROW(run());
    c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
    EXPECT_FALSE(sink.gradients.empty());
  }
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);  // without it deterministic algorithms are refused by cuBLAS
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
