#include "train/pipeline_plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <numeric>
#include <sstream>

#include "base/error.h"
#include "support/many_blocks.h"
#include "support/training_index.h"
#include "train/plan_report.h"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing_support::nine_block_model;
using testing_support::one_task;
using testing_support::training_index;

constexpr std::int64_t mib = 1024 * 1024;

// Nine blocks whose 13 parameters have 1 MiB each.
BlockList model_of_mebibytes() {
  BlockList model = nine_block_model();
  for (ParameterSpec& spec : model.parameters) spec.shape = {mib / 4};
  return model;
}

// Blocks that each keep 1 MiB of a leaf and send nothing; the first `working` of them take 3 s.
std::vector<BlockCost> costs_of(const BlockList& model, std::size_t working) {
  std::vector<BlockCost> costs;
  for (std::size_t b = 0; b < model.blocks.size(); ++b) {
    const double seconds = b < working ? 1 : 0;
    costs.push_back({seconds, seconds, seconds, mib, std::vector<std::int64_t>(model.blocks[b].gives.size(), 0)});
  }
  return costs;
}

RunSettings settings_of(const char* schedule, std::int64_t pipeline, std::int64_t chunks = 1) {
  RunSettings settings;
  settings.parallel.schedule = schedule;
  settings.parallel.pipeline = pipeline;
  settings.parallel.virtual_stages = chunks;
  return settings;
}

std::string report_of(const PlanQuestion& question) {
  const StagePlan plan = plan_stages(question);
  return plan_report(question, plan, plan_timeline(question, plan.partition));
}

TEST(PipelinePlan, has_for_equal_costs_the_bubble_of_the_schedules_formula) {
  const BlockList model = nine_block_model();
  for (const ScheduleKind& kind : schedule_kinds()) {
    const Pipeline pipeline{3, kind.refusal({3, 1}).empty() ? 1 : 2};
    const RunSettings settings = settings_of(std::string(kind.name).c_str(), pipeline.ranks, pipeline.chunks);
    // Of nine equal blocks three stages are equal, of six that work six stages are.
    const PlanQuestion question{settings, model, costs_of(model, pipeline.chunks == 1 ? 9 : 6), 2, {12}};
    const StagePlan plan = plan_stages(question);
    const Timeline timeline = plan_timeline(question, plan.partition);
    const double bubble = kind.bubble(pipeline, 6);
    EXPECT_NEAR(timeline.bubble(), bubble, 1e-12) << kind.name;
    EXPECT_GT(bubble, 0.05) << kind.name;
    const std::string report = plan_report(question, plan, timeline);
    EXPECT_THAT(report, HasSubstr(fmt::format("2 x 3, {}, {} stage{} a rank, 6 leaves a step and pipeline: {:.3f} ms a step, bubble {:.1f} %\n", kind.name,
                                              pipeline.chunks, pipeline.chunks == 1 ? "" : "s", 1e3 * timeline.span_s, 100 * bubble)));
    EXPECT_THAT(report, Not(HasSubstr("differ in their leaves")));
  }
}

TEST(PipelinePlan, plans_the_most_leaves_and_says_which_numbers_occur_and_which_do_not_fit_the_schedule) {
  const BlockList model = nine_block_model();
  const RunSettings settings = settings_of("interleaved", 2, 2);
  const PlanQuestion question{settings, model, costs_of(model, 9), 2, {7, 4}};  // 3 and 4 leaves, 2 and 2
  EXPECT_THAT(question.leaves(), ElementsAre(2, 3, 4));
  const StagePlan plan = plan_stages(question);
  const Timeline timeline = plan_timeline(question, plan.partition);
  const std::size_t actions =
      std::accumulate(timeline.ranks.begin(), timeline.ranks.end(), std::size_t{0}, [](std::size_t sum, const auto& rank) { return sum + rank.size(); });
  EXPECT_EQ(actions, 4U * 4 * 2) << "4 leaves, 4 stages, forward and backward";
  const std::string report = plan_report(question, plan, timeline);
  EXPECT_THAT(report, HasSubstr("4 leaves a step and pipeline"));
  EXPECT_THAT(report, HasSubstr("differ in their leaves: 2, 3, 4;"));
  EXPECT_THAT(report, HasSubstr(fall_back(schedule_kind("interleaved"), {2, 2}, 3) + "\n"));
  EXPECT_THAT(report, Not(HasSubstr("this step has 2")));
  EXPECT_THAT(report, Not(HasSubstr("this step has 4")));
}

