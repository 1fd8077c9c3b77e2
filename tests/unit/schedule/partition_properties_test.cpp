// What holds for every problem, also where trying all cuts would take too long.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "made_up_problem.h"
#include "schedule/partition.h"

namespace tributary {
namespace {

using namespace testing_support;

struct Made {
  PartitionProblem problem;
  Dice dice;
};

Made made_up() {
  const int ranks = *rc::gen::inRange(1, 9), chunks = *rc::gen::inRange(1, 4), stages = ranks * chunks;
  const int blocks = stages + *rc::gen::inRange(0, 60);
  Dice dice(*rc::gen::arbitrary<std::uint32_t>());
  PartitionProblem problem = random_problem(dice, blocks, ranks, chunks);
  if (*rc::gen::inRange(0, 3) > 0) {  // a limit that the fastest cut breaks, or nearly
    const Partition free = choose_partition(problem);
    problem.memory_limit_bytes = std::max<std::int64_t>(1, free.most_bytes * *rc::gen::inRange(80, 110) / 100);
  }
  return {std::move(problem), dice};
}

// Nothing where no cut keeps the limit; given_up: or none was found.
std::optional<Partition> try_partition(const PartitionProblem& problem, bool* given_up = nullptr) {
  try {
    return choose_partition(problem);
  } catch (const Error& error) {
    RC_ASSERT(error.kind() == ErrorKind::launch);
    if (given_up != nullptr) *given_up = std::string_view(error.what()).find("no cut was found") != std::string_view::npos;
    return std::nullopt;
  }
}

TEST(PartitionProperties, keeps_the_memory_limit_and_is_what_its_cut_costs) {
  int kept = 0;
  EXPECT_TRUE(rc::check([&] {
    const Made made = made_up();
    const auto found = try_partition(made.problem);
    if (!found) return;
    check_memory(made.problem, *found);
    const Partition priced = price_partition(
        made.problem, cut_of_counts(counts_of_cut(found->cut, made.problem.blocks.size()), made.problem.blocks.size(), made.problem.rank_of_stage.size()));
    RC_ASSERT(priced.slowest_s == found->slowest_s);
    RC_ASSERT(priced.ranks == found->ranks);
    ++kept;
  }));
  EXPECT_GT(kept, 10);
}

TEST(PartitionProperties, is_as_fast_as_any_cut_drawn_at_random) {
  int compared = 0;
  EXPECT_TRUE(rc::check([&] {
    Made made = made_up();
    bool given_up = false;
    const auto found = try_partition(made.problem, &given_up);
    const auto blocks = static_cast<int>(made.problem.blocks.size()), stages = static_cast<int>(made.problem.rank_of_stage.size());
    for (int trial = 0; trial < 50; ++trial) {
      const Partition other = price_partition(made.problem, random_cut(made.dice, blocks, stages));
      if (made.problem.memory_limit_bytes > 0 && other.most_bytes > made.problem.memory_limit_bytes) continue;
      RC_ASSERT(found.has_value() || given_up);
      if (!found || !found->proven) continue;
      RC_ASSERT(found->slowest_s <= other.slowest_s);
      ++compared;
    }
  }));
  EXPECT_GT(compared, 200);
}

TEST(PartitionProperties, is_not_slower_with_more_memory_or_a_faster_link) {
  int compared = 0;
  EXPECT_TRUE(rc::check([&] {
    PartitionProblem problem = made_up().problem;
    const auto found = try_partition(problem);
    if (!found) return;
    problem.memory_limit_bytes += problem.memory_limit_bytes / 5;
    const auto roomy = try_partition(problem);
    if (!roomy) return;  // given up
    RC_ASSERT(!roomy->proven || roomy->slowest_s <= found->slowest_s);
    problem.link.bytes_per_s *= 2;
    problem.link.latency_s /= 2;
    const auto quick = try_partition(problem);
    RC_ASSERT(quick.has_value());
    RC_ASSERT(!quick->proven || quick->slowest_s <= roomy->slowest_s);
    ++compared;
  }));
  EXPECT_GT(compared, 10);
}

TEST(PartitionProperties, needs_no_less_than_the_blocks_together_and_no_more_than_it_must) {
  int compared = 0;
  EXPECT_TRUE(rc::check([&] {
    const PartitionProblem problem = made_up().problem;
    const auto found = try_partition(problem);
    if (!found) return;
    double work = 0, longest = 0;
    for (const BlockCost& cost : problem.blocks) {
      const double own = cost.forward_s + cost.backward_input_s + cost.backward_weight_s;
      work += own;
      longest = std::max(longest, own);
    }
    RC_ASSERT(found->slowest_s >= longest);
    RC_ASSERT(found->slowest_s * static_cast<double>(found->stages.size()) >= work);
    // Without messages and limits greedy packing bounds it from above.
    if (problem.memory_limit_bytes == 0 && problem.link.latency_s == 0 && problem.link.bytes_per_s == std::numeric_limits<double>::infinity())
      RC_ASSERT(found->slowest_s <= work / static_cast<double>(found->stages.size()) + longest);
    ++compared;
  }));
  EXPECT_GT(compared, 10);
}

}  // namespace
}  // namespace tributary
