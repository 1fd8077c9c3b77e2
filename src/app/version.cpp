#include <memory>

#include "app/commands.h"
#include "train/versions.h"

namespace tributary {
namespace {

std::string plain(const Versions& v) {
  std::string text = fmt::format("tributary {}\n", v.program);
  for (const auto& [name, value] : {std::pair<const char*, std::string>{"LibTorch", v.libtorch},
                                    {"HDF5", v.hdf5},
                                    {"MPI", v.mpi},
                                    {"compiler", v.compiler},
                                    {"processor", v.processor},
                                    {"CUDA", v.cuda ? "built in" : "not built in"},
                                    {"NCCL", v.nccl.empty() ? "not built in" : v.nccl}})
    text += fmt::format("  {:<10} {}\n", name, value);
  return text;
}

}  // namespace

void add_version(CLI::App& root, const Session& session) {
  CLI::App* command = root.add_subcommand("version", "Say what this program is and what it was built with");
  command->footer("Examples:\n  tributary version\n  tributary version --json");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "as JSON");
  command->callback([&session, json] {
    if (session.world.rank() != 0) return;
    const Versions versions = collect_versions();
    fmt::print("{}", *json ? to_json(versions) + "\n" : plain(versions));
  });
}

}  // namespace tributary
