// Wire by NCCL, on the memory of GPUs: sends and receives, nothing else of the library. Two source files implement it; CMake picks one.
#pragma once

#include <memory>

#include "comm/communicator.h"
#include "comm/wire.h"

namespace tributary {

// Between the ranks of `comm`, each with the GPU that use_gpu() gave it. `stream`, `compute`: CUDA streams of that GPU that outlive the wire, for the messages
// and of the computation that they wait for and that waits for them; nullptr: the default stream. A stream of its own lets messages move beside computation.
// Collective: all ranks of `comm`, every call that takes messages too. Blocks: until all ranks are here.
// Throws: on all ranks together Error{launch} with NCCL's words.
[[nodiscard]] std::unique_ptr<Wire> make_nccl_wire(const Communicator& comm, void* stream, void* compute);

}  // namespace tributary
