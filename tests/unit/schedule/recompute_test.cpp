#include "schedule/recompute.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/error.h"
#include "made_up_problem.h"

namespace tributary {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;

// Forward seconds of blocks in a chain on one rank that holds `live` leaves; each makes 100 bytes, gives 10 and has no state.
PartitionProblem chain_of(const std::vector<double>& forward_s, std::int64_t live, std::int64_t limit) {
  PartitionProblem problem;
  for (std::size_t b = 0; b < forward_s.size(); ++b) {
    const std::string number = std::to_string(b);
    problem.graph.blocks.push_back({"block" + number, {}, {b + 1 == forward_s.size() ? "loss" : "t" + number}, {}});
    if (b > 0) problem.graph.blocks.back().takes = {"t" + std::to_string(b - 1)};
    problem.blocks.push_back({forward_s[b], 1, 1, 100, {10}});
  }
  problem.rank_of_stage = {0};
  problem.live = {live};
  problem.memory_limit_bytes = limit;
  return problem;
}

std::vector<bool> all(const PartitionProblem& problem) { return std::vector<bool>(problem.blocks.size(), true); }

TEST(Recompute, keeps_of_a_block_what_it_gives_and_takes_its_forward_twice) {
  const BlockCost cost = recomputed({2, 3, 4, 100, {10, 5}});
  EXPECT_EQ(cost.forward_s, 2);
  EXPECT_EQ(cost.backward_input_s, 5);
  EXPECT_EQ(cost.backward_weight_s, 4);
  EXPECT_EQ(cost.activation_bytes, 15);
  EXPECT_EQ(cost.transient_bytes, 85);
  EXPECT_EQ(recomputed({1, 1, 1, 8, {10}}).activation_bytes, 8) << "what it gives is what it was given";
}

TEST(Recompute, takes_no_block_without_a_limit_or_where_everything_fits) {
  for (const std::int64_t limit : {0, 800}) {
    const PartitionProblem problem = chain_of({4, 1, 3, 2}, 2, limit);
    const StagePlan plan = choose_recompute(problem, all(problem), std::nullopt);
    EXPECT_THAT(plan.recompute, ElementsAre(false, false, false, false));
    EXPECT_EQ(plan.partition.most_bytes, 800);
  }
}

TEST(Recompute, takes_the_cheapest_blocks_first_and_no_more_than_the_limit_demands) {
  const auto chosen = [](std::int64_t limit, const std::vector<bool>& possible) {
    return choose_recompute(chain_of({4, 1, 3, 2}, 2, limit), possible, std::nullopt).recompute;
  };
  const std::vector<bool> any(4, true);
  // One block saves 2 leaves * 90 bytes and needs 90 while its backward runs.
  EXPECT_THAT(chosen(799, any), ElementsAre(false, true, false, false));
  EXPECT_THAT(chosen(710, any), ElementsAre(false, true, false, false));
  EXPECT_THAT(chosen(709, any), ElementsAre(false, true, false, true));
  EXPECT_THAT(chosen(529, any), ElementsAre(false, true, true, true));
  EXPECT_THAT(chosen(349, any), ElementsAre(true, true, true, true));
  EXPECT_THAT(chosen(709, {true, true, true, false}), ElementsAre(false, true, true, false)) << "a block that cannot be recomputed is passed over";
}

TEST(Recompute, refuses_a_limit_that_all_blocks_recomputed_do_not_keep) {
  const PartitionProblem problem = chain_of({4, 1, 3, 2}, 2, 169);
  EXPECT_NO_THROW((void)choose_recompute(chain_of({4, 1, 3, 2}, 2, 170), all(problem), std::nullopt));
  for (const std::optional<Cut>& given : {std::optional<Cut>(), std::optional(Cut{0})}) try {
      static_cast<void>(choose_recompute(problem, all(problem), given));
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::launch);
      EXPECT_THAT(std::string(error.what()), HasSubstr("170 bytes"));
    }
}

// That the limit is kept, that the given cut is kept, and that no rank could do with one block less.
void expect_least(const PartitionProblem& problem, const std::vector<bool>& possible, const StagePlan& plan) {
  EXPECT_LE(plan.partition.most_bytes, problem.memory_limit_bytes);
  EXPECT_EQ(plan.partition.most_bytes, price_partition(with_recomputing(problem, plan.recompute), plan.partition.cut).most_bytes);
  const auto saved = [&](std::size_t b) { return problem.blocks[b].activation_bytes - recomputed(problem.blocks[b]).activation_bytes; };
  const auto price = [&](std::size_t b) { return problem.blocks[b].forward_s / static_cast<double>(saved(b)); };
  for (std::size_t rank = 0; rank < plan.partition.ranks.size(); ++rank) {
    std::optional<std::size_t> dearest;
    std::vector<std::size_t> own;
    for (const StagePrice& stage : plan.partition.stages)
      for (std::size_t b = stage.first; b < stage.last && stage.rank == static_cast<int>(rank); ++b) own.push_back(b);
    for (const std::size_t b : own) {
      EXPECT_TRUE(!plan.recompute[b] || (possible[b] && saved(b) > 0)) << b;
      if (plan.recompute[b] && (!dearest || price(b) >= price(*dearest))) dearest = b;
    }
    if (!dearest) continue;
    for (const std::size_t b : own)
      if (possible[b] && saved(b) > 0 && !plan.recompute[b]) {
        EXPECT_GE(price(b), price(*dearest)) << "block " << b << " is cheaper than " << *dearest;
      }
    std::vector<bool> fewer = plan.recompute;
    fewer[*dearest] = false;
    EXPECT_GT(price_partition(with_recomputing(problem, fewer), plan.partition.cut).ranks[rank].total(), problem.memory_limit_bytes);
  }
}

TEST(Recompute, is_the_least_that_keeps_the_limit_for_models_and_cuts_of_any_kind) {
  int kept = 0, needed = 0, refused = 0;
  for (std::uint64_t seed = 0; seed < 800; ++seed) {
    Dice dice(50000 + seed);
    const int ranks = 1 + dice(3), chunks = ranks > 1 ? 1 + dice(2) : 1, stages = ranks * chunks, blocks = stages + dice(9 - stages) + 1;
    PartitionProblem problem = random_problem(dice, blocks, ranks, chunks);
    std::vector<bool> possible;
    for (BlockCost& cost : problem.blocks) {
      cost.activation_bytes += 12 * (dice(3) + 1);
      possible.push_back(dice(6) > 0);
    }
    const Cut cut = random_cut(dice, blocks, stages);
    const std::int64_t plain = price_partition(problem, cut).most_bytes, least = price_partition(with_recomputing(problem, possible), cut).most_bytes;
    problem.memory_limit_bytes = std::max<std::int64_t>(1, least + (plain - least) * dice(11) / 10 - dice(3));
    const auto given = dice(2) == 0 ? std::optional(cut) : std::nullopt;
    try {
      const StagePlan plan = choose_recompute(problem, possible, given);
      EXPECT_TRUE(!given || plan.partition.cut == cut);
      expect_least(problem, possible, plan);
      ++kept;
      needed += std::count(plan.recompute.begin(), plan.recompute.end(), true) > 0;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::launch);
      ++refused;
    }
    if (HasFailure()) FAIL() << "seed " << seed;
  }
  EXPECT_GT(kept, 400);
  EXPECT_GT(needed, 200);
  EXPECT_GT(refused, 20);
}

}  // namespace
}  // namespace tributary
