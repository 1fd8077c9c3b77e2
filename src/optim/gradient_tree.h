// Adds the leaves' gradients of a step for one stage on this rank, block by block as backward finishes them, and tells which buckets are final.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "optim/slice_exchange.h"
#include "optim/tree.h"
#include "pipeline/gradient_sink.h"
#include "pipeline/stage_layout.h"

namespace tributary {

// A leaf is added to its left neighbour at once where the tree allows it: no buffer of its own, no pass over memory more than needed.
class GradientTree final : public GradientSink {
 public:
  // Keeps references to both; buckets: as make_buckets().
  GradientTree(const StageLayout& stage, SliceExchange& exchange, std::vector<Bucket> buckets, Reduction reduction);

  // Begins a step: this rank owns leaves [first, last) of `leaves`. The exchange has begun the same step.
  void start(std::int64_t leaves, std::int64_t first, std::int64_t last);

  void add(std::int64_t leaf, std::size_t block, const std::vector<at::Tensor>& gradients) override;

  // Throws: Error{internal} unless all leaves were added.
  void check_finished() const;

 private:
  void begin(std::int64_t leaf);
  void add_use(const ParameterUse& use, const at::Tensor& gradient);

  const StageLayout& stage_;
  SliceExchange& exchange_;
  std::vector<Bucket> buckets_;
  Reduction reduction_;
  std::unique_ptr<TreeCounter> counter_;
  std::vector<at::Tensor> held_;  // partial sums, left to right: number n is the exchange's partial(n)
  std::int64_t next_ = 0, last_ = 0;
  bool inside_ = false;  // a leaf, between its first block and its last
  int due_ = 0;          // additions that the leaf allows; 0: it begins a partial sum
  std::size_t ready_ = 0;
};

// Sums over the leaves of a step, in double, on every rank. `values`: [own leaves, width]. Collective: all ranks.
[[nodiscard]] std::vector<double> reduce_scalars(const Communicator& comm, const std::vector<std::int64_t>& bounds, std::int64_t width,
                                                 const std::vector<double>& values);

}  // namespace tributary
