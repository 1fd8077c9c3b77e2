#include "schedule/partition.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>

#include "base/error.h"
#include "made_up_problem.h"

namespace tributary {
namespace {

using namespace testing_support;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Word for word, from the names: what each stage takes and each rank needs.
struct Naive {
  std::vector<double> stage_s;
  std::vector<std::int64_t> rank_bytes;
  [[nodiscard]] double slowest() const { return *std::max_element(stage_s.begin(), stage_s.end()); }
  [[nodiscard]] std::int64_t most() const { return *std::max_element(rank_bytes.begin(), rank_bytes.end()); }
};

std::int64_t size_of(const PartitionProblem& problem, const std::string& tensor) {
  for (std::size_t b = 0; b < problem.graph.blocks.size(); ++b)
    for (std::size_t g = 0; g < problem.graph.blocks[b].gives.size(); ++g)
      if (problem.graph.blocks[b].gives[g] == tensor) return problem.blocks[b].gives_bytes[g];
  ADD_FAILURE() << tensor;
  return 0;
}

struct StageBlocks {
  std::size_t first, last;  // [first, last)
};

std::int64_t state_bytes(const PartitionProblem& problem, const StageBlocks& stage) {
  const auto has = [](const std::vector<std::string>& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  std::set<std::string> earlier, held;
  std::int64_t weights = 0, uses = 0, owned = 0;
  for (std::size_t b = 0; b < stage.last; ++b)
    for (const std::string& name : problem.graph.blocks[b].parameters) {
      const std::int64_t bytes = problem.parameter_bytes.at(name);
      const bool trained = !has(problem.graph.frozen, name);
      if (b >= stage.first && held.insert(name).second) weights += bytes;
      if (b >= stage.first && trained) uses += bytes;
      if (earlier.insert(name).second && b >= stage.first && trained) owned += bytes;
    }
  const auto times = [](std::int64_t bytes, double factor) { return static_cast<std::int64_t>(std::ceil(static_cast<double>(bytes) * factor)); };
  return weights + times(weights, problem.state.rounded) + uses + times(uses, problem.state.partial_sums) + times(uses, problem.state.received) +
         times(owned, problem.state.optimizer / problem.state.data_ranks);
}

Naive naive_price(const PartitionProblem& problem, const Cut& cut) {
  const auto& ranks = problem.rank_of_stage;
  Naive result{{}, std::vector<std::int64_t>(static_cast<std::size_t>(*std::max_element(ranks.begin(), ranks.end())) + 1, 0)};
  const auto message_s = [&](std::int64_t bytes) { return bytes == 0 ? 0 : problem.link.latency_s + static_cast<double>(bytes) / problem.link.bytes_per_s; };
  const auto sent = [&](std::size_t stage, bool gradients) {
    std::int64_t bytes = 0;
    for (const Crossing& tensor : crossing(problem.graph, cut[stage + 1]))
      if (!gradients || tensor.gradient) bytes += size_of(problem, tensor.name);
    return bytes;
  };
  for (std::size_t s = 0; s < cut.size(); ++s) {
    const StageBlocks stage{cut[s], s + 1 < cut.size() ? cut[s + 1] : problem.graph.blocks.size()};
    const bool from_left = s > 0 && ranks[s - 1] != ranks[s], to_right = s + 1 < cut.size() && ranks[s + 1] != ranks[s];
    double work = 0;
    std::int64_t activations = from_left ? sent(s - 1, false) : 0, transient = 0;
    for (std::size_t b = stage.first; b < stage.last; ++b) {
      work += problem.blocks[b].forward_s + problem.blocks[b].backward_input_s + problem.blocks[b].backward_weight_s;
      activations += problem.blocks[b].activation_bytes;
      transient = std::max(transient, problem.blocks[b].transient_bytes);
    }
    result.stage_s.push_back(work + (to_right ? message_s(sent(s, false)) : 0) + (from_left ? message_s(sent(s - 1, true)) : 0));
    result.rank_bytes[static_cast<std::size_t>(ranks[s])] += state_bytes(problem, stage) + problem.live[s] * activations + transient;
  }
  return result;
}

template <class Visit>
void every_cut(std::size_t blocks, std::size_t stages, Cut& cut, const Visit& visit) {
  if (cut.size() == stages) {
    visit(cut);
    return;
  }
  for (std::size_t next = cut.back() + 1; next < blocks; ++next) {
    cut.push_back(next);
    every_cut(blocks, stages, cut, visit);
    cut.pop_back();
  }
}

struct Best {
  std::optional<Cut> cut;
  std::int64_t smallest_need = 0;
};

// What each of `stages` stages gets of the works where those longer than that take a stage each and leave it to the others.
double even_share(std::vector<double> works, std::size_t stages) {
  double sum = 0;
  for (const double work : works) sum += work;
  const double share = sum / static_cast<double>(stages);
  const auto others = std::partition(works.begin(), works.end(), [&](double work) { return work <= share; });
  const auto longer = static_cast<std::size_t>(works.end() - others);
  if (longer == 0 || longer >= stages) return share;
  works.erase(others, works.end());
  return even_share(works, stages - longer);
}

// Of two cuts of the same time the one whose first different stage is nearer to an even share of what is left.
bool more_even(const PartitionProblem& problem, const Cut& a, const Cut& b) {
  std::vector<double> works;
  for (const BlockCost& cost : problem.blocks) works.push_back(cost.forward_s + cost.backward_input_s + cost.backward_weight_s);
  for (std::size_t s = 1; s < a.size(); ++s) {
    if (a[s] == b[s]) continue;
    const auto from = works.begin() + static_cast<std::ptrdiff_t>(a[s - 1]);
    const double share = even_share({from, works.end()}, a.size() - (s - 1));
    const auto distance = [&](const Cut& cut) { return std::abs(std::accumulate(from, works.begin() + static_cast<std::ptrdiff_t>(cut[s]), 0.0) - share); };
    return distance(a) != distance(b) ? distance(a) < distance(b) : a[s] < b[s];
  }
  return false;
}

Best brute_force(const PartitionProblem& problem) {
  Best best;
  best.smallest_need = std::numeric_limits<std::int64_t>::max();
  double fastest = 0;
  Cut cut{0};
  every_cut(problem.blocks.size(), problem.rank_of_stage.size(), cut, [&](const Cut& candidate) {
    const Naive price = naive_price(problem, candidate);
    best.smallest_need = std::min(best.smallest_need, price.most());
    if (problem.memory_limit_bytes > 0 && price.most() > problem.memory_limit_bytes) return;
    if (best.cut && (price.slowest() > fastest || (price.slowest() == fastest && !more_even(problem, candidate, *best.cut)))) return;
    best.cut = candidate;
    fastest = price.slowest();
  });
  return best;
}

struct Counts {
  int fitted = 0, refused = 0, bound = 0, undone = 0;  // bound: by the memory limit; undone: not proven
};

void compare_with_brute_force(std::uint64_t seed, int ranks, int chunks, Counts& counts) {
  Dice dice(seed);
  const int stages = ranks * chunks, blocks = stages + dice(10 - stages);
  PartitionProblem problem = random_problem(dice, blocks, ranks, chunks);
  const Best unbound = brute_force(problem);
  if (dice(4) > 0) problem.memory_limit_bytes = std::max<std::int64_t>(1, naive_price(problem, random_cut(dice, blocks, stages)).most() * (dice(6) + 8) / 10);
  const Best best = brute_force(problem);
  try {
    const Partition found = choose_partition(problem);
    ASSERT_TRUE(best.cut.has_value()) << "seed " << seed;
    ASSERT_EQ(found.cut, *best.cut) << "seed " << seed;
    ASSERT_TRUE(found.proven);
    const Naive price = naive_price(problem, found.cut);
    ASSERT_EQ(found.slowest_s, price.slowest());
    ASSERT_EQ(found.stages[static_cast<std::size_t>(found.slowest_stage)].total_s, price.slowest());
    ASSERT_EQ(found.most_bytes, price.most());
    for (std::size_t s = 0; s < found.stages.size(); ++s) ASSERT_EQ(found.stages[s].total_s, price.stage_s[s]);
    for (std::size_t r = 0; r < found.ranks.size(); ++r) ASSERT_EQ(found.ranks[r].total(), price.rank_bytes[r]);
    ASSERT_NO_THROW(check_memory(problem, found));
    ++counts.fitted;
    counts.bound += *best.cut != *unbound.cut;
  } catch (const Error& error) {
    ASSERT_FALSE(best.cut.has_value()) << "seed " << seed << ": " << error.what();
    ASSERT_EQ(error.kind(), ErrorKind::launch);
    ASSERT_THAT(std::string(error.what()), AllOf(HasSubstr("is " + std::to_string(best.smallest_need) + " bytes"),
                                                 HasSubstr(std::to_string(problem.memory_limit_bytes) + " bytes"), HasSubstr("parallel.memory_limit")))
        << "seed " << seed;
    ++counts.refused;
  }
}

TEST(Partition, is_the_best_of_all_cuts_with_one_stage_a_rank) {
  Counts counts;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    compare_with_brute_force(seed, 1 + static_cast<int>(seed % 5), 1, counts);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(counts.fitted, 1000);
  EXPECT_GT(counts.refused, 100);
  EXPECT_GT(counts.bound, 100);
}

TEST(Partition, is_the_best_of_all_cuts_with_several_stages_a_rank) {
  Counts counts;
  const std::vector<std::pair<int, int>> grids = {{2, 2}, {3, 2}, {2, 3}, {4, 2}, {2, 4}, {1, 4}, {3, 3}};
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const auto [ranks, chunks] = grids[seed % grids.size()];
    compare_with_brute_force(10000 + seed, ranks, chunks, counts);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(counts.fitted, 1000);
  EXPECT_GT(counts.refused, 100);
  EXPECT_GT(counts.bound, 100);
}

// `blocks` equal ones in a chain, each with a parameter of its own.
PartitionProblem chain(int blocks, std::vector<int> rank_of_stage) {
  PartitionProblem problem;
  for (int b = 0; b < blocks; ++b) {
    const std::string number = std::to_string(b);
    problem.graph.blocks.push_back({"block" + number, {}, {b + 1 == blocks ? "loss" : "t" + number}, {"p" + number}});
    if (b > 0) problem.graph.blocks.back().takes = {"t" + std::to_string(b - 1)};
    problem.blocks.push_back({1, 1, 1, 100, {8}});
    problem.parameter_bytes["p" + number] = 1000;
  }
  problem.live.assign(rank_of_stage.size(), 1);
  problem.rank_of_stage = std::move(rank_of_stage);
  return problem;
}

TEST(Partition, spreads_evenly_what_the_slowest_stage_leaves_free) {
  EXPECT_THAT(counts_of_cut(choose_partition(chain(9, {0, 1, 2, 3})).cut, 9), ElementsAre(2, 2, 2, 3));
  EXPECT_THAT(counts_of_cut(choose_partition(chain(8, {0, 1, 2, 3})).cut, 8), ElementsAre(2, 2, 2, 2));
  PartitionProblem problem = chain(9, {0, 1, 2, 3});
  problem.blocks[8].forward_s = 100;  // would leave the others free to be cut anyhow
  EXPECT_THAT(counts_of_cut(choose_partition(problem).cut, 9), ElementsAre(3, 2, 3, 1));
}

TEST(Partition, cuts_where_little_crosses) {
  PartitionProblem problem = chain(6, {0, 1});
  problem.link = {1000, 0.25};
  EXPECT_THAT(choose_partition(problem).cut, ElementsAre(0, 3));
  problem.blocks[2].gives_bytes = {8000};
  const Partition moved = choose_partition(problem);
  EXPECT_THAT(moved.cut, ElementsAre(0, 2));
  // 8 bytes at 1000 bytes/s and the latency: forward by stage 0, back by stage 1.
  EXPECT_DOUBLE_EQ(moved.stages[0].send_s, 0.258);
  EXPECT_DOUBLE_EQ(moved.stages[1].send_s, 0.258);
  EXPECT_EQ(moved.boundaries[0].forward_bytes, 8);
  EXPECT_EQ(moved.boundaries[0].gradient_bytes, 8);
  EXPECT_DOUBLE_EQ(moved.slowest_s, 12.258);
}

TEST(Partition, sends_nothing_between_stages_of_one_rank) {
  PartitionProblem problem = chain(8, {0, 1, 1, 0});
  problem.link = {1000, 0.25};
  const Partition partition = price_partition(problem, {0, 2, 4, 6});
  EXPECT_GT(partition.boundaries[0].forward_s, 0);
  EXPECT_EQ(partition.boundaries[1].forward_bytes, 0);
  EXPECT_DOUBLE_EQ(partition.stages[1].send_s, 0.258);
  EXPECT_EQ(partition.stages[1].memory.activations, 208);
  EXPECT_EQ(partition.stages[2].memory.activations, 200);
}

TEST(Partition, gives_a_rank_with_more_live_leaves_fewer_blocks_when_memory_is_short) {
  PartitionProblem problem = chain(8, {0, 1});
  problem.live = {4, 1};
  problem.state = {0, 0, 0, 1};
  EXPECT_EQ(choose_partition(problem).cut[1], 4U);
  problem.memory_limit_bytes = 5700;
  EXPECT_EQ(choose_partition(problem).cut[1], 4U);
  problem.memory_limit_bytes = 5599;
  EXPECT_EQ(choose_partition(problem).cut[1], 3U);
}

TEST(Partition, counts_memory_by_item) {
  PartitionProblem problem = chain(4, {0, 1});
  problem.graph.blocks[3].parameters.push_back("p0");  // shared by both stages
  problem.graph.blocks[1].parameters.push_back("p0");  // and twice in the first
  problem.graph.frozen = {"p1"};
  problem.state = {1, 3, 2, 4, 0.5, 1.5};
  problem.live = {2, 1};
  const Partition partition = price_partition(problem, {0, 2});
  const MemoryNeed first{2000, 2000, 6000, 500, 400, 1000, 3000}, second{3000, 3000, 9000, 1000, 208 - 100 + 100, 1500, 4500};
  EXPECT_EQ(partition.ranks[0], first);
  EXPECT_EQ(partition.ranks[1], second);
  EXPECT_EQ(second.total(), 3000 + 3000 + 9000 + 1000 + 208 + 1500 + 4500);
  EXPECT_EQ(partition.most_bytes, second.total());
}

TEST(Partition, refuses_a_given_cut_that_overflows_a_rank_and_says_what_it_needs) {
  PartitionProblem problem = chain(4, {0, 1});
  problem.memory_limit_bytes = 12300;
  const Partition uneven = price_partition(problem, cut_of_counts(std::vector<std::int64_t>{1, 3}, 4, 2));
  try {
    check_memory(problem, uneven);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    EXPECT_THAT(std::string(error.what()),
                AllOf(HasSubstr("rank 1"), HasSubstr("needs 12308 bytes"), HasSubstr("parallel.memory_limit is 12300 bytes"),
                      HasSubstr("another parallel.partition (\"auto\" keeps the limit"), HasSubstr("more ranks in parallel.pipeline"),
                      HasSubstr("a smaller train.micro_batch"), HasSubstr("more blocks in parallel.recompute"), HasSubstr("more copies in parallel.data")));
  }
  EXPECT_NO_THROW(check_memory(problem, price_partition(problem, {0, 2})));
  EXPECT_THROW((void)price_partition(problem, {0, 1, 2}), Error);
  EXPECT_THROW((void)price_partition(problem, {0, 4}), Error);
}

TEST(Partition, gives_up_a_long_search_says_so_and_keeps_the_limit) {
  int proven = 0, slower = 0, refused = 0;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    Dice dice(20000 + seed);
    PartitionProblem problem = random_problem(dice, 9, 2, 3);
    problem.memory_limit_bytes = std::max<std::int64_t>(1, naive_price(problem, random_cut(dice, 9, 6)).most() * 9 / 10);
    problem.search_steps = 7;  // a cut without any way back takes six
    const Best best = brute_force(problem);
    try {
      const Partition found = choose_partition(problem);
      ASSERT_TRUE(best.cut.has_value());
      ASSERT_NO_THROW(check_memory(problem, found));
      const double fastest = naive_price(problem, *best.cut).slowest();
      ASSERT_TRUE(found.proven ? found.slowest_s == fastest : found.slowest_s >= fastest) << "seed " << seed;
      proven += found.proven;
      slower += found.slowest_s > fastest;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::launch);
      if (best.cut.has_value()) {
        ASSERT_THAT(std::string(error.what()), AllOf(HasSubstr("no cut was found"), HasSubstr("parallel.partition")));
        ++refused;
      }
    }
  }
  EXPECT_GT(proven, 100);
  EXPECT_GT(slower, 0);
  EXPECT_GT(refused, 0);
}

TEST(Partition, refuses_more_stages_than_blocks) {
  try {
    (void)choose_partition(chain(3, {0, 1, 0, 1}));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    EXPECT_THAT(std::string(error.what()), AllOf(HasSubstr("parallel.pipeline"), HasSubstr("4 stages"), HasSubstr("3 blocks")));
  }
}

TEST(Partition, refuses_costs_that_make_no_sense) {
  const auto refused = [](const auto& spoil) {
    PartitionProblem problem = chain(4, {0, 1});
    spoil(problem);
    EXPECT_THROW((void)choose_partition(problem), Error);
  };
  refused([](PartitionProblem& problem) { problem.blocks[1].forward_s = -1; });
  refused([](PartitionProblem& problem) { problem.blocks[1].backward_input_s = std::nan(""); });
  refused([](PartitionProblem& problem) { problem.blocks[1].gives_bytes.clear(); });
  refused([](PartitionProblem& problem) { problem.blocks.pop_back(); });
  refused([](PartitionProblem& problem) { problem.live.pop_back(); });
  refused([](PartitionProblem& problem) { problem.parameter_bytes.erase("p2"); });
  refused([](PartitionProblem& problem) { problem.graph.blocks[1].parameters.push_back("p1"); });
  refused([](PartitionProblem& problem) { problem.link.bytes_per_s = 0; });
  refused([](PartitionProblem& problem) { problem.state.data_ranks = 0; });
  refused([](PartitionProblem& problem) { problem.state.rounded = -1; });
  refused([](PartitionProblem& problem) { problem.state.received = std::nan(""); });
}

}  // namespace
}  // namespace tributary
