#include "train/plan_digest.h"

#include <gmock/gmock.h>

#include <functional>

#include "support/many_blocks.h"
#include "support/training_index.h"

namespace tributary {
namespace {

using testing_support::nine_block_model;
using testing_support::one_task;
using testing_support::training_index;

TEST(PlanDigest, of_a_model_changes_with_every_block_and_parameter_and_with_nothing_else) {
  const std::string same = digest_of_model(nine_block_model()).digest;
  EXPECT_EQ(digest_of_model(nine_block_model()).digest, same);
  const std::vector<std::function<void(BlockList&)>> changes = {
      [](BlockList& m) { m.blocks[3].name += "x"; },          [](BlockList& m) { m.blocks[3].takes.emplace_back("h.1"); },
      [](BlockList& m) { m.blocks[3].gives[0] += "x"; },      [](BlockList& m) { m.blocks[3].parameters.clear(); },
      [](BlockList& m) { m.parameters[0].shape[0] += 1; },    [](BlockList& m) { m.parameters[0].trainable = false; },
      [](BlockList& m) { m.parameters[0].decay = false; },    [](BlockList& m) { m.parameters[0].scale += 1e-9; },
      [](BlockList& m) { m.outputs.emplace_back("branch"); }, [](BlockList& m) { std::swap(m.blocks[1].parameters, m.blocks[4].parameters); }};
  std::set<std::string> found{same};
  for (const auto& change : changes) {
    BlockList model = nine_block_model();
    change(model);
    found.insert(digest_of_model(model).digest);
  }
  EXPECT_EQ(found.size(), changes.size() + 1);
}

TEST(PlanDigest, of_stages_changes_with_the_cut_and_with_what_is_recomputed) {
  const BlockList model = nine_block_model();
  const std::vector<bool> none(9, false), all(9, true);
  const std::set<std::string> found{digest_of_stages(lay_out(model, {0}), none).digest, digest_of_stages(lay_out(model, {0, 4}), none).digest,
                                    digest_of_stages(lay_out(model, {0, 5}), none).digest, digest_of_stages(lay_out(model, {0, 5}), all).digest};
  EXPECT_EQ(found.size(), 4U);
  EXPECT_EQ(digest_of_stages(lay_out(model, {0, 5}), none).digest, digest_of_stages(lay_out(model, {0, 5}), none).digest);
}

TEST(PlanDigest, of_the_schedule_changes_with_its_kind_the_pipeline_and_the_numbers_of_leaves) {
  std::set<std::string> found;
  std::size_t tried = 0;
  for (const char* kind : {"gpipe", "1f1b", "zb_h1"})
    for (const int pipeline : {2, 3})
      for (const std::set<std::int64_t>& leaves : {std::set<std::int64_t>{8}, std::set<std::int64_t>{7, 8}}) {
        ParallelConfig config;
        config.schedule = kind;
        config.pipeline = pipeline;
        EXPECT_EQ(digest_of_schedule(config, leaves).digest, digest_of_schedule(config, leaves).digest);
        found.insert(digest_of_schedule(config, leaves).digest);
        ++tried;
      }
  EXPECT_EQ(found.size(), tried);
}

TEST(PlanDigest, of_sums_changes_with_the_backend_and_the_nodes) {
  const std::set<std::string> found{digest_of_sums({4, 1}, {"mpi", {{4, 1}}, ""}).digest, digest_of_sums({4, 1}, {"window", {{1, 4}}, ""}).digest,
                                    digest_of_sums({4, 1}, {"window", {{2, 2}}, ""}).digest, digest_of_sums({2, 2}, {"window", {{2, 2}}, ""}).digest};
  EXPECT_EQ(found.size(), 4U);
}

TEST(PlanDigest, of_batches_changes_with_seed_and_records_and_covers_the_last_step_of_the_epoch) {
  const RecordIndex index = training_index(50), longer = training_index(51);
  const std::vector<Task> tasks = one_task();
  const BatchPlan plan(index, tasks, {1, 16, 4}), other_seed(index, tasks, {2, 16, 4}), other_records(longer, tasks, {1, 16, 4});
  const std::set<std::int64_t> steps = compared_steps(plan, 5);
  EXPECT_EQ(plan.steps_per_epoch(), 4);
  EXPECT_EQ(steps, (std::set<std::int64_t>{5, 7}));
  EXPECT_EQ(digest_of_batches(plan, steps).digest, digest_of_batches(BatchPlan(index, tasks, {1, 16, 4}), steps).digest);
  EXPECT_NE(digest_of_batches(plan, steps).digest, digest_of_batches(other_seed, steps).digest);
  EXPECT_NE(digest_of_batches(plan, steps).digest, digest_of_batches(other_records, steps).digest);
  EXPECT_EQ(leaves_of_pipelines(plan, {5}, 3), (std::set<std::int64_t>{1, 2}));       // 4 leaves over 3 pipelines
  EXPECT_EQ(leaves_of_evaluation(plan, 2, 4), (std::set<std::int64_t>{0, 2, 3, 4}));  // 13 leaves of the training split: 7 and 6; none of the others
}

TEST(PlanDifferences, name_the_part_and_the_ranks_with_their_hosts) {
  const std::vector<PlanPart> plan{{"the model", "aaaaaaaaaaaaaaaa"}, {"the schedule", "bbbbbbbbbbbbbbbb"}};
  const std::vector<std::string> hosts{"n1", "n1", "n2", "n2"};
  std::vector<std::vector<PlanPart>> of_ranks(4, plan);
  EXPECT_EQ(plan_differences(of_ranks, hosts), "");
  of_ranks[2][1].digest = "cccccccccccccccc";
  EXPECT_EQ(plan_differences(of_ranks, hosts), "\n  the schedule: bbbbbbbbbbbb (ranks 0 1 on n1, 3 on n2); cccccccccccc (rank 2 on n2)");
  of_ranks[0][0].digest = "dddddddddddddddd";
  EXPECT_THAT(plan_differences(of_ranks, hosts), testing::HasSubstr("the model: dddddddddddd (rank 0 on n1); aaaaaaaaaaaa (ranks 1 on n1, 2 3 on n2)"));
}

}  // namespace
}  // namespace tributary
