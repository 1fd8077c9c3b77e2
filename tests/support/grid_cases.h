// The cases of "the same bits on any grid": every family on every grid with every way of running it, and a small set of them that covers every pair of choices.
// Pure.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace tributary::testing_support {

struct GridCase {
  std::string family;
  int data = 1, pipeline = 1;
  std::string schedule;  // "-" without a pipeline
  std::string reducer;   // "-" where nothing is summed over ranks
  bool sharded = true;
  bool recompute = false;
  int leaves = 7;        // a step
  bool resumed = false;  // from the middle of a run on another grid
  [[nodiscard]] int ranks() const { return data * pipeline; }
  [[nodiscard]] std::string grid() const { return fmt::format("{}x{}", data, pipeline); }
  [[nodiscard]] bool operator==(const GridCase&) const = default;
};

inline std::vector<std::string> choices_of(const GridCase& one) {
  return {one.family,
          "grid " + one.grid(),
          "schedule " + one.schedule,
          "reducer " + one.reducer,
          one.sharded ? "sharded" : "not sharded",
          one.recompute ? "recomputed" : "kept",
          fmt::format("{} leaves", one.leaves),
          one.resumed ? "resumed" : "straight"};
}

inline std::string named(const GridCase& one) {
  std::string text;
  for (const std::string& choice : choices_of(one)) text += (text.empty() ? "" : ", ") + choice;
  return text;
}

// All that can be run. Without a pipeline there is no schedule, with one copy of the model nothing is summed over ranks and the optimizer is whole anyway.
inline std::vector<GridCase> every_case() {
  std::vector<GridCase> cases;
  for (const char* family : {"lm_hhda timeline", "lm_hhda tokens", "text_mlm"})
    for (const auto& [data, pipeline] : {std::pair{1, 1}, {2, 1}, {3, 1}, {4, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 2}})
      for (const char* schedule : {"-", "gpipe", "1f1b", "interleaved", "zb_h1", "zb_v"})
        for (const char* reducer : {"-", "window", "mpi"})
          for (const bool sharded : {true, false})
            for (const bool recompute : {false, true})
              for (const int leaves : {7, 1})
                for (const bool resumed : {false, true}) {
                  const GridCase one{family, data, pipeline, schedule, reducer, sharded, recompute, leaves, resumed};
                  const bool plain = one.schedule == "-", alone = one.reducer == "-";
                  if (plain == (pipeline == 1) && alone == (data == 1) && (sharded || data > 1)) cases.push_back(one);
                }
  return cases;
}

// The table: every straight run, and one that goes on from another grid for each family, grid and schedule.
inline std::vector<GridCase> table_cases() {
  std::vector<GridCase> cases = every_case();
  std::erase_if(cases, [](const GridCase& one) { return one.resumed && (!one.sharded || one.recompute || one.leaves != 7 || one.reducer == "mpi"); });
  return cases;
}

// Few of the cases, so that two choices that stand together in some case stand together in one of these: always the case next that has most new pairs.
inline std::vector<GridCase> covering_set(const std::vector<GridCase>& cases) {
  std::map<std::pair<std::string, std::string>, std::size_t> numbers;
  std::vector<std::vector<std::size_t>> pairs;  // [cases]
  for (const GridCase& one : cases) {
    const std::vector<std::string> choices = choices_of(one);
    pairs.emplace_back();
    for (std::size_t a = 0; a < choices.size(); ++a)
      for (std::size_t b = a + 1; b < choices.size(); ++b)
        pairs.back().push_back(numbers.emplace(std::pair(choices[a], choices[b]), numbers.size()).first->second);
  }
  std::vector<bool> covered(numbers.size(), false);
  std::vector<GridCase> chosen;
  for (;;) {
    std::size_t best = 0, most = 0;
    for (std::size_t c = 0; c < cases.size(); ++c) {
      const auto fresh = static_cast<std::size_t>(std::count_if(pairs[c].begin(), pairs[c].end(), [&](std::size_t pair) { return !covered[pair]; }));
      if (fresh > most) best = c;
      most = std::max(most, fresh);
    }
    if (most == 0) return chosen;
    for (const std::size_t pair : pairs[best]) covered[pair] = true;
    chosen.push_back(cases[best]);
  }
}

// Those that a job of so many ranks runs, families and leaves together, straight ones first. One rank alone goes on from what two left.
inline std::vector<GridCase> cases_of_job(std::vector<GridCase> cases, int ranks) {
  std::erase_if(cases, [&](const GridCase& one) { return (one.resumed ? std::max(2, one.ranks()) : one.ranks()) != ranks; });
  std::stable_sort(cases.begin(), cases.end(),
                   [](const GridCase& a, const GridCase& b) { return std::tie(a.family, a.leaves, a.resumed) < std::tie(b.family, b.leaves, b.resumed); });
  return cases;
}

// The straight run on one rank that all others are compared with.
inline GridCase reference_of(const GridCase& one) { return {one.family, 1, 1, "-", "-", true, false, one.leaves, false}; }

// The straight run on another grid that a resumed case goes on from: the job's last one of the same family and leaves; where it has none, the reference, and
// for one rank a run on all of the job.
inline GridCase donor_of(const std::vector<GridCase>& job, const GridCase& resumed, int ranks) {
  const auto fits = [&](const GridCase& one) {
    return !one.resumed && one.family == resumed.family && one.leaves == resumed.leaves && one.grid() != resumed.grid();
  };
  const auto found = std::find_if(job.rbegin(), job.rend(), fits);
  if (found != job.rend()) return *found;
  if (resumed.ranks() > 1) return reference_of(resumed);
  return {resumed.family, ranks, 1, "-", "window", true, false, resumed.leaves, false};
}

}  // namespace tributary::testing_support
