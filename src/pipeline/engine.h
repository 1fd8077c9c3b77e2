// Runs a schedule over a block list for the leaves of one rank. The graph is cut at every block: a block's backward is one autograd::grad call.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "model/block.h"
#include "pipeline/schedules/schedule.h"

namespace tributary {

struct Leaf {
  LeafContext context;
  const Batch* batch = nullptr;
};

struct LeafOutput {
  std::int64_t leaf = 0;
  std::vector<at::Tensor> outputs;  // as BlockList::outputs
};

// Takes each leaf's finished gradient. The engine asks for a zeroed gradient arena when a leaf's backward begins and hands it back complete, leaves ascending.
class GradientSink {
 public:
  virtual ~GradientSink() = default;
  [[nodiscard]] virtual at::Tensor begin(std::int64_t leaf) = 0;
  virtual void complete(std::int64_t leaf, at::Tensor gradient) = 0;
};

class Engine {
 public:
  // Keeps references to both. Throws: Error{internal} when a block takes what no earlier block gives, gives what another gives or names an unknown parameter.
  Engine(const BlockList& model, const ParameterLayout& layout);

  // Forward and backward of `leaves` in the order of the schedule. `parameters`: the arena.
  // Gradients of a named tensor with several consumers are added in descending block order; per-use gradients of a shared parameter in ascending block
  // order. Deterministic in (parameters, leaf): nothing depends on which other leaves this rank runs.
  std::vector<LeafOutput> run(const Schedule& schedule, const at::Tensor& parameters, const std::vector<Leaf>& leaves, GradientSink& sink) const;

  // Forward only, no graph.
  [[nodiscard]] LeafOutput evaluate(const at::Tensor& parameters, const Leaf& leaf) const;

 private:
  friend class LeafRun;
  struct Wiring {  // a block's names as numbers
    std::vector<std::size_t> takes, gives;
    std::vector<std::size_t> parameters;  // entries of the layout
  };
  // One detached alias of each parameter for each block that uses it.
  [[nodiscard]] std::vector<std::vector<at::Tensor>> aliases(const at::Tensor& parameters, bool gradients) const;

  const BlockList& model_;
  const ParameterLayout& layout_;
  std::vector<Wiring> wiring_;        // [blocks]
  std::vector<std::string> names_;    // of all named tensors
  std::vector<std::size_t> outputs_;  // as BlockList::outputs
  std::vector<int> uses_;             // [entries] blocks that use the parameter
  std::size_t loss_ = 0;              // its number, or names_.size() when no block gives a loss
};

}  // namespace tributary