TEST(PipelinePlan, counts_the_live_leaves_of_every_number_that_occurs) {
  const BlockList model = nine_block_model();
  const RunSettings settings = settings_of("gpipe", 2);
  const auto activations = [&](const std::set<std::int64_t>& steps) {
    return plan_stages({settings, model, costs_of(model, 9), 2, steps}).partition.ranks.front().activations;
  };
  EXPECT_EQ(activations({7}), activations({8})) << "one of two pipelines has 4 of 7 leaves";
  EXPECT_EQ(activations({7}), 2 * activations({4}));
}

// Of a rank: weights, rounded, gradients, partial sums, received, optimizer, activations, total.
std::vector<double> memory_row(const std::string& report, const std::string& rank) {
  std::istringstream lines(report.substr(report.find("rank MiB")));
  std::vector<double> values;
  for (std::string line, name; std::getline(lines, line);) {
    std::istringstream words(line);
    if (!(words >> name) || name != rank) continue;
    for (double value = 0; values.size() < 8 && words >> value;) values.push_back(value);
    return values;
  }
  return values;
}

TEST(PipelinePlan, adds_up_the_memory_of_a_rank_item_by_item) {
  const BlockList model = model_of_mebibytes();
  RunSettings settings = settings_of("1f1b", 1);
  settings.numerics.precision = "bf16";
  PlanQuestion question{settings, model, costs_of(model, 9), 2, {7}, {"mpi", {{2, 1}}, "gradients are summed somehow"}};
  // 13 parameters, 12 of them trained, one of these in three blocks. Of 7 leaves each rank has two sums in the end, and gets its half of the other's two.
  const std::vector<double> sharded{13, 6.5, 14, 14, 14, 12, 9, 82.5};
  EXPECT_EQ(memory_row(report_of(question), "0"), sharded);
  EXPECT_EQ(std::accumulate(sharded.begin(), sharded.end() - 1, 0.0), sharded.back());
  EXPECT_THAT(report_of(question), HasSubstr("gradients are summed somehow"));
  settings.optim.sharded = false;
  settings.numerics.precision = "fp32";
  EXPECT_EQ(memory_row(report_of(question), "0"), (std::vector<double>{13, 0, 28, 14, 14, 24, 9, 102}));
  settings.numerics.reduction = "fast";
  settings.optim.sharded = true;
  EXPECT_EQ(memory_row(report_of(question), "0"), (std::vector<double>{13, 0, 14, 0, 7, 12, 9, 55}));
}

TEST(PipelinePlan, shares_memory_among_the_ranks_of_a_pipeline) {
  const BlockList model = model_of_mebibytes();
  const RunSettings settings = settings_of("gpipe", 2);
  const std::string report = report_of({settings, model, costs_of(model, 9), 1, {3}});
  const std::vector<double> first = memory_row(report, "0"), second = memory_row(report, "1");
  ASSERT_EQ(first.size(), 8U);
  ASSERT_EQ(second.size(), 8U);
  EXPECT_EQ(first[0] + second[0], 14) << "13 parameters, one of them on both";
  EXPECT_EQ(first[6] + second[6], 3 * 9) << "all leaves live on both";
  for (const std::vector<double>& row : {first, second}) EXPECT_EQ(std::accumulate(row.begin(), row.end() - 1, 0.0), row.back());
}

