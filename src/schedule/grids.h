// What several kinds of schedule say of their grids.
#pragma once

#include <fmt/format.h>

#include <string>

#include "schedule/schedule.h"

namespace tributary {

// Stages go round the ranks: stage s sits on rank s mod p, a rank's chunk c is stage c p + rank.
inline int round_the_ranks(Pipeline pipeline, int stage) { return stage % pipeline.ranks; }

inline std::string any_leaves(Pipeline, std::int64_t) { return {}; }

// Refusal of kinds with one stage a rank.
inline std::string one_chunk(std::string_view name, Pipeline pipeline) {
  if (pipeline.chunks == 1) return {};
  return fmt::format(
      "parallel.schedule = \"{}\" has one stage a rank, found parallel.virtual_stages = {}: set it to 1, or choose \"interleaved\" (2 or more) or \"zb_v\" (2)",
      name, pipeline.chunks);
}

}  // namespace tributary
