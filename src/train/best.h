// The best state of a run: when a validation finds one, and whether the checkpoint `best` of a run directory is that state.
#pragma once

#include <filesystem>
#include <optional>

#include "checkpoint/train_state.h"
#include "comm/communicator.h"

namespace tributary {

// Whether `value` of what train.watch names is better than the best so far. A value that is not finite never is.
[[nodiscard]] bool improves(const TrainState& state, std::optional<double> value, bool smaller_is_better);

// Makes state.has_best mean that <run_dir>/best is whole and is the best that the state tells of. A run that goes on from a checkpoint of another directory
// gets a copy of that run's best; where no best is whole the state goes on without one. Returns false when the best was lost so.
// Collective: all ranks. Throws on all ranks together: Error{io}.
[[nodiscard]] bool settle_best(const Communicator& comm, const std::filesystem::path& run_dir, const std::filesystem::path& from, TrainState& state);

}  // namespace tributary
