// Where a leaf's token embeddings come from when the encoder does not run: a cache of what a frozen encoder made of every note.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "batches/batch.h"

namespace tributary {

// Called by one I/O thread at a time.
class HiddenSource {
 public:
  virtual ~HiddenSource() = default;
  // The encoder's last hidden state of the windows of `notes`, which are those of the records `places`: packed, [tokens, d]. Throws: Error{data, io}.
  [[nodiscard]] virtual at::Tensor hidden(const std::vector<RecordPlace>& places, const NoteTensors& notes) = 0;
};

}  // namespace tributary
