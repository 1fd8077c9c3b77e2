#include "train/versions.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <nlohmann/json.hpp>

#include "base/version.h"
#include "comm/accelerator.h"
#include "comm/communicator.h"
#include "shards/hdf5_version.h"

namespace tributary {

Versions collect_versions() {
  const AcceleratorVersions accelerator = accelerator_versions();
  return {program_version(), compiler_version(), TORCH_VERSION,    hdf5_version(),
          mpi_library_version(), at::get_cpu_capability(), accelerator.cuda, accelerator.nccl};
}

std::string to_json(const Versions& v) {
  const auto or_null = [](const std::string& text) { return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text); };
  const nlohmann::ordered_json json = {{"program", v.program}, {"compiler", v.compiler},   {"libtorch", v.libtorch},   {"hdf5", v.hdf5},
                                       {"mpi", v.mpi},         {"processor", v.processor}, {"cuda", or_null(v.cuda)}, {"nccl", or_null(v.nccl)}};
  return json.dump(2);
}

}  // namespace tributary
