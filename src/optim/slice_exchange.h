// Between the ranks that hold the same stage: their partial sums become slices of the sum (a reduce-scatter), updated slices become whole weights (an
// all-gather). One small interface; what every backend must do is told by tests/support/slice_exchange_conformance.h.
#pragma once

#include <ATen/ATen.h>

#include <cstddef>
#include <vector>

#include "optim/slices.h"
#include "optim/sum_plan.h"

namespace tributary {

class SliceExchange {
 public:
  virtual ~SliceExchange() = default;

  // Memory for so many partial sums, which a step would take where it is short of them. Collective: all ranks of the exchange. Throws: Error{launch}.
  virtual void reserve(std::size_t partials) = 0;

  // Begins a step; what finish() gave before is no longer valid. Collective: all ranks of the exchange. Blocks: until all of the node are here.
  // Throws: Error{launch} when there is no memory for the plan's partial sums.
  virtual void start(SumPlan plan) = 0;

  // This rank's n-th partial sum, [elements of the stage's buffer]; holds what was there before, 0 where nothing was ever written.
  [[nodiscard]] virtual at::Tensor partial(std::size_t n) = 0;

  // The first `buckets` buckets of all partial sums of this rank are final. What can be done without waiting is done.
  virtual void ready(std::size_t buckets) = 0;

  // This rank's slices of the sum, as slice_gradient(), valid until the next start(). Collective. Blocks: until all ranks' buckets are ready.
  [[nodiscard]] virtual std::vector<at::Tensor> finish() = 0;

  // An arena with the values of `weights` (or of a whole sum, [trained]) for share_weights(); its ranks may see one and the same memory, so all give the same
  // values. Collective.
  [[nodiscard]] virtual at::Tensor place_weights(const at::Tensor& weights) = 0;

  // Every rank has updated its slice of an arena that place_weights() gave: afterwards every rank sees all of them. Collective.
  virtual void share_weights(const at::Tensor& arena) = 0;

  // Blocks: until all ranks that see the same weights are here. Collective.
  virtual void meet() = 0;
};

}  // namespace tributary
