// A model that does nothing: a chain of blocks that pass on the numbers they are given. Each part of a block (forward, input gradient, weight product) may take
// a set time.
#pragma once

#include <ATen/ATen.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/engine.h"

namespace tributary::perf {

using Duration = std::chrono::microseconds;

inline void pass(Duration time) {
  if (time.count() > 0) std::this_thread::sleep_for(time);
}

inline BlockSpec link(int number, bool last, std::int64_t elements, Duration part) {
  const std::string name = std::to_string(number), before = std::to_string(number - 1);
  BlockSpec block{name, {}, {}, {last ? loss_name : name}, {"weight." + name}, {}};
  if (number > 0) block.takes.push_back(before);
  block.forward = [=](const BlockInput& in) -> std::vector<at::Tensor> {
    pass(part);
    const at::Tensor& from = number > 0 ? in.taken[0] : in.parameters[0];
    at::Tensor value = from.clone();
    if (part.count() > 0) {
      value.register_hook([=](const at::Tensor& gradient) {
        pass(part);
        return gradient;
      });
      const at::Tensor weight = in.parameters[0];
      in.weights->add(in.weights->reserve(), weight, [=] {
        pass(part);
        return weight;
      });
    }
    return {value};
  };
  block.shapes = [=](const Batch&, const LeafContext&) -> std::vector<TensorShape> { return {TensorShape{{elements}}}; };
  return block;
}

// elements: of what a block passes on.
inline BlockList chain(int blocks, std::int64_t elements, Duration part) {
  BlockList model;
  for (int b = 0; b < blocks; ++b) {
    model.parameters.push_back({"weight." + std::to_string(b), {elements}});
    model.blocks.push_back(link(b, b + 1 == blocks, elements, part));
  }
  return model;
}

class Discard final : public GradientSink {
 public:
  void add(std::int64_t, std::size_t, const std::vector<at::Tensor>&) override {}
};

// One rank's part of a pipeline, ready to run one step after the other: a stage a block.
class Rig {
 public:
  Rig(const ScheduleKind& kind, const Pipeline& pipeline, std::int64_t leaves, std::int64_t elements, Duration part, const Communicator& activations,
      const Communicator& gradients, Trace* trace)
      : step(step_schedule(kind, pipeline, leaves)),
        program(program_of(step, activations.rank())),
        model_(chain(pipeline.stages(), elements, part)),
        layout_(lay_out(model_, cut(pipeline.stages()))),
        engine_(model_, layout_, {step.rank_of_stage, activations.rank(), &activations, &gradients}, {{}, {}, trace}),
        leaves_(static_cast<std::size_t>(leaves), Leaf{{}, &batch_}) {
    const at::Tensor whole = make_arena(layout_.whole, at::kFloat);
    parameters_ = cut_arena(layout_, whole, engine_.place().own());
    sinks_.assign(parameters_.size(), &discard_);
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void run() const { (void)engine_.run(program, parameters_, leaves_, sinks_); }

  StepSchedule step;
  Program program;

 private:
  static std::vector<std::size_t> cut(int stages) {
    std::vector<std::size_t> first;
    for (int s = 0; s < stages; ++s) first.push_back(static_cast<std::size_t>(s));
    return first;
  }
  BlockList model_;
  ModelLayout layout_;
  Engine engine_;
  Batch batch_;
  std::vector<Leaf> leaves_;
  std::vector<at::Tensor> parameters_;
  Discard discard_;
  std::vector<GradientSink*> sinks_;
};

}  // namespace tributary::perf
