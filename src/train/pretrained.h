// A run that begins with published encoder weights (text.pretrained): the sizes they decide, and the weights themselves.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <string>

#include "base/config.h"
#include "base/log.h"
#include "checkpoint/serving/encoder_folder.h"
#include "comm/communicator.h"
#include "pipeline/stage_layout.h"
#include "shards/catalogue.h"
#include "train/run_settings.h"

namespace tributary {

// What text.pretrained of `settings` decides; nothing where it is empty. Rank 0 reads the folder's config.json; where the folder is gone, a run that goes on
// (`resume` as in ResumeChoice) takes the sizes from the checkpoint it goes on from.
// Collective: all ranks. Throws on all ranks together: Error{missing, data, io}.
[[nodiscard]] std::optional<EncoderArchitecture> pretrained_architecture(const Communicator& comm, const RunSettings& settings, const std::string& resume);

// Sets [text] to what the folder says. Throws: Error{configuration} with one line for each key that was given another value.
void apply_architecture(const Configuration& configuration, const EncoderArchitecture& found, TextConfig& text);

// The stages that a rank holds, with their arenas in host memory.
struct HeldStages {
  const ModelLayout& layout;
  std::vector<int> own;
  const std::vector<at::Tensor>& arenas;  // one an own stage
};

// Fills the encoder's parameters of the stages that each rank holds from the folder, which rank 0 reads, and for text_mlm the decoder's where the folder has
// one. Rank 0 alone has the whole encoder in memory for that time. Returns the digest of the encoder. Collective: all ranks. Throws on all ranks together:
// Error{data} also when the vocabulary or the tokenizer of the shards is not the folder's.
[[nodiscard]] std::string load_pretrained(const Communicator& comm, const Log& log, const RunSettings& settings, const Catalogue& catalogue,
                                          const HeldStages& held);

}  // namespace tributary
