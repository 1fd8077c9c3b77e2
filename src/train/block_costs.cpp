#include "train/block_costs.h"

#include <ATen/DeviceAccelerator.h>
#include <malloc.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "base/clock.h"
#include "base/error.h"

namespace tributary {
namespace {

std::int64_t held_bytes(at::Device device) {
  if (!device.is_cpu())
    return at::accelerator::getDeviceStats(device.index()).allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].current;
  const struct mallinfo2 heap = ::mallinfo2();
  return static_cast<std::int64_t>(heap.uordblks + heap.hblkhd);
}

void finish_work(at::Device device) {
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
}

struct Discard final : GradientSink {
  void add(std::int64_t, std::size_t, const std::vector<at::Tensor>&) override {}
};

// Each leaf forward through all stages, then in training backward, inputs and weights apart.
Program leaf_by_leaf(std::size_t stages, std::size_t leaves, bool training) {
  Program program;
  const auto add = [&](ActionKind kind, std::size_t leaf, std::size_t stage) {
    program.push_back({Op::Kind::compute, {kind, static_cast<std::int64_t>(leaf), static_cast<int>(stage)}});
  };
  for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
    for (std::size_t s = 0; s < stages; ++s) add(ActionKind::forward, leaf, s);
    for (std::size_t s = stages; training && s-- > 0;) {
      add(ActionKind::backward_input, leaf, s);
      add(ActionKind::backward_weight, leaf, s);
    }
  }
  return program;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Sums the time and the memory of every operation, from the moments at which they begin.
class Meter {
 public:
  Meter(const Program& program, std::size_t stages, at::Device device, const std::function<void()>& alive)
      : program_(program), device_(device), alive_(alive), costs_(stages) {}

  void before_next() {
    finish_work(device_);
    const double now = watch_.elapsed_s();
    const std::int64_t heap = held_bytes(device_);
    if (next_ > 0) charge(program_[next_ - 1].action, now - began_s_, heap - heap_);
    ++next_;
    if (alive_) alive_();
    heap_ = held_bytes(device_);
    began_s_ = watch_.elapsed_s();
  }
  [[nodiscard]] std::vector<BlockCost> finish() {
    before_next();
    return std::move(costs_);
  }

 private:
  void charge(const Action& action, double seconds, std::int64_t grown) {
    BlockCost& cost = costs_[static_cast<std::size_t>(action.stage)];
    if (action.kind == ActionKind::forward) {
      cost.forward_s += seconds;
      cost.activation_bytes += std::max<std::int64_t>(0, grown);
    } else {
      (action.kind == ActionKind::backward_input ? cost.backward_input_s : cost.backward_weight_s) += seconds;
    }
  }
  const Program& program_;
  at::Device device_;
  const std::function<void()>& alive_;
  std::vector<BlockCost> costs_;
  Stopwatch watch_;
  std::size_t next_ = 0;
  std::int64_t heap_ = 0;
  double began_s_ = 0;
};

std::vector<std::int64_t> given_bytes(const BlockSpec& block, const std::vector<Leaf>& leaves, at::ScalarType type) {
  std::vector<std::int64_t> bytes(block.gives.size(), 0);
  if (!block.shapes) return bytes;
  for (const Leaf& leaf : leaves) {
    const std::vector<TensorShape> shapes = block.shapes(leaf.host_batch(), leaf.context);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const auto each = static_cast<std::int64_t>(c10::elementSize(shapes[i].scalar_type(type)));
      bytes[i] += std::accumulate(shapes[i].sizes.begin(), shapes[i].sizes.end(), each, std::multiplies<>());
    }
  }
  for (std::int64_t& sum : bytes) sum /= static_cast<std::int64_t>(leaves.size());
  return bytes;
}

}  // namespace

ModelGraph graph_of(const BlockList& model) {
  ModelGraph graph;
  for (const BlockSpec& block : model.blocks) graph.blocks.push_back({block.name, block.takes, block.gives, block.parameters});
  graph.outputs = model.outputs;
  for (const ParameterSpec& spec : model.parameters)
    if (!spec.trainable) graph.frozen.push_back(spec.name);
  graph.loss = loss_name;
  return graph;
}

std::vector<BlockCost> measure_blocks(const BlockList& model, const at::Tensor& arena, const std::vector<Leaf>& leaves, const std::function<void()>& alive,
                                      int rounds) {
  check(!leaves.empty() && rounds >= 1, "{} leaves, {} rounds to measure", leaves.size(), rounds);
  const std::size_t blocks = model.blocks.size();
  std::vector<std::size_t> cut(blocks);
  std::vector<int> own(blocks);
  std::iota(cut.begin(), cut.end(), 0);
  std::iota(own.begin(), own.end(), 0);
  const ModelLayout layout = lay_out(model, cut);
  const std::vector<at::Tensor> parameters = cut_arena(layout, arena, own);
  Discard discard;
  const std::vector<GradientSink*> sinks(layout.stages.size(), &discard);
  const bool training = leaves.front().context.training;
  const Program program = leaf_by_leaf(blocks, leaves.size(), training);
  std::vector<std::vector<BlockCost>> found;
  for (int round = 0; round <= rounds; ++round) {
    Meter meter(program, blocks, arena.device(), alive);
    const Engine engine(model, layout, {std::vector<int>(blocks, 0), 0}, {{}, [&](const Op&, std::int64_t) { meter.before_next(); }});
    static_cast<void>(training ? engine.run(program, parameters, leaves, sinks) : engine.evaluate(program, parameters, leaves));
    if (round > 0) found.push_back(meter.finish());
  }
  std::vector<BlockCost> costs(blocks);
  const auto count = static_cast<double>(leaves.size());
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto middle = [&](auto member) {
      std::vector<double> values;
      for (const auto& one : found) values.push_back(static_cast<double>(one[b].*member) / count);
      return median(values);
    };
    costs[b] = {middle(&BlockCost::forward_s), middle(&BlockCost::backward_input_s), middle(&BlockCost::backward_weight_s),
                static_cast<std::int64_t>(middle(&BlockCost::activation_bytes)), given_bytes(model.blocks[b], leaves, arena.scalar_type())};
  }
  return costs;
}

}  // namespace tributary
