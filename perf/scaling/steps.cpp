#include "scaling/steps.h"

#include <numeric>
#include <span>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "optim/gradient_reducer.h"
#include "optim/host_exchange.h"
#include "schedule/graph.h"
#include "train/leaf_bounds.h"
#include "train/parallel.h"

namespace tributary {
namespace {

constexpr double learning_rate = 2e-5;

// Numbered from `first` on.
std::vector<Leaf> leaves_in(const StepInput& input, LeafRange range, std::int64_t first) {
  std::vector<Leaf> leaves;
  for (std::int64_t i = 0; i < range.size(); ++i)
    leaves.push_back({{1, input.number, first + i, true, {static_cast<double>(input.windows)}}, &input.leaves[static_cast<std::size_t>(range.first + i)]});
  return leaves;
}

double sum_of(const std::vector<LeafOutput>& outputs) {
  double sum = 0;
  for (const LeafOutput& output : outputs) sum += output.outputs[0].item<double>();
  return sum;
}

class ParallelStep final : public Step {
 public:
  ParallelStep(const Communicator& world, const BlockList& model, const ParallelConfig& config, const Cut& cut, Reduction reduction)
      : config_(config),
        grid_(world.split(0, world.rank()), grid_shape(world.size(), config.data, static_cast<int>(config.pipeline))),
        parallel_(grid_, config_),
        layout_(lay_out(model, cut)),
        engine_(model, layout_, parallel_.place()),
        reducer_(parallel_.holding(), layout_, reduction, choose_reducer("auto", at::kCPU, grid_.shape(), grid_.places(), grid_.nodes()), at::kCPU, true) {
    const at::Tensor whole = make_arena(layout_.whole, at::kFloat);
    initialise(layout_.whole, whole, 1);
    parameters_ = reducer_.place_parameters(cut_arena(layout_, whole, parallel_.holding().own()));
    for (std::size_t i = 0; i < reducer_.stages(); ++i) adam_.push_back(make_adam_state(reducer_.updated(i).count));
  }

  StepTimes run(const StepInput& input) override {
    const auto count = static_cast<std::int64_t>(input.leaves.size());
    const int pipelines = grid_.shape().data;
    const LeafRange range = leaves_of_rank(count, pipelines, grid_.place().data);
    const Program program = parallel_.training(range.size());
    const std::vector<Leaf> leaves = leaves_in(input, range, range.first);
    StepTimes times;
    Stopwatch watch;
    const std::vector<GradientSink*> sinks = reducer_.start(leaf_bounds(count, pipelines));
    times.start_s = std::exchange(watch, {}).elapsed_s();
    times.loss = sum_of(engine_.run(program, parameters_, leaves, sinks));
    times.compute_s = std::exchange(watch, {}).elapsed_s();
    const ReducedGradient gradient = reducer_.reduce();
    check(gradient.stats.finite, "step {}: the gradient is not finite", input.number);
    times.reduce_s = std::exchange(watch, {}).elapsed_s();
    reducer_.update(OptimConfig(), {learning_rate, clip_factor(gradient.stats.norm, 1)}, gradient, adam_, parameters_);
    times.update_s = watch.elapsed_s();
    return times;
  }

 private:
  ParallelConfig config_;
  ProcessGrid grid_;
  Parallel parallel_;
  ModelLayout layout_;
  Engine engine_;
  GradientReducer reducer_;
  std::vector<at::Tensor> parameters_;
  std::vector<AdamState> adam_;
};

// The same operators without any other rank.
class LocalStep final : public Step {
 public:
  // Updates share `world.rank()` of `shares` equal ones, or all where there is one.
  LocalStep(const Communicator& world, const BlockList& model, int shares)
      : rank_(world.rank()),
        ranks_(world.size()),
        self_(Communicator::self()),
        layout_(lay_out(model, {0})),
        engine_(model, layout_),
        exchange_(self_, TeamShape{}, slice_gradient(layout_, 0, 1), buckets()),
        tree_(layout_.stages.front(), exchange_, buckets(), Reduction::exact),
        parameters_(make_arena(layout_.whole, at::kFloat)) {
    const ArenaSlices slices = slice_arena(layout_.stages.front().parameters.trainable, shares);
    const auto share = static_cast<std::size_t>(shares == 1 ? 0 : rank_);
    offset_ = slices.offsets[share];
    count_ = slices.counts[share];
    adam_ = make_adam_state(count_);
    norm_ = {{count_ / arena_block}, {0}, std::vector<std::int64_t>(static_cast<std::size_t>(count_ / arena_block))};
    std::iota(norm_.places.begin(), norm_.places.end(), 0);
    initialise(layout_.whole, parameters_, 1);
  }

  StepTimes run(const StepInput& input) override {
    const LeafRange range = leaves_of_rank(static_cast<std::int64_t>(input.leaves.size()), ranks_, rank_);
    const std::vector<Leaf> leaves = leaves_in(input, range, 0);
    StepTimes times;
    Stopwatch watch;
    exchange_.start(plan_sum(Reduction::exact, {0, range.size()}, TeamShape{}));
    tree_.start(range.size(), 0, range.size());
    times.start_s = std::exchange(watch, {}).elapsed_s();
    times.loss = sum_of(engine_.run(alone(range.size()), {parameters_}, leaves, {&tree_}));
    times.compute_s = std::exchange(watch, {}).elapsed_s();
    tree_.check_finished();
    const at::Tensor gradient = exchange_.finish().front().narrow(0, offset_, count_);
    const GradientStats stats = measure_gradient(self_, norm_, {gradient});
    check(stats.finite, "step {}: the gradient is not finite", input.number);
    times.reduce_s = std::exchange(watch, {}).elapsed_s();
    update_slice(layout_.stages.front().parameters, OptimConfig(), {learning_rate, clip_factor(stats.norm, 1)}, offset_, gradient, adam_, parameters_);
    times.update_s = watch.elapsed_s();
    return times;
  }

 private:
  [[nodiscard]] std::vector<Bucket> buckets() const { return make_buckets(layout_.stages.front(), layout_.stages.front().gradient); }

  int rank_, ranks_;
  Communicator self_;
  ModelLayout layout_;
  Engine engine_;
  HostExchange exchange_;
  GradientTree tree_;
  at::Tensor parameters_;
  AdamState adam_;
  NormPlan norm_;  // of the share
  std::int64_t offset_ = 0, count_ = 0;
};

}  // namespace

std::unique_ptr<Step> make_step(const std::string& name, const Communicator& world, const BlockList& model, const std::vector<std::size_t>& first_blocks) {
  if (name == "local") return std::make_unique<LocalStep>(world, model, world.size());
  if (name == "alone") return std::make_unique<LocalStep>(world, model, 1);
  ParallelConfig config;
  if (name == "exact" || name == "fast")
    return std::make_unique<ParallelStep>(world, model, config, Cut{0}, name == "exact" ? Reduction::exact : Reduction::fast);
  config.schedule = name;
  config.pipeline = world.size();
  return std::make_unique<ParallelStep>(world, model, config, first_blocks, Reduction::exact);
}

}  // namespace tributary
