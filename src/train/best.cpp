#include "train/best.h"

#include <array>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "comm/agree.h"

namespace tributary {
namespace {

// A best checkpoint's own state names itself as the best.
bool is_best_of(const std::filesystem::path& checkpoint, const TrainState& state) {
  try {
    if (load_manifest(checkpoint).step != state.best_step) return false;
    const std::filesystem::path file = checkpoint / state_file;
    const TrainState found = train_state_from_bytes(read_file(file), file.string());
    return found.has_best && found.best_step == state.best_step && found.best_value == state.best_value && found.data_digest == state.data_digest;
  } catch (const Error&) {
    return false;  // absent, unfinished or damaged
  }
}

std::filesystem::path best_beside(const std::filesystem::path& checkpoint) {
  const std::filesystem::path full = std::filesystem::absolute(checkpoint).lexically_normal();
  return (full.has_filename() ? full : full.parent_path()).parent_path() / "best";
}

}  // namespace

bool improves(const TrainState& state, std::optional<double> value, bool smaller_is_better) {
  if (!value || !std::isfinite(*value)) return false;
  if (!state.has_best || !std::isfinite(state.best_value)) return true;
  return smaller_is_better ? *value < state.best_value : *value > state.best_value;
}

bool settle_best(const Communicator& comm, const std::filesystem::path& run_dir, const std::filesystem::path& from, TrainState& state) {
  if (!state.has_best) return true;
  const std::filesystem::path there = best_beside(from);
  enum : std::int64_t { nowhere, elsewhere, here };
  std::array<std::int64_t, 1> place{nowhere};
  if (comm.rank() == 0) place[0] = is_best_of(run_dir / "best", state) ? here : is_best_of(there, state) ? elsewhere : nowhere;
  comm.broadcast(std::as_writable_bytes(std::span(place)), 0);
  if (place[0] == elsewhere) copy_checkpoint(comm, run_dir, there.string(), "best");
  if (place[0] != nowhere) return true;
  state.has_best = false;
  state.best_value = 0;
  state.best_step = 0;
  return false;
}

}  // namespace tributary
