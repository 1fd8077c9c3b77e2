// Mean and deviation of observed training values, in double: blocks of chunk_rows rows are summed alone and combined in row order, then parts in part
// order, so that the bits do not depend on how many ranks write.
#pragma once

#include <cstdint>
#include <vector>

#include "shards/catalogue.h"
#include "shards/record_block.h"

namespace tributary {

struct Moments {
  double count = 0, mean = 0, squares = 0;  // squares: sum of squared distances from the mean
};

// Channels of all: static first, then each group's.
[[nodiscard]] std::size_t channel_count(const Schema& schema);

// Of each block of chunk_rows rows: [blocks][channels].
[[nodiscard]] std::vector<Moments> block_moments(const Schema& schema, const RecordBlock& block, std::int64_t chunk_rows);

// Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979), eq 2.1.
void combine(Moments& sum, const Moments& next);

[[nodiscard]] Normalisation normalisation_of(const Schema& schema, const std::vector<Moments>& channels);

[[nodiscard]] std::vector<LabelCounts> no_counts(const Schema& schema);
void count_labels(const Schema& schema, const RecordBlock& block, std::vector<LabelCounts>& counts);

}  // namespace tributary
