// A run that begins with published encoder weights (text.pretrained): the sizes they decide, and the weights themselves.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <string>

#include "base/config.h"
#include "base/log.h"
#include "checkpoint/serving/encoder_folder.h"
#include "comm/communicator.h"
#include "shards/catalogue.h"
#include "train/run_settings.h"

namespace tributary {

// What text.pretrained of `settings` decides; nothing where it is empty. Rank 0 reads the folder's config.json; where the folder is gone, a run that goes on
// (`resume` as in ResumeChoice) takes the sizes from the checkpoint it goes on from.
// Collective: all ranks. Throws on all ranks together: Error{missing, data, io}.
[[nodiscard]] std::optional<EncoderArchitecture> pretrained_architecture(const Communicator& comm, const RunSettings& settings, const std::string& resume);

// Sets [text] to what the folder says. Throws: Error{configuration} with one line for each key that was given another value.
void apply_architecture(const Configuration& configuration, const EncoderArchitecture& found, TextConfig& text);

// Fills the encoder's parameters on every rank from the folder, which rank 0 reads, and for text_mlm the decoder's where the folder has one. Returns the digest
// of the encoder. Collective: all ranks. Throws on all ranks together: Error{data} also when the vocabulary or the tokenizer of the shards is not the
// folder's.
[[nodiscard]] std::string load_pretrained(const Communicator& comm, const Log& log, const RunSettings& settings, const Catalogue& catalogue,
                                          const ParameterLayout& layout, const at::Tensor& parameters);

}  // namespace tributary
