// What all ranks of a run must have worked out alike before its first step, as digests that they compare: a rank that plans other messages than its peers would
// make them wait for ever, and one that plans other numbers would spoil theirs. Settings come from rank 0, so a difference means other binaries, libraries or
// files on some node.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "batches/batch_plan.h"
#include "checkpoint/manifest.h"
#include "comm/communicator.h"
#include "model/block.h"
#include "optim/reducer_choice.h"
#include "pipeline/stage_layout.h"
#include "schedule/graph.h"
#include "schedule/schedule.h"
#include "train/network.h"
#include "train/parallel.h"
#include "train/parallel_config.h"

namespace tributary {

struct PlanPart {
  std::string name;  // "the schedule of the pipeline"
  std::string digest;
};

// Of what each part is made; all pure, and the same on every rank.
[[nodiscard]] PlanPart digest_of_program();
[[nodiscard]] PlanPart digest_of_settings(const std::string& toml);
[[nodiscard]] PlanPart digest_of_data(const Catalogue& catalogue);
[[nodiscard]] PlanPart digest_of_checkpoint(const Manifest& manifest);  // from which a run goes on, or which is evaluated
[[nodiscard]] PlanPart digest_of_model(const BlockList& model);
[[nodiscard]] PlanPart digest_of_stages(const ModelLayout& layout, const std::vector<bool>& recompute);
// The programs of all ranks of a pipeline, in training and evaluation, for each of these numbers of leaves.
[[nodiscard]] PlanPart digest_of_schedule(const ParallelConfig& config, const std::set<std::int64_t>& leaves);
[[nodiscard]] PlanPart digest_of_sums(const GridShape& grid, const ReducerChoice& choice);
// Which records form which leaf in these steps.
[[nodiscard]] PlanPart digest_of_batches(const BatchPlan& plan, const std::set<std::int64_t>& steps);

// The steps of which the plan is compared, and the numbers of leaves that a pipeline has in them: the step that comes next and the last one of its epoch, which
// is the one of another shape.
[[nodiscard]] std::set<std::int64_t> compared_steps(const BatchPlan& plan, std::int64_t next);
[[nodiscard]] std::set<std::int64_t> leaves_of_pipelines(const BatchPlan& plan, const std::set<std::int64_t>& steps, int pipelines);
// The numbers of leaves of each run of the engine in an evaluation of all splits; `together`: as evaluated_together().
[[nodiscard]] std::set<std::int64_t> leaves_of_evaluation(const BatchPlan& plan, int pipelines, std::int64_t together);

// All of a training from the step after `done` on.
[[nodiscard]] std::vector<PlanPart> training_plan(const Parallel& parallel, const Network& network, const ReducerChoice& choice, const BatchPlan& plan,
                                                  std::int64_t done);
// All of an evaluation of the state after step `done`.
[[nodiscard]] std::vector<PlanPart> evaluation_plan(const Parallel& parallel, const Network& network, const BatchPlan& plan, std::int64_t done);

// What differs and on which ranks, one line a part; empty when nothing does. parts: of every rank; hosts: their machines. Pure.
[[nodiscard]] std::string plan_differences(const std::vector<std::vector<PlanPart>>& parts, const std::vector<std::string>& hosts);

// Collective: all ranks of `comm`. Throws: Error{launch} on all ranks together, with the differences.
void require_equal_plans(const Communicator& comm, const std::vector<PlanPart>& parts);

}  // namespace tributary
