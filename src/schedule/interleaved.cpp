// Interleaved 1F1B: v chunks a rank, leaves in groups of p, a group goes through all chunks before the next one enters. The bubble shrinks by v, messages grow
// by v. Source: Narayanan et al. 2021, "Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM", section 2.2.2.
#include <algorithm>

#include "schedule/grids.h"

namespace tributary {
namespace {

// The n-th forward (or backward, where chunks come in reverse) of a rank.
Action nth(Pipeline pipeline, std::int64_t n, int rank, ActionKind kind) {
  const std::int64_t p = pipeline.ranks;
  const std::int64_t group = n / (p * pipeline.chunks);
  const int turn = static_cast<int>(n % (p * pipeline.chunks) / p);
  const int chunk = kind == ActionKind::forward ? turn : pipeline.chunks - 1 - turn;
  return {kind, group * p + n % p, chunk * pipeline.ranks + rank};
}

// Forwards before the first backward, without the one that comes right before it.
std::int64_t forwards_ahead(Pipeline pipeline, std::int64_t leaves, int rank) {
  const std::int64_t ahead = 2 * (pipeline.ranks - rank - 1) + (pipeline.chunks - 1) * pipeline.ranks;
  return std::min<std::int64_t>(ahead, leaves * pipeline.chunks);
}

Schedule interleaved_actions(Pipeline pipeline, std::int64_t leaves, int rank) {
  const std::int64_t ahead = forwards_ahead(pipeline, leaves, rank);
  const std::int64_t total = leaves * pipeline.chunks;
  Schedule schedule;
  schedule.reserve(static_cast<std::size_t>(2 * total));
  for (std::int64_t n = 0; n < ahead; ++n) schedule.push_back(nth(pipeline, n, rank, ActionKind::forward));
  for (std::int64_t n = 0; n < total; ++n) {
    if (n + ahead < total) schedule.push_back(nth(pipeline, n + ahead, rank, ActionKind::forward));
    schedule.push_back(nth(pipeline, n, rank, ActionKind::backward));
  }
  return schedule;
}

std::string interleaved_refusal(Pipeline pipeline) {
  if (pipeline.chunks >= 2) return {};
  return fmt::format("parallel.schedule = \"interleaved\" needs at least 2 stages a rank, found parallel.virtual_stages = {}: set it to 2, or choose \"1f1b\"",
                     pipeline.chunks);
}

std::string misfit(Pipeline pipeline, std::int64_t leaves) {
  if (leaves % pipeline.ranks == 0) return {};
  return fmt::format("\"interleaved\" needs a multiple of parallel.pipeline = {} leaves, this step has {}", pipeline.ranks, leaves);
}

}  // namespace

ScheduleKind interleaved() {
  return {"interleaved", interleaved_refusal, misfit, round_the_ranks, interleaved_actions,
          [](Pipeline pipeline, std::int64_t leaves, int rank) { return std::min(forwards_ahead(pipeline, leaves, rank) + 1, leaves * pipeline.chunks); },
          // 1F1B's 3 (p - 1) units, each of one chunk: 3 (p - 1) of 3 (v m + p - 1).
          [](Pipeline pipeline, std::int64_t leaves) {
            return static_cast<double>(pipeline.ranks - 1) / static_cast<double>(leaves * pipeline.chunks + pipeline.ranks - 1);
          }};
}

}  // namespace tributary
