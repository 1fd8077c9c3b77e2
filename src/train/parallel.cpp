#include "train/parallel.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace tributary {
namespace {

bool reads(const BlockSpec& block, BatchField field) { return std::find(block.reads.begin(), block.reads.end(), field) != block.reads.end(); }

}  // namespace

PipelineShape pipeline_shape(const ParallelConfig& config) {
  const ScheduleKind& kind = schedule_kind(config.schedule);
  const Pipeline pipeline{static_cast<int>(config.pipeline), static_cast<int>(config.virtual_stages)};
  check_pipeline(kind, pipeline);
  return {kind, pipeline};
}

bool recompute_is_automatic(const ParallelConfig& config) {
  const auto named = [&](const char* word) { return std::find(config.recompute.begin(), config.recompute.end(), word) != config.recompute.end(); };
  for (const char* word : {"auto", "none"})
    if (named(word) && config.recompute.size() > 1)
      fail(ErrorKind::configuration, "parallel.recompute = [\"{}\"]: \"{}\" stands alone", fmt::join(config.recompute, "\", \""), word);
  return named("auto");
}

std::vector<bool> recomputable_blocks(const BlockList& model) {
  std::vector<bool> marks;
  for (const BlockSpec& block : model.blocks) marks.push_back(static_cast<bool>(block.shapes));
  return marks;
}

std::vector<bool> recomputed_blocks(const ParallelConfig& config, const BlockList& model) {
  const std::vector<bool> possible = recomputable_blocks(model);
  std::vector<bool> marks(model.blocks.size(), false);
  std::vector<std::string> names;
  for (const BlockSpec& block : model.blocks) names.push_back(block.name);
  for (const std::string& wanted : config.recompute) {
    if (wanted == "none") continue;
    if (wanted != "all" && std::find(names.begin(), names.end(), wanted) == names.end())
      fail(ErrorKind::configuration, "parallel.recompute: expected \"none\", \"auto\", \"all\" or blocks of the model ({}), found \"{}\"",
           fmt::join(names, ", "), wanted);
    for (std::size_t b = 0; b < names.size(); ++b) {
      if (names[b] == wanted && !possible[b])
        fail(ErrorKind::configuration, "parallel.recompute: block \"{}\" cannot be recomputed, as what it gives has no shape known beforehand; leave it out",
             wanted);
      if (wanted == "all" || names[b] == wanted) marks[b] = possible[b];
    }
  }
  return marks;
}

Parallel::Parallel(const ProcessGrid& grid, const ParallelConfig& config)
    : config_(config), shape_(pipeline_shape(config)), holding_{grid, placement(shape_.kind, shape_.pipeline)} {}

StagePlace Parallel::place() const { return {holding_.rank_of_stage, grid().place().pipeline, &grid().activations(), &grid().gradients()}; }

Program Parallel::training(std::int64_t leaves) const { return program_of(step_schedule(shape_.kind, shape_.pipeline, leaves), grid().place().pipeline); }

Program Parallel::evaluation(std::int64_t leaves) const {
  return program_of(evaluation_schedule(shape_.kind, shape_.pipeline, leaves), grid().place().pipeline);
}

at::Tensor Parallel::whole_arena(const ModelLayout& layout, const std::vector<at::Tensor>& parameters) const {
  if (layout.stages.size() == 1) return parameters.front().cpu();
  const std::vector<int> own = holding_.own();
  const at::Tensor whole = make_arena(layout.whole, at::kFloat);
  for (std::size_t s = 0; s < layout.stages.size(); ++s) {
    const ParameterLayout& stage = layout.stages[s].parameters;
    const auto here = std::find(own.begin(), own.end(), static_cast<int>(s));
    const at::Tensor arena = here == own.end() ? make_arena(stage, at::kFloat) : parameters[static_cast<std::size_t>(here - own.begin())].cpu();
    grid().pipeline().broadcast(std::as_writable_bytes(std::span(arena.data_ptr<float>(), static_cast<std::size_t>(arena.numel()))), holding_.rank_of_stage[s]);
    for (std::size_t e = 0; e < stage.entries.size(); ++e)
      if (!stage.entries[e].borrowed) view_of(layout.whole, whole, layout.whole.find(stage.entries[e].spec.name)).copy_(view_of(stage, arena, e));
  }
  return whole;
}

std::vector<BatchField> fields_of_stages(const BlockList& model, const ModelLayout& layout, const std::vector<int>& own) {
  const Wiring wiring(model);
  std::set<BatchField> needed;
  const auto add = [&](const std::vector<BatchField>& fields) { needed.insert(fields.begin(), fields.end()); };
  for (const int number : own) {
    const StageLayout& stage = layout.stages[static_cast<std::size_t>(number)];
    for (std::size_t b = stage.first; b < stage.last; ++b) {
      add(model.blocks[b].reads);
      add(model.blocks[b].shape_reads);
    }
    for (const std::size_t border : {stage.first, stage.last})
      for (const std::size_t name : wiring.crossing(border)) add(model.blocks[wiring.givers[name]].shape_reads);
    // Whoever holds the last stage counts labels and keeps them beside the predictions, also where the blocks that read them are in an earlier one.
    if (stage.last < model.blocks.size()) continue;
    for (const BlockSpec& block : model.blocks) {
      if (!reads(block, BatchField::labels)) continue;
      needed.insert(BatchField::labels);
      if (reads(block, BatchField::entities)) needed.insert(BatchField::entities);
    }
  }
  return {needed.begin(), needed.end()};
}

void Parallel::tell(std::span<double> values) const { grid().pipeline().broadcast(std::as_writable_bytes(values), holding_.rank_of_stage.back()); }

}  // namespace tributary
