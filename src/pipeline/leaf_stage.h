// A leaf in one stage, between its forward and the end of its backward. The graph is cut at every block: a block's backward is one autograd::grad call.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/block.h"
#include "pipeline/gradient_sink.h"
#include "pipeline/stage_layout.h"

namespace tributary {

struct Leaf {
  LeafContext context;
  const Batch* batch = nullptr;  // on the compute device, floating inputs in the compute type
  const Batch* host = nullptr;   // the same in host memory; null: the batch is there
  [[nodiscard]] const Batch& host_batch() const { return host != nullptr ? *host : *batch; }
};

// The named tensors of a model as numbers, and who uses them. Pure in the model.
struct Wiring {
  explicit Wiring(const BlockList& model);  // Throws: Error{internal} when a block takes what no earlier one gives, or gives what another gives

  struct Block {
    std::vector<std::size_t> takes, gives;
  };
  std::vector<Block> blocks;
  std::vector<std::string> names;    // of the tensors
  std::vector<std::size_t> givers;   // [names] block
  std::vector<bool> reached;         // [names] a trained parameter stands behind it
  std::vector<std::size_t> outputs;  // as BlockList::outputs
  std::size_t loss = 0;              // its number, or names.size() where no block gives one

  // What travels from the blocks before `block` to it and those behind it, ascending: taken there, or put out by the model.
  [[nodiscard]] std::vector<std::size_t> crossing(std::size_t block) const;
  // Of these, those that a gradient can come back for: taken there, and a trained parameter before.
  [[nodiscard]] std::vector<std::size_t> returning(std::size_t block) const;

 private:
  [[nodiscard]] std::vector<std::size_t> taken_from(std::size_t block) const;  // given before it
};

// What all leaves of a stage share.
struct StageContext {
  const BlockList& model;
  const Wiring& wiring;
  int number = 0;  // of the stage
  const StageLayout& layout;
  const std::vector<std::vector<at::Tensor>>& parameters;  // [blocks of the stage][as BlockSpec::parameters] aliases of the arena, one a use
  const std::vector<bool>& recompute;                      // [blocks of the model] forward is run again in backward
};

// A tensor that travels, and whether a gradient comes back for it.
struct Travelling {
  at::Tensor value;
  bool differentiable = false;
};

class LeafStage {
 public:
  // Keeps references. gradients: false in evaluation.
  LeafStage(const StageContext& stage, const Leaf& leaf, bool gradients);

  // What a named tensor is before it is there. Throws: Error{internal} when its block has no shapes.
  [[nodiscard]] static TensorShape shape_of(const BlockList& model, const Wiring& wiring, const Leaf& leaf, std::size_t name);

  void put(std::size_t name, Travelling tensor);  // from the stage before; detached
  void forward();                                 // all blocks. Throws, as backward() and collect(): what a block throws, told where
  [[nodiscard]] const Travelling& get(std::size_t name) const { return values_[name]; }
  void release_values() { values_.clear(); }  // blocks hold what they took

  void put_gradient(std::size_t name, at::Tensor gradient);  // from the stage behind
  // Of the inputs, and of the weights too where a sink is given; else weight products wait.
  void backward(GradientSink* sink);
  [[nodiscard]] at::Tensor get_gradient(std::size_t name);  // for the stage before; once
  // The weight products.
  void collect(GradientSink& sink);

 private:
  struct BlockRun {
    std::vector<at::Tensor> inputs, outputs;
    WeightQueue weights;
    std::vector<at::Tensor> direct;  // gradients of parameters that autograd found itself
  };
  // Runs `work`, and says in its error where that was.
  template <class Work>
  void at_block(std::size_t block, const char* phase, Work&& work) const;
  std::vector<at::Tensor> run_block(std::size_t block, BlockRun& run, bool recording) const;
  void forward_block(std::size_t block);
  void backward_block(std::size_t block);
  void collect_block(std::size_t block, GradientSink& sink);

  const StageContext& stage_;
  const Leaf& leaf_;
  bool gradients_;
  std::vector<BlockRun> runs_;              // blocks of the stage
  std::vector<Travelling> values_;          // by name
  std::vector<at::Tensor> name_gradients_;  // by name
};

}  // namespace tributary