TEST(PipelinePlan, keeps_room_for_rounded_weights_and_for_what_others_send_as_the_reducer_was_chosen) {
  const BlockList model = nine_block_model();
  RunSettings settings;
  const auto received = [&](const std::string& backend, const TeamShape& team, const std::set<std::int64_t>& steps) {
    return state_factors({settings, model, costs_of(model, 9), team.nodes * team.local, steps, {backend, {team}, ""}}).received;
  };
  EXPECT_EQ(received("window", {1, 4}, {8}), 0) << "all of it lies in shared memory";
  EXPECT_EQ(received("mpi", {4, 1}, {8}), 0.75) << "a quarter of one sum of each of three others";
  EXPECT_EQ(received("mpi", {4, 1}, {4, 8}), 0.75);
  EXPECT_EQ(received("mpi", {2, 1}, {7}), 1) << "half of each of the other's two sums";
  EXPECT_EQ(received("window", {2, 2}, {8}), 0.25) << "a quarter of the other node's one sum";
  EXPECT_EQ(received("nccl", {2, 2}, {8}), 0.75) << "half of the neighbour's sum beside that";
  EXPECT_EQ(received("mpi", {1, 1}, {8}), 0);
  EXPECT_EQ(state_factors({settings, model, {}}).rounded, 0);
  for (const char* precision : {"bf16", "fp16"}) {
    settings.numerics.precision = precision;
    EXPECT_EQ(state_factors({settings, model, {}}).rounded, 0.5) << precision;
  }
}

TEST(PipelinePlan, refuses_a_limit_that_rounded_weights_and_received_sums_alone_exceed) {
  const BlockList model = model_of_mebibytes();
  RunSettings settings = settings_of("1f1b", 1);
  settings.parallel.memory_limit = 76.0 / 1024;  // as sharded above, in single precision with shared memory: 62 MiB
  const auto plan = [&](const ReducerChoice& sums) { return plan_stages({settings, model, costs_of(model, 9), 2, {7}, sums}).partition.most_bytes / mib; };
  const ReducerChoice window{"window", {{1, 2}}, ""}, mpi{"mpi", {{2, 1}}, ""};
  EXPECT_EQ(plan(window), 62);
  EXPECT_EQ(plan(mpi), 76);
  settings.numerics.precision = "bf16";
  EXPECT_EQ(plan(window), 68);
  try {
    static_cast<void>(plan(mpi));
    FAIL() << "82.5 MiB kept a limit of 76 MiB";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("{} bytes", 82 * mib + mib / 2)));
  }
}

TEST(PipelinePlan, takes_the_leaves_of_the_run_s_own_steps) {
  const RecordIndex index = training_index(50, [](std::size_t record) { return record % 3 == 0 ? 60 : 5; });
  const std::vector<Task> tasks = one_task();
  TrainConfig train;
  train.epochs = 2;
  const BatchPlan plan(index, tasks, {1, 16, 4});
  ASSERT_EQ(plan.steps_per_epoch(), 4);
  EXPECT_THAT(leaves_of_steps(plan, train), ElementsAre(2, 4)) << "the last step of an epoch has the 2 records that are left";
  train.steps = 3;
  EXPECT_THAT(leaves_of_steps(plan, train), ElementsAre(4)) << "the run ends before";
  train.steps = 0;
  const BatchPlan packed(index, tasks, {1, 16, 4, 8, 100, {0, 512, {64, 48}}});
  std::set<std::int64_t> wanted;
  for (std::int64_t step = 0; step < 8; ++step) wanted.insert(packed.step(step).leaves);
  ASSERT_GT(wanted.size(), 1U);
  EXPECT_EQ(leaves_of_steps(packed, train), wanted);
  EXPECT_NE(*wanted.rbegin(), 4) << "train.global_batch / train.micro_batch says nothing of them";
}

TEST(PipelinePlan, needs_no_costs_where_nobody_chooses_by_them) {
  const BlockList model = nine_block_model();
  EXPECT_THAT(plan_stages({settings_of("1f1b", 1), model, no_costs(model)}).partition.cut, ElementsAre(0));
  RunSettings settings = settings_of("1f1b", 3);
  settings.parallel.partition = {2, 6, 1};
  settings.parallel.recompute = {"auto"};
  const PlanQuestion question{settings, model, no_costs(model)};
  const StagePlan plan = plan_stages(question);
  EXPECT_THAT(plan.partition.cut, ElementsAre(0, 2, 8));
  EXPECT_THAT(plan.recompute, testing::Each(false));
  EXPECT_EQ(automatic_choice(question, plan.recompute), "parallel.recompute = \"auto\": no block is recomputed, for parallel.memory_limit sets no limit");
}

}  // namespace
}  // namespace tributary
