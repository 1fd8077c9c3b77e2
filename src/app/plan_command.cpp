#include <memory>

#include "app/commands.h"
#include "base/files.h"
#include "comm/agree.h"
#include "model/registry.h"
#include "train/compute.h"
#include "train/evaluator.h"
#include "train/plan_report.h"

namespace tributary {
namespace {

struct PlanArguments {
  std::string path;
  std::vector<std::string> overrides;
  int ranks = 0;
  std::string svg;
};

void run(const Session& session, const PlanArguments& options) {
  const LoadedSettings loaded = load_run_settings(session.world, options.path, options.overrides);
  const RunSettings& settings = loaded.settings;
  const DataSet data = open_data_set(session.world, settings.data.shards, verify_named(settings.data.verify));
  const ProcessGrid ranks(session.world.split(0, session.world.rank()), {session.world.size(), 1});
  const Compute compute = prepare_compute(settings, ranks);
  agreed(session.world, [&] {
    if (session.world.rank() != 0) return;
    require_training_records(data);
    const auto pipeline = static_cast<int>(settings.parallel.pipeline);
    const int alone = settings.parallel.data == "auto" ? pipeline : pipeline * std::stoi(settings.parallel.data);
    const GridShape grid = grid_shape(options.ranks > 0 ? options.ranks : alone, settings.parallel.data, pipeline);
    const BlockList model = build_model(settings.model, data.catalogue.schema, static_cast<std::int64_t>(data.catalogue.vocabulary.size()));
    const Schema schema = schema_of_model(settings.model, data.catalogue.schema);
    const BatchPlan batches(data.index, schema.tasks, plan_options(settings, model));
    const std::vector<int> one_node(static_cast<std::size_t>(grid.data * grid.pipeline), 0);
    ReducerChoice sums = choose_reducer(settings.parallel.reducer, compute.device.type(), grid, place_ranks(grid, one_node), one_node);
    sums.why += " (were all ranks on one node)";
    const PlanQuestion question{
        settings, model, measure_run(settings, model, compute, data, Workload::training), grid.data, leaves_of_steps(batches, settings.train), sums};
    const StagePlan plan = plan_stages(question);
    const Timeline timeline = plan_timeline(question, plan.partition);
    fmt::print("{}", plan_report(question, plan, timeline));
    if (options.svg.empty()) return;
    write_file(options.svg, plan_picture(question, timeline));
    fmt::print("{}: the timeline of a step\n", options.svg);
  });
}

}  // namespace

void add_plan(CLI::App& root, const Session& session) {
  CLI::App* command = root.add_subcommand("plan", "Measure what each block of a model costs and say how a pipeline would be cut and run");
  auto options = std::make_shared<PlanArguments>();
  command->add_option("CONFIG", options->path, "configuration file (TOML)")->required();
  command->add_option("--set", options->overrides, "section.key=value in place of the file's; may be given several times")->allow_extra_args(false);
  command->add_option("--ranks", options->ranks, "ranks the run will have; 0: one pipeline")->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_option("--svg", options->svg, "file for a picture of a step's timeline");
  command->footer(
      "Example:\n  tributary plan launch/configs/bc5cdr.toml --set parallel.pipeline=4 --set parallel.schedule=zb_h1 --ranks 8 --svg runs/plan.svg");
  command->callback([&session, options] { run(session, *options); });
}

}  // namespace tributary
