#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "schedule/program.h"

namespace tributary {
namespace {

TEST(Program, tells_in_words_which_rank_an_operation_needs_and_the_leaf_by_its_number_in_the_step) {
  // The second of three stages, of a pipeline whose ranks are 4, 5 and 6 of the job and whose leaves begin with 8.
  const Program program = program_of(step_schedule(schedule_kind("gpipe"), {3, 1}, 2), 1);
  constexpr std::array ranks = {4, 5, 6};
  std::vector<std::string> words;
  for (const Op& op : program) words.push_back(in_words(op, 8, ranks));
  const std::vector<std::string> wanted = {
      "ask for the activations of leaf 8 from stage 0 (rank 4)", "receive the activations of leaf 9 from stage 0 (rank 4)", "forward of leaf 9 in stage 1",
      "send the activations of leaf 8 to stage 2 (rank 6)",      "receive the gradient of leaf 9 from stage 2 (rank 6)",    "backward of leaf 8 in stage 1",
      "send the gradient of leaf 9 to stage 0 (rank 4)"};
  for (const std::string& one : wanted) EXPECT_NE(std::find(words.begin(), words.end(), one), words.end()) << one;
  EXPECT_GT(words.size(), wanted.size());
}

TEST(Program, names_the_two_halves_of_a_split_backward) {
  constexpr std::array ranks = {0};
  EXPECT_EQ(in_words({Op::Kind::compute, {ActionKind::backward_input, 2, 1}}, 0, ranks), "backward to the inputs of leaf 2 in stage 1");
  EXPECT_EQ(in_words({Op::Kind::compute, {ActionKind::backward_weight, 2, 1}}, 3, ranks), "weight gradients of leaf 5 in stage 1");
}

}  // namespace
}  // namespace tributary
