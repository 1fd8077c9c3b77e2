// text.cache: every note encoded once by a frozen encoder and kept in files, so that training reads embeddings in place of running the encoder. A model that
// reads marked pairs has there, of each candidate pair of each record, the hidden state of its sequence's [CLS].
// On a CPU in float32 a sequence's hidden state depends on that sequence alone, bit for bit, whatever it is packed with; so what is read equals what would be
// computed. On a GPU and in half precision it equals it up to rounding.
//
// <text.cache>/<key>/part-00000-segment-000000: the hidden states of the rows of one chunk of a part. The key is a digest over all that decides the values:
// encoder, data, tokenizer, windows or markers, precision, instruction set. A segment appears under its name whole, so a build that was cut off goes on.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "batches/hidden_source.h"
#include "comm/communicator.h"
#include "train/compute.h"
#include "train/data_set.h"
#include "train/network.h"
#include "train/run_settings.h"

namespace tributary {

struct NoteCacheInputs {
  const RunSettings& settings;
  const DataSet& data;
  const Network& network;
  Compute compute;                               // of the encoder
  std::function<at::Tensor()> whole_parameters;  // gives the arena of the whole model, in host memory; called by all ranks, or by none where there is no cache
  std::string computed_with;                     // library and processor, on which the bits depend
  std::function<void()> alive;                   // called after each segment and each pack of it
};

enum class CacheBuild {
  missing,  // segments that lack or are damaged are computed
  nothing   // a cache that is not whole is not used
};

// Null where text.cache is empty, where the data set has no notes, and with CacheBuild::nothing where the cache is not whole. Every segment is checked
// against its digest, dealt to ranks. Collective: all ranks. Throws on all ranks together: Error{cannot_create, io, data}.
[[nodiscard]] std::unique_ptr<HiddenSource> open_note_cache(const Communicator& comm, const Log& log, const NoteCacheInputs& inputs, CacheBuild build);

}  // namespace tributary
