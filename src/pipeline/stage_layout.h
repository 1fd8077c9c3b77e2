// What each stage of a cut model holds: its parameters, and where the gradients of its blocks stand. Pure; one stage is the whole model.
//
// A parameter that several blocks use is trained by the stage of its first use; other stages hold a copy, which they are sent after every update. The gradient
// of each use is added up over the leaves by itself, and only then are the uses added, in order of their blocks: the bits do not depend on the cut, and a
// shared parameter costs messages once a step, not once a leaf.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "model/block.h"
#include "model/parameters.h"

namespace tributary {

struct ParameterUse {
  std::size_t entry = 0;      // of the stage's layout
  std::int64_t gradient = 0;  // where the use's gradient stands in the stage's buffer, in elements; -1: frozen
};

struct StageLayout {
  std::size_t first = 0, last = 0;  // blocks [first, last) of the model
  ParameterLayout parameters;
  std::vector<std::vector<ParameterUse>> uses;  // [blocks of the stage][parameters of the block]
  std::int64_t gradient = 0;                    // elements of a gradient buffer: what the stage trains, as in `parameters`, then its later uses
};

// A use of a shared parameter behind its first one.
struct LaterUse {
  std::size_t block = 0;      // in the model
  int stage = 0, owner = 0;   // where the block is; where the parameter is trained
  std::size_t entry = 0;      // of the owner's layout
  std::int64_t gradient = 0;  // where it stands in the buffer of `stage`
};

struct ModelLayout {
  ParameterLayout whole;  // the model in one piece: the order of checkpoints and norms
  std::vector<StageLayout> stages;
  std::vector<LaterUse> later;  // ascending by block: the order in which they are added to the first use
};

// first_blocks: of each stage, ascending, beginning with 0. Throws: Error{internal} for another cut, or a block that names an unknown parameter or one twice.
[[nodiscard]] ModelLayout lay_out(const BlockList& model, const std::vector<std::size_t>& first_blocks);

// The arenas of the stages `own` out of that of the whole model.
[[nodiscard]] std::vector<at::Tensor> cut_arena(const ModelLayout& layout, const at::Tensor& whole, const std::vector<int>& own);

// A gradient of the whole model, [trainable], from that of its one stage: later uses added. Throws: Error{internal} for a model of several stages.
[[nodiscard]] at::Tensor fold_uses(const ModelLayout& layout, const at::Tensor& gradient);

}  // namespace tributary
