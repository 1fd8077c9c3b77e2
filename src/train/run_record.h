// run.json: with what, on what and from what a run was computed; and the check that exact mode makes of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/process_grid.h"
#include "optim/gradient_tree.h"
#include "train/run_settings.h"
#include "train/versions.h"

namespace tributary {

struct RankMachine {
  std::string host;
  std::string gpu;  // that the rank computes on; empty: its processor
  Versions versions;
};

// What every rank runs on, in rank order, on every rank. Collective: all ranks.
[[nodiscard]] std::vector<RankMachine> gather_machines(const Communicator& comm, const std::string& gpu = {});

// Throws: Error{launch}, on all ranks together, when exact reduction would mix processors, GPUs or LibTorch versions: which ranks differ, and what to do.
void require_equal_machines(const std::vector<RankMachine>& machines, Reduction reduction);

// What the bits of a run depend on beside its settings and its data, as JSON: library and processor.
[[nodiscard]] std::string bits_depend_on(const RankMachine& machine);

struct RunFacts {
  std::string settings_json, settings_digest;
  std::string data_directory, data_digest;
  std::int64_t parameters = 0, trainable = 0;
  std::int64_t first_step = 0;  // 0, or the step it goes on from
  std::int64_t total_steps = 0;
  std::string resumed_from;  // a checkpoint, or empty
  GridShape grid;
  std::string encoder;  // JSON: folder and digest of the pretrained encoder that the run began with, or null
};

// Starts of the same run are kept as a list. Rank 0 calls it. Throws: Error{cannot_create, io}.
void write_run_record(const std::filesystem::path& path, const RunFacts& facts, const std::vector<RankMachine>& machines);

}  // namespace tributary
