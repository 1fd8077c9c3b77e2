#include "train/versions.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <nlohmann/json.hpp>

#include "base/version.h"
#include "comm/communicator.h"
#include "comm/gpu.h"
#include "shards/hdf5_version.h"

namespace tributary {

Versions collect_versions() {
  const GpuSupport gpu = gpu_support();
  return {program_version(), compiler_version(), TORCH_VERSION, hdf5_version(), mpi_library_version(), at::get_cpu_capability(), gpu.built, gpu.nccl_version};
}

std::string to_json(const Versions& v) {
  nlohmann::ordered_json json = {{"program", v.program}, {"compiler", v.compiler},   {"libtorch", v.libtorch}, {"hdf5", v.hdf5},
                                 {"mpi", v.mpi},         {"processor", v.processor}, {"cuda", v.cuda},         {"nccl", nullptr}};
  if (!v.nccl.empty()) json["nccl"] = v.nccl;
  return json.dump(2);
}

Versions versions_from_json(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  return {json.at("program"), json.at("compiler"),  json.at("libtorch"), json.at("hdf5"),
          json.at("mpi"),     json.at("processor"), json.at("cuda"),     json.at("nccl").is_null() ? std::string() : json.at("nccl").get<std::string>()};
}

}  // namespace tributary
