#include <unistd.h>

#include <memory>
#include <optional>

#include "app/commands.h"
#include "app/environment.h"
#include "base/error.h"
#include "comm/watchdog.h"
#include "train/trainer.h"

namespace tributary {
namespace {

struct TrainOptions {
  std::string path;
  std::vector<std::string> overrides;
  std::string resume = "auto";
  std::optional<std::string> trace;
};

std::string job_id() {
  const auto id = environment("SLURM_JOB_ID");
  return id ? *id : std::string();
}

// Until the settings say how long a rank may wait, the default holds.
LoadedSettings load_watched(const Communicator& world, const TrainOptions& options) {
  Watchdog watchdog(world, static_cast<double>(RunConfig().watchdog_s), {});
  watchdog.progress("read the settings", 0);
  return load_run_settings(world, options.path, options.overrides, options.resume);
}

void run(const Session& session, const TrainOptions& options) {
  const std::optional<TraceSteps> traced = options.trace ? std::optional(parse_trace_steps(*options.trace)) : std::nullopt;
  const LoadedSettings loaded = load_watched(session.world, options);
  const RunSummary summary = train(session.world, session.log, loaded, {options.resume}, {session.started, job_id(), ::isatty(STDERR_FILENO) == 1}, traced);
  if (summary.end == RunEnd::preempted) throw ExitCode{static_cast<int>(ErrorKind::preempted)};
  session.log.once("{} after step {}; best checkpoint: {}", summary.end == RunEnd::finished ? "finished" : "stopped early", summary.step, summary.best);
}

}  // namespace

void add_train(CLI::App& root, const Session& session) {
  CLI::App* command = root.add_subcommand("train", "Train a model; goes on from the newest checkpoint of its run directory");
  auto options = std::make_shared<TrainOptions>();
  command->add_option("CONFIG", options->path, "configuration file (TOML)")->required();
  command->add_option("--set", options->overrides, "section.key=value in place of the file's; may be given several times")->allow_extra_args(false);
  command
      ->add_option("--resume", options->resume,
                   "auto: the newest checkpoint of run.dir, if any; never: run.dir must hold none; or a checkpoint's path, "
                   "later than which run.dir must hold none")
      ->capture_default_str();
  command->add_option("--trace", options->trace,
                      "steps=FIRST:LAST: what each rank did when in these steps, as trace.json in run.dir, for Perfetto (https://ui.perfetto.dev)");
  command->footer(
      "SIGUSR1, SIGUSR2, SIGTERM or run.max_time: all ranks save after the same step and leave with 75.\n"
      "Examples:\n"
      "  tributary train launch/configs/quickstart.toml\n"
      "  mpirun -n 4 tributary train launch/configs/quickstart.toml --set train.steps=200 --set run.dir=runs/a\n"
      "  mpirun -n 2 tributary train launch/configs/quickstart.toml --resume runs/a/step-00000100");
  command->callback([&session, options] { run(session, *options); });
}

}  // namespace tributary
