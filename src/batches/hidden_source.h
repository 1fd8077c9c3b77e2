// Where a leaf's token embeddings come from when the encoder does not run: a cache of what a frozen encoder made of every note or
// marked pair.
#pragma once

#include <ATen/ATen.h>

#include "batches/batch.h"

namespace tributary {

// Called by one I/O thread at a time.
class HiddenSource {
 public:
  virtual ~HiddenSource() = default;
  // What NoteTensors::hidden is for the batch's windows. Throws: Error{data, io}.
  [[nodiscard]] virtual at::Tensor hidden(const Batch& batch) = 0;
};

}  // namespace tributary
