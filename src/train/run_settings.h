// All settings of a run: the configuration file of `tributary train` as one value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "batches/data_config.h"
#include "checkpoint/serving/encoder_folder.h"
#include "comm/communicator.h"
#include "model/model_config.h"
#include "optim/optim_config.h"
#include "train/parallel_config.h"
#include "train/train_config.h"

namespace tributary {

struct RunSettings {
  DataConfig data;
  ModelSettings model;
  OptimConfig optim;
  NumericsConfig numerics;
  ParallelConfig parallel;
  TrainConfig train;
  RunConfig run;
  CheckpointConfig checkpoint;
};

[[nodiscard]] std::vector<Section> sections_of(RunSettings& settings);

// What one field list cannot say alone. Throws: Error{configuration} with one line for each fault.
void validate(const RunSettings& settings);

// Throws: Error{launch} with both numbers unless run.ranks is "any" or `ranks`.
void check_ranks(const RunConfig& run, int ranks);

// "3h50m", "90s", "2d", "1h 30m", "120" (seconds) -> seconds; nothing for an empty text. Units: s. Throws: Error{configuration}.
[[nodiscard]] std::optional<double> duration_s(const std::string& text);

struct LoadedSettings {
  RunSettings settings;
  std::string toml;  // printout: reading it back gives the same settings
  std::string json;  // for run.json
  // Of what decides the numbers: without [run], [checkpoint], [parallel], optim.sharded, data.shards, data.verify, text.pretrained, text.cache.
  std::string digest;
};

// Text and overrides over the defaults, then what the folder of text.pretrained says (`encoder`; nothing for the settings of a checkpoint, which say it
// themselves), validated. `file`: how messages call the text. Throws: Error{configuration}.
[[nodiscard]] LoadedSettings parse_run_settings(std::string_view text, const std::string& file, const std::vector<std::string>& overrides,
                                                const std::optional<EncoderArchitecture>& encoder = std::nullopt);

// Rank 0 reads the file, and the folder of text.pretrained where there is one; all ranks parse. `resume`: as in ResumeChoice; where the folder is gone, a run
// that goes on does without it. Collective: all ranks of `comm`. Throws on all ranks together: Error{missing, io, data, configuration, launch}.
[[nodiscard]] LoadedSettings load_run_settings(const Communicator& comm, const std::string& path, const std::vector<std::string>& overrides,
                                               const std::string& resume = "never");

}  // namespace tributary
