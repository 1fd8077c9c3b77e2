// The model of a run: its blocks, where its parameters lie, and the engine that runs this rank's stages.
#pragma once

#include "model/block.h"
#include "model/model_config.h"
#include "pipeline/engine.h"
#include "schedule/graph.h"
#include "shards/catalogue.h"
#include "train/parallel.h"

namespace tributary {

// Stays where it is made: the engine refers to its neighbours.
struct Network {
  // Throws: Error{configuration} when the settings do not fit each other, the data set, or the stages they are to be cut into.
  Network(const ModelSettings& settings, std::int64_t window_tokens, const Catalogue& catalogue, const Parallel& parallel, const Cut& cut,
          EngineOptions options = {});
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  Schema schema;  // that the model's task numbers refer to: the data set's, and behind its tasks those of the family
  BlockList model;
  ModelLayout layout;
  Engine engine;
};

// First values of the stages `own`, an arena each, in host memory: drawn by (seed, name), so equal on every rank and for every cut.
[[nodiscard]] std::vector<at::Tensor> first_parameters(const ModelLayout& layout, const std::vector<int>& own, std::uint64_t seed);

// What keeps a model trained on `trained` from reading `offered`, one line a difference; empty when it fits. Splits, parts and counts may differ.
[[nodiscard]] std::string schema_differences(const Catalogue& trained, const Catalogue& offered);

}  // namespace tributary
