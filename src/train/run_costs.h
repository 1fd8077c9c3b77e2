// What the blocks of a run cost: measured once before it, on leaves of its own data.
#pragma once

#include <functional>
#include <vector>

#include "comm/communicator.h"
#include "model/block.h"
#include "schedule/partition.h"
#include "train/compute.h"
#include "train/data_set.h"
#include "train/run_settings.h"

namespace tributary {

enum class Workload {
  training,
  evaluation  // forwards alone, of any split
};

// Measured on this rank: on the first leaves of a training step, or of an evaluation of the first split that has records; with a note cache the encoder
// costs nothing. `alive` is called after each leaf that is read and each operation of a block. There are such records. No communication. Throws: Error{data,
// io, missing}.
[[nodiscard]] std::vector<BlockCost> measure_run(const RunSettings& settings, const BlockList& model, const Compute& compute, const DataSet& data,
                                                 Workload workload, const std::function<void()>& alive = {});

// Of blocks whose cut nobody chooses by their costs: they cost nothing.
[[nodiscard]] std::vector<BlockCost> no_costs(const BlockList& model);

// What rank 0 measures, on every rank; meanwhile `alive` is called on all of them. Collective: all ranks of `comm`. Throws on all ranks together: as
// measure_run().
[[nodiscard]] std::vector<BlockCost> measured_by_rank_0(const Communicator& comm, const RunSettings& settings, const BlockList& model, const Compute& compute,
                                                        const DataSet& data, Workload workload, const std::function<void()>& alive);

// Stands in for the hidden states of a note cache, which need not be there yet: zeros of the same shape. width: TextConfig::width
[[nodiscard]] at::Tensor made_up_hidden(const Batch& batch, const BlockList& model, std::int64_t width);

}  // namespace tributary
