#include "support/grid_cases.h"

#include <gtest/gtest.h>

#include <set>

namespace tributary::testing_support {
namespace {

using Pairs = std::set<std::pair<std::string, std::string>>;

Pairs pairs_of(const std::vector<GridCase>& cases) {
  Pairs pairs;
  for (const GridCase& one : cases) {
    const std::vector<std::string> choices = choices_of(one);
    for (std::size_t a = 0; a < choices.size(); ++a)
      for (std::size_t b = a + 1; b < choices.size(); ++b) pairs.emplace(choices[a], choices[b]);
  }
  return pairs;
}

TEST(GridCases, of_the_covering_set_have_every_pair_of_choices_that_can_be_run) {
  const std::vector<GridCase> all = every_case(), few = covering_set(all);
  EXPECT_EQ(pairs_of(few), pairs_of(all));
  EXPECT_GT(pairs_of(all).size(), 200U);
  EXPECT_LE(few.size(), 40U);
  for (const GridCase& one : few) EXPECT_EQ(std::count(all.begin(), all.end(), one), 1) << named(one);
  std::vector<GridCase> fewer = few;
  fewer.pop_back();
  EXPECT_NE(pairs_of(fewer), pairs_of(all)) << "the last one adds nothing";
}

TEST(GridCases, are_each_run_by_one_job_and_go_on_from_another_grid) {
  for (const std::vector<GridCase>& cases : {table_cases(), covering_set(every_case())}) {
    std::size_t run = 0, resumed = 0;
    for (int ranks = 1; ranks <= 4; ++ranks) {
      const std::vector<GridCase> job = cases_of_job(cases, ranks);
      run += job.size();
      for (const GridCase& one : job) {
        if (!one.resumed) continue;
        const GridCase donor = donor_of(job, one, ranks);
        EXPECT_NE(donor.grid(), one.grid()) << named(one);
        EXPECT_LE(donor.ranks(), ranks);
        EXPECT_TRUE(!donor.resumed && donor.family == one.family && donor.leaves == one.leaves) << named(one);
        ++resumed;
      }
    }
    EXPECT_EQ(run, cases.size());
    EXPECT_GT(resumed, 5U);
  }
}

TEST(GridCases, of_the_table_are_every_grid_and_schedule) {
  std::set<std::tuple<std::string, std::string, std::string>> rows;
  for (const GridCase& one : table_cases()) rows.emplace(one.family, one.grid(), one.schedule);
  EXPECT_EQ(rows.size(), 3U * (4 + 4 * 5));
}

}  // namespace
}  // namespace tributary::testing_support
