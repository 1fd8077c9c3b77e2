#include "app/command_line.h"

#include <iostream>
#include <sstream>

#include "base/error.h"
#include "base/nearest.h"

namespace tributary {

// One line a command, in the order of the help. The commands of `tributary shards` go to shards_group(root).
void add_commands(CLI::App& root, const Session& session) {
  add_shards_synth(shards_group(root), session);
  add_shards_inspect(shards_group(root), session);
  add_shards_verify(shards_group(root), session);
  add_shards_retokenize(shards_group(root), session);
  add_shards_vocab(shards_group(root), session);
  add_shards_build(shards_group(root), session);
  add_export(root, session);
  add_checkpoint(root, session);
  add_train(root, session);
  add_plan(root, session);
  add_evaluate(root, session);
  add_config(root, session);
  add_version(root, session);
}

CLI::App& shards_group(CLI::App& root) {
  for (CLI::App* made : root.get_subcommands([](const CLI::App* child) { return child->get_name() == "shards"; })) return *made;
  CLI::App& group = *root.add_subcommand("shards", "Make, inspect and verify data sets");
  group.require_subcommand(1);
  group.footer(
      "Examples:\n"
      "  tributary shards synth --out runs/shards --records 6000\n"
      "  tributary shards inspect runs/shards");
  return group;
}

namespace {

// The first word that should name a command and does not, with a suggestion; empty when all do.
std::string unknown_command(const CLI::App& root, int argc, const char* const* argv) {
  const CLI::App* command = &root;
  std::string path = root.get_name();
  for (int i = 1; i < argc && std::string_view(argv[i]).substr(0, 1) != "-"; ++i) {
    std::vector<std::string> names;
    for (const CLI::App* child : command->get_subcommands([](const CLI::App*) { return true; })) names.push_back(child->get_name());
    if (names.empty()) return "";
    const CLI::App* next = nullptr;
    for (const CLI::App* child : command->get_subcommands([](const CLI::App*) { return true; }))
      if (child->get_name() == argv[i]) next = child;
    if (next == nullptr) return fmt::format("unknown command \"{}\"; did you mean \"{} {}\"? See {} --help", argv[i], path, nearest(argv[i], names), path);
    command = next;
    path += " " + next->get_name();
  }
  return "";
}

int report_usage(const CLI::App& root, const CLI::ParseError& error, int argc, const char* const* argv, const Session& session) {
  std::ostringstream out, err;
  const int code = root.exit(error, out, err);
  if (session.world.rank() == 0) {
    const std::string unknown = code == 0 ? "" : unknown_command(root, argc, argv);
    std::cout << out.str() << std::flush;
    if (code != 0) std::cerr << "tributary: " << (unknown.empty() ? err.str() : unknown + "\n") << std::flush;
  }
  return code == 0 ? 0 : static_cast<int>(ErrorKind::configuration);
}

}  // namespace

int run_command_line(int argc, const char* const* argv, const Session& session) {
  CLI::App root("Tributary trains multimodal clinical models on MPI ranks that own HDF5 shards of records.", "tributary");
  root.require_subcommand(1);
  root.failure_message(CLI::FailureMessage::simple);
  root.get_formatter()->column_width(34);
  root.footer(
      "Every command runs alone or under mpirun -n k (srun --mpi=pmix in Slurm).\n"
      "Examples:\n"
      "  tributary config check launch/configs/quickstart.toml\n"
      "  tributary config show launch/configs/quickstart.toml --set train.steps=20 --origin\n"
      "  tributary version --json\n"
      "Exit codes: 0 done, 64 configuration, 65 bad data or checkpoint, 66 input missing, 68 internal fault, 69 launch problem,\n"
      "70 numerical, 73 cannot create, 74 I/O, 75 preempted and saved (requeue), 76 watchdog.");
  add_commands(root, session);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_usage(root, error, argc, argv, session);
  } catch (const ExitCode& exit) {
    return exit.code;
  }
  return 0;
}

}  // namespace tributary
