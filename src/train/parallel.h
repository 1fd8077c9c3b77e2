// How a run is spread over its ranks: everything that follows from [parallel] and the number of ranks. The numbers of a run never depend on it.
#pragma once

#include <span>
#include <vector>

#include "comm/process_grid.h"
#include "optim/holding.h"
#include "pipeline/engine.h"
#include "schedule/schedule.h"
#include "train/parallel_config.h"

namespace tributary {

// A pipeline without its ranks: what follows from [parallel] alone.
struct PipelineShape {
  const ScheduleKind& kind;
  Pipeline pipeline;
};
// Throws: Error{configuration} when schedule, pipeline and virtual stages do not fit each other.
[[nodiscard]] PipelineShape pipeline_shape(const ParallelConfig& config);

// parallel.recompute = "auto": the memory decides. Throws: Error{configuration} when "auto" does not stand alone.
[[nodiscard]] bool recompute_is_automatic(const ParallelConfig& config);

// [blocks] that can be recomputed: they tell what they give.
[[nodiscard]] std::vector<bool> recomputable_blocks(const BlockList& model);

// [blocks] that parallel.recompute names. Throws: Error{configuration} naming the blocks there are.
[[nodiscard]] std::vector<bool> recomputed_blocks(const ParallelConfig& config, const BlockList& model);

// What a block of these stages reads, or tells the shape of what travels into or out of them by; of the last stage also what labels are counted by. Pure.
[[nodiscard]] std::vector<BatchField> fields_of_stages(const BlockList& model, const ModelLayout& layout, const std::vector<int>& own);

// Keeps references to both arguments.
class Parallel {
 public:
  // Throws: Error{configuration} when schedule, pipeline and virtual stages do not fit each other.
  Parallel(const ProcessGrid& grid, const ParallelConfig& config);

  [[nodiscard]] const ProcessGrid& grid() const { return holding_.grid; }
  [[nodiscard]] const ParallelConfig& config() const { return config_; }
  [[nodiscard]] const Holding& holding() const { return holding_; }
  [[nodiscard]] bool holds_last() const { return holding_.rank_of_stage.back() == grid().place().pipeline; }
  [[nodiscard]] StagePlace place() const;  // for the engine

  [[nodiscard]] Program training(std::int64_t leaves) const;
  [[nodiscard]] Program evaluation(std::int64_t leaves) const;

  [[nodiscard]] std::vector<BatchField> fields(const BlockList& model, const ModelLayout& layout) const {
    return fields_of_stages(model, layout, holding_.own());
  }

  // The arena of the whole model in host memory, from what the ranks of this pipeline hold. Collective: all ranks of the pipeline.
  [[nodiscard]] at::Tensor whole_arena(const ModelLayout& layout, const std::vector<at::Tensor>& parameters) const;

  // From the rank of this pipeline that holds the last stage to all. Collective: all ranks of the pipeline.
  void tell(std::span<double> values) const;

 private:
  const ParallelConfig& config_;
  PipelineShape shape_;
  Holding holding_;
};

}  // namespace tributary
