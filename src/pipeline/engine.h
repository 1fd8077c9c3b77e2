// Runs a schedule over the blocks of this rank's stages. One rank with one stage is the same engine with a trivial schedule.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/trace.h"
#include "comm/communicator.h"
#include "model/block.h"
#include "pipeline/buffer_pool.h"
#include "pipeline/gradient_sink.h"
#include "pipeline/leaf_stage.h"
#include "pipeline/stage_layout.h"
#include "schedule/program.h"

namespace tributary {

struct LeafOutput {
  std::int64_t leaf = 0;
  std::vector<at::Tensor> outputs;  // as BlockList::outputs
};

// Where this rank stands in its pipeline.
struct StagePlace {
  std::vector<int> rank_of_stage = {0};
  int rank = 0;
  const Communicator* activations = nullptr;  // a pipeline's channels, one each way; null: the rank is alone
  const Communicator* gradients = nullptr;
  [[nodiscard]] std::vector<int> own() const;  // stages, ascending
};

struct EngineOptions {
  std::vector<bool> recompute = {};  // [blocks] forward is run again in backward; empty: none
  // Called before each operation, with the number in the step of the program's leaf 0: a name for what this rank waits for.
  std::function<void(const Op&, std::int64_t first_leaf)> before = {};
  Trace* trace = nullptr;  // takes a span of each operation
};

// The program of a rank that is alone with one stage: leaf after leaf, forward and backward.
[[nodiscard]] Program alone(std::int64_t leaves);

class Engine {
 public:
  // Keeps references to model and layout. Throws: Error{internal} when the blocks do not fit together.
  Engine(const BlockList& model, const ModelLayout& layout, StagePlace place = {}, EngineOptions options = {});

  // Forward and backward of `leaves` as the program says. `parameters`, `sinks`: of each own stage, ascending. Blocks run where the parameters are and in their
  // type; batches are given, and outputs handed back, in host memory. Outputs are handed back where the last stage is, none elsewhere. Gradients of a named
  // tensor with several consumers are added in descending block order. Deterministic in (parameters, leaf): nothing depends on the cut, the schedule or which
  // other leaves this rank runs. Collective: all ranks of the pipeline, with programs of one schedule and the same leaves. Throws: what a block
  // throws, with step, leaf, stage and block before its message; the other ranks of the pipeline go on waiting for this one.
  std::vector<LeafOutput> run(const Program& program, const std::vector<at::Tensor>& parameters, const std::vector<Leaf>& leaves,
                              const std::vector<GradientSink*>& sinks) const;

  // Forward only, no graph; a program of forwards alone.
  [[nodiscard]] std::vector<LeafOutput> evaluate(const Program& program, const std::vector<at::Tensor>& parameters, const std::vector<Leaf>& leaves) const;

  // Of a model in one piece, one leaf.
  [[nodiscard]] LeafOutput evaluate(const at::Tensor& parameters, const Leaf& leaf) const;

  [[nodiscard]] const StagePlace& place() const { return place_; }
  [[nodiscard]] const EngineOptions& options() const { return options_; }

 private:
  friend class EngineRun;
  // One detached alias of each parameter for each block that uses it.
  [[nodiscard]] std::vector<std::vector<at::Tensor>> aliases(std::size_t stage, const at::Tensor& parameters, bool gradients) const;

  const BlockList& model_;
  const ModelLayout& layout_;
  StagePlace place_;
  EngineOptions options_;
  Wiring wiring_;
  BufferPool messages_;
  std::vector<std::vector<std::size_t>> crossing_, returning_;  // [stages] what travels into each, and what a gradient comes back for
};

}  // namespace tributary
