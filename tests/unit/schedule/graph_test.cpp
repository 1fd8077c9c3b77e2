#include "schedule/graph.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "made_up_problem.h"

namespace tributary {
namespace {

using namespace testing_support;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <class Call>
void expect_error(ErrorKind kind, const Call& call, const testing::Matcher<std::string>& message) {
  try {
    (void)call();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(std::string(error.what()), message);
  }
}

// An encoder, a branch of series that waits for the fusion, an attention map that is put out in the middle, heads with a loss.
ModelGraph fusion_model() {
  ModelGraph graph;
  graph.blocks = {
      {"embeddings", {}, {"hidden.0"}, {"words"}},
      {"series", {}, {"series"}, {"lstm"}},
      {"layer", {"hidden.0"}, {"hidden.1"}, {"layer.W"}},
      {"attention", {"hidden.1"}, {"context", "map"}, {"attention.W"}},
      {"fusion", {"context", "series", "series"}, {"fused", "unused"}, {}},
      {"heads", {"fused", "hidden.1"}, {"loss", "probability"}, {"words", "head.W"}},
  };
  graph.outputs = {"probability", "map"};
  return graph;
}

TEST(Graph, sends_finished_branches_along_through_every_boundary_up_to_their_last_use) {
  const ModelGraph graph = fusion_model();
  EXPECT_THAT(crossing(graph, 2), ElementsAre(Crossing{"hidden.0", true}, Crossing{"series", true}));
  EXPECT_THAT(crossing(graph, 3), ElementsAre(Crossing{"series", true}, Crossing{"hidden.1", true}));
  EXPECT_THAT(crossing(graph, 4), ElementsAre(Crossing{"series", true}, Crossing{"hidden.1", true}, Crossing{"context", true}, Crossing{"map", false}));
  EXPECT_THAT(crossing(graph, 5), ElementsAre(Crossing{"hidden.1", true}, Crossing{"map", false}, Crossing{"fused", true}));
}

TEST(Graph, sends_no_gradient_for_what_no_trained_parameter_reaches) {
  ModelGraph graph = fusion_model();
  graph.frozen = {"lstm"};
  EXPECT_THAT(crossing(graph, 2), ElementsAre(Crossing{"hidden.0", true}, Crossing{"series", false}));
  graph.frozen = {"lstm", "words", "layer.W"};
  EXPECT_THAT(crossing(graph, 3), ElementsAre(Crossing{"series", false}, Crossing{"hidden.1", false}));
}

TEST(Graph, sends_no_gradient_for_what_does_not_reach_the_loss) {
  ModelGraph graph = fusion_model();
  graph.loss = "none";
  for (std::size_t block = 1; block < graph.blocks.size(); ++block)
    for (const Crossing& one : crossing(graph, block)) EXPECT_FALSE(one.gradient) << one.name;
}

TEST(Graph, accepts_blocks_that_give_nothing_and_tensors_nobody_takes) {
  ModelGraph graph;
  graph.blocks = {{"a", {}, {"x", "nobody"}, {}}, {"silent", {"x"}, {}, {}}, {"b", {"x"}, {"loss"}, {"W"}}};
  EXPECT_THAT(crossing(graph, 1), ElementsAre(Crossing{"x", false}));
  EXPECT_THAT(crossing(graph, 2), ElementsAre(Crossing{"x", false}));
}

TEST(Graph, agrees_with_the_definition_on_random_models) {
  int compared = 0, gradients = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Dice dice(seed);
    const int blocks = 2 + dice(7);
    const ModelGraph graph = random_graph(dice, blocks);
    const auto has = [](const std::vector<std::string>& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
    // Word for word: every path, forwards to the loss, backwards to a parameter.
    std::function<bool(std::size_t, const std::string&)> to_loss = [&](std::size_t from, const std::string& name) {
      for (std::size_t b = from; b < graph.blocks.size(); ++b) {
        if (!has(graph.blocks[b].takes, name)) continue;
        for (const std::string& next : graph.blocks[b].gives)
          if (next == graph.loss || to_loss(b + 1, next)) return true;
      }
      return false;
    };
    std::function<bool(const std::string&)> reached = [&](const std::string& name) {
      for (const GraphBlock& block : graph.blocks) {
        if (!has(block.gives, name)) continue;
        for (const std::string& parameter : block.parameters)
          if (!has(graph.frozen, parameter)) return true;
        return std::any_of(block.takes.begin(), block.takes.end(), reached);
      }
      return false;
    };
    for (std::size_t boundary = 1; boundary < graph.blocks.size(); ++boundary) {
      std::vector<Crossing> expected;
      for (std::size_t b = 0; b < boundary; ++b)
        for (const std::string& name : graph.blocks[b].gives) {
          bool taken = has(graph.outputs, name);
          for (std::size_t later = boundary; later < graph.blocks.size(); ++later) taken = taken || has(graph.blocks[later].takes, name);
          if (taken) expected.push_back({name, reached(name) && to_loss(boundary, name)});
        }
      ASSERT_EQ(crossing(graph, boundary), expected) << "seed " << seed << ", boundary " << boundary;
      compared += static_cast<int>(expected.size());
      gradients += static_cast<int>(std::count_if(expected.begin(), expected.end(), [](const Crossing& crossing) { return crossing.gradient; }));
    }
  }
  EXPECT_GT(compared, 3000);
  EXPECT_GT(gradients, 500);
  EXPECT_LT(gradients, compared - 500);
}

TEST(Graph, refuses_models_that_do_not_fit_together) {
  ModelGraph graph = fusion_model();
  graph.blocks[2].takes = {"hidden.7"};
  expect_error(
      ErrorKind::internal, [&] { return tensors_of(graph); }, AllOf(HasSubstr("layer"), HasSubstr("hidden.7")));
  graph = fusion_model();
  graph.blocks[2].gives = {"series"};
  expect_error(
      ErrorKind::internal, [&] { return tensors_of(graph); }, AllOf(HasSubstr("layer"), HasSubstr("series")));
  graph = fusion_model();
  graph.outputs = {"nothing"};
  expect_error(
      ErrorKind::internal, [&] { return tensors_of(graph); }, HasSubstr("nothing"));
}

TEST(Graph, refuses_illegal_cuts_with_the_knob_and_the_numbers) {
  const auto cut = [](const Cut& first) { return [=] { return counts_of_cut(first, fusion_model().blocks.size()); }; };
  expect_error(ErrorKind::configuration, cut({0, 1, 2, 3, 4, 5, 6}), AllOf(HasSubstr("parallel.pipeline"), HasSubstr("7 stages"), HasSubstr("6 blocks")));
  expect_error(ErrorKind::configuration, cut({}), HasSubstr("parallel.pipeline"));
  expect_error(ErrorKind::configuration, cut({1, 3}), AllOf(HasSubstr("parallel.partition"), HasSubstr("block 1")));
  expect_error(ErrorKind::configuration, cut({0, 4, 2}), AllOf(HasSubstr("parallel.partition"), HasSubstr("stage 1"), HasSubstr("4 up to 2")));
  expect_error(ErrorKind::configuration, cut({0, 2, 2}), AllOf(HasSubstr("parallel.partition"), HasSubstr("stage 1")));
  expect_error(ErrorKind::configuration, cut({0, 6}), AllOf(HasSubstr("parallel.partition"), HasSubstr("stage 1")));
}

TEST(Graph, reads_a_partition_as_numbers_of_blocks) {
  const std::vector<std::int64_t> counts = {2, 1, 3};
  EXPECT_THAT(cut_of_counts(counts, 6, 3), ElementsAre(0, 2, 3));
  EXPECT_EQ(counts_of_cut({0, 2, 3}, 6), counts);
  const auto read = [](std::vector<std::int64_t> given, std::size_t stages) { return [=] { return cut_of_counts(given, 6, stages); }; };
  expect_error(ErrorKind::configuration, read({2, 4}, 3), AllOf(HasSubstr("parallel.partition has 2"), HasSubstr("3 stages")));
  expect_error(ErrorKind::configuration, read({2, 0, 4}, 3), AllOf(HasSubstr("stage 1"), HasSubstr("0 of the 6")));
  expect_error(ErrorKind::configuration, read({2, -1, 5}, 3), AllOf(HasSubstr("stage 1"), HasSubstr("-1 of the 6")));
  expect_error(ErrorKind::configuration, read({2, 1, 4}, 3), AllOf(HasSubstr("[2, 1, 4]"), HasSubstr("7 blocks"), HasSubstr("has 6")));
  expect_error(ErrorKind::configuration, read({1, 1, 1, 1, 1, 1, 1}, 7), HasSubstr("parallel.pipeline"));
}

}  // namespace
}  // namespace tributary
