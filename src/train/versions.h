// What a run was computed with: for `version`, for run.json, and for exact mode, which refuses a mixture.
#pragma once

#include <string>

namespace tributary {

struct Versions {
  std::string program;
  std::string compiler;
  std::string libtorch;
  std::string hdf5;
  std::string mpi;
  std::string processor;  // the widest instructions ATen uses here, e.g. AVX2
  bool cuda = false;      // built in
  std::string nccl;       // empty: not built in
  bool operator==(const Versions&) const = default;
};

[[nodiscard]] Versions collect_versions();
[[nodiscard]] std::string to_json(const Versions& versions);
[[nodiscard]] Versions versions_from_json(const std::string& text);  // what to_json wrote

}  // namespace tributary
