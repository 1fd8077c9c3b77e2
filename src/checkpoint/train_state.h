// The small state of a run beside its tensors: what a resumed run needs to take the same next step as the run that was cut off.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

struct Validation {
  std::int64_t step = 0;
  double value = 0;  // of what train.watch names
  bool operator==(const Validation&) const = default;
};

// Values only; nothing in it depends on the number of ranks, the machine or the clock.
struct TrainState {
  std::int64_t step = 0;     // optimizer steps taken, skipped ones included: the data cursor and the schedule's clock
  std::int64_t updates = 0;  // steps whose update was applied: AdamW's t
  std::uint64_t seed = 0;
  std::int64_t total_steps = 0;  // of the whole run, at which the schedule ends
  std::int64_t skipped_in_row = 0;
  std::int64_t skipped = 0;
  bool has_best = false;
  double best_value = 0;
  std::int64_t best_step = 0;
  std::int64_t validations_without_improvement = 0;
  std::vector<Validation> validations;
  std::string data_digest;      // content digest of the data set
  std::string settings_digest;  // of the settings that decide numbers
  double loss_scale = 0;        // of the next step (LossScale); 0: the run has none
  std::int64_t loss_scale_good_steps = 0;
  bool operator==(const TrainState&) const = default;
};

// Frame: 8 bytes "TRIBSTAT", u32 version, u64 payload bytes, payload (a Boost binary archive), SHA-256 of all before it. Little-endian.
[[nodiscard]] std::string to_bytes(const TrainState& state);

// Throws: Error{data}: not a state, another version (says both), truncated, damaged.
[[nodiscard]] TrainState train_state_from_bytes(std::string_view bytes, const std::string& where);

}  // namespace tributary
