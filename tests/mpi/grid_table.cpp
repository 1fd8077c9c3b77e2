// The same bits on any grid: whole runs of the trainer, 10 steps each, against a run on one rank: parameters, moments, losses and norms, bit for bit. And fast
// reduction on all ranks against it, within a tolerance.
// Usage: mpi_grid_table [--exhaustive RESULTS]. The cases of this number of ranks, of the covering set or of the whole table (grid_cases.h). RESULTS gets a
// line of JSON a case. Exit code 1 when some case is not equal.
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "model/registry.h"
#include "support/grid_cases.h"
#include "support/random_source.h"
#include "support/shared_folder.h"
#include "train/trainer.h"

namespace tributary {
namespace {

using testing_support::GridCase;
using testing_support::named;

constexpr int steps = 10, middle = 5;
constexpr double fast_tolerance = 1e-6;  // of a loss: sums of another order differ by rounding alone, which 10 steps hardly amplify (5e-8 was measured)

// Sizes that are small, unequal and odd; at least 8 blocks, so that 4 ranks can have 2 stages each. Dropout is on.
std::vector<std::string> settings_of(const GridCase& one, const std::filesystem::path& shards, const std::filesystem::path& run) {
  std::vector<std::string> settings = {"data.shards=" + shards.string(),
                                       "run.dir=" + run.string(),
                                       "data.window_tokens=16",
                                       "data.window_stride=10",
                                       "train.seed=3",
                                       "train.micro_batch=4",
                                       fmt::format("train.global_batch={}", 4 * one.leaves),
                                       fmt::format("train.steps={}", steps),
                                       "train.evaluate_every=1000",
                                       fmt::format("checkpoint.every={}", middle),
                                       "checkpoint.keep=2",
                                       "optim.learning_rate=5e-3",
                                       "optim.warmup_steps=3",
                                       "text.width=12",
                                       "text.heads=2",
                                       "text.intermediate=20",
                                       "text.positions=16",
                                       "lstm.layers=2",
                                       "lstm.width=10",
                                       "cnn.pairs=[[3, 1], [2, 2]]",
                                       "cnn.filters=3",
                                       "attention.heads=2",
                                       "attention.head_width=5",
                                       one.sharded ? "optim.sharded=true" : "optim.sharded=false",
                                       one.recompute ? "parallel.recompute=[\"all\"]" : "parallel.recompute=[]",
                                       fmt::format("parallel.pipeline={}", one.pipeline)};
  const auto add = [&](const std::string& setting) { settings.push_back(setting); };
  if (one.family == "text_mlm") {
    add("model.family=text_mlm");
    add("text.layers=7");
  } else {
    add("text.layers=1");
  }
  if (one.family == "lm_hhda tokens") {
    add("model.mode=tokens");
    add("heads.tasks=['diagnosis', 'interacts']");
    add("heads.relation_layers=[6, 5]");
    add("data.negatives=2");
  }
  if (one.schedule != "-") add("parallel.schedule=" + one.schedule);
  if (one.schedule == "interleaved" || one.schedule == "zb_v") add("parallel.virtual_stages=2");
  if (one.reducer != "-") add("parallel.reducer=" + one.reducer);
  return settings;
}

struct Outcome {
  std::string tensors;             // digest of parameters and moments after the last step
  std::vector<std::string> steps;  // losses, norm and learning rate of each
};

std::vector<nlohmann::json> events_of(const std::filesystem::path& run) {
  std::vector<nlohmann::json> found;
  std::ifstream events(run / "events.jsonl");
  for (std::string line; std::getline(events, line);)
    if (nlohmann::json event = nlohmann::json::parse(line); event.at("event") == "step") found.push_back(std::move(event));
  return found;
}

std::vector<double> losses_of(const std::filesystem::path& run) {
  std::vector<double> losses;
  for (const nlohmann::json& event : events_of(run)) losses.push_back(event.at("loss").get<double>());
  return losses;
}

Outcome outcome_of(const std::filesystem::path& run) {
  Outcome outcome{load_manifest(run / checkpoint_name(steps)).content_digest(), {}};
  for (const nlohmann::json& event : events_of(run)) {
    nlohmann::json numbers;
    for (const char* name : {"step", "leaves", "loss", "task_losses", "gradient_norm", "learning_rate", "applied"}) numbers[name] = event.at(name);
    outcome.steps.push_back(numbers.dump());
  }
  return outcome;
}

// A run that others are compared with: one that stood still, or whose numbers are none, would be equal to as bad ones.
void expect_training(const std::filesystem::path& run) {
  const std::vector<nlohmann::json> events = events_of(run);
  check(events.size() == steps, "{}: {} steps", run.string(), events.size());
  for (const nlohmann::json& event : events) {
    const bool sound = event.at("applied").get<bool>() && event.at("loss").is_number() && std::isfinite(event.at("loss").get<double>());
    check(sound, "{}: a step was skipped, or its loss is not finite: {}", run.string(), event.dump());
  }
  const Manifest before = load_manifest(run / checkpoint_name(middle)), after = load_manifest(run / checkpoint_name(steps));
  std::size_t all = 0, moved = 0;
  for (const TensorRecord& tensor : before.tensors) {
    if (!tensor.tensor.name.starts_with("model/")) continue;
    ++all;
    moved += after.find(tensor.tensor.name)->digest == tensor.digest ? 0 : 1;
  }
  check(all > 10 && moved == all, "{}: {} of {} parameters moved between steps {} and {}", run.string(), moved, all, middle, steps);
}

// What differs from the run on one rank; empty: nothing.
std::string difference(const Outcome& found, const Outcome& wanted, const GridCase& one) {
  const std::size_t compared = one.resumed ? steps - middle : steps;
  if (found.steps.size() != compared || wanted.steps.size() != steps)
    return fmt::format("{} steps to compare with {}, {} expected", found.steps.size(), wanted.steps.size(), compared);
  for (std::size_t s = 0; s < compared; ++s)
    if (const std::string& other = wanted.steps[steps - compared + s]; found.steps[s] != other) return found.steps[s] + " is not " + other;
  if (found.steps.front().find(fmt::format("\"leaves\":{}", one.leaves)) == std::string::npos) return "the first step has another number of leaves";
  return found.tensors == wanted.tensors ? "" : "parameters or moments after the last step";
}

// The runs of one job, in folders of their own.
class Job {
 public:
  Job(const Communicator& world, std::vector<GridCase> cases, const std::filesystem::path& folder)
      : world_(world), cases_(std::move(cases)), folder_(folder), shards_(folder / "shards"), silence_(std::fopen("/dev/null", "w")) {
    test::RandomSource source;
    write_shards(world_, source, shards_, test::random_write_options({}));
    Log(world_.rank()).once("{} cases on {} ranks", cases_.size(), world_.size());
  }

  // The references, dealt to ranks.
  void prepare() {
    std::size_t number = 0;
    std::vector<GridCase> references;
    for (const GridCase& one : cases_)
      if (const GridCase reference = reference_of(one); std::find(references.begin(), references.end(), reference) == references.end())
        references.push_back(reference);
    for (const GridCase& reference : references) {
      const auto place = folder_ / fmt::format("reference-{}", number);
      folders_[named(reference)] = place;
      if (number++ % static_cast<std::size_t>(world_.size()) != static_cast<std::size_t>(world_.rank())) continue;
      run(Communicator::self(), reference, place, "never");
      expect_training(place);
    }
    world_.barrier();
  }

  // Number of cases that are not equal; a line of each to `results` on rank 0. Collective.
  int compare_all(std::FILE* results) {
    int differing = 0;
    for (const GridCase& one : cases_) {
      const Stopwatch watch;
      const std::string from = one.resumed ? (folder_of(donor_of(cases_, one, world_.size())) / checkpoint_name(middle)).string() : "never";
      const std::filesystem::path place = on_ranks(one, from);
      if (world_.rank() != 0) continue;
      const std::string differs = difference(outcome_of(place), outcome_of(folders_.at(named(reference_of(one)))), one);
      differing += differs.empty() ? 0 : 1;
      fmt::print("{:.1f} s  {}: {}\n", watch.elapsed_s(), named(one), differs.empty() ? "equal" : "DIFFERENT: " + differs);
      std::fflush(stdout);
      if (results != nullptr)
        fmt::print(
            results, "{}\n",
            nlohmann::json{{"family", one.family}, {"grid", one.grid()}, {"schedule", one.schedule}, {"resumed", one.resumed}, {"equal", differs.empty()}}
                .dump());
    }
    return differing;
  }

  // Whether fast reduction on all ranks keeps within its tolerance, for every family. Collective.
  bool fast_is_close() {
    bool close = true;
    for (const char* family : {"lm_hhda timeline", "lm_hhda tokens", "text_mlm"}) {
      const GridCase one{family, world_.size(), 1, "-", world_.size() > 1 ? "window" : "-", true, false, 7, false};
      const auto place = folder_ / fmt::format("fast-{}", ++runs_);
      const auto exact = folder_of(reference_of(one));
      run(world_, one, place, "never", "fast");
      if (world_.rank() != 0) continue;
      const std::vector<double> wanted = losses_of(exact), found = losses_of(place);
      check(wanted.size() == steps && found.size() == steps, "{} and {} losses to compare", wanted.size(), found.size());
      double largest = 0;
      for (std::size_t s = 0; s < wanted.size(); ++s) largest = std::max(largest, std::abs(found[s] / wanted[s] - 1));
      close = close && largest <= fast_tolerance;
      fmt::print("{}, {} leaves, fast on {} ranks: losses differ by at most {:.1e} of their value, {:.0e} is allowed\n", family, one.leaves, world_.size(),
                 largest, fast_tolerance);
    }
    return close;
  }

 private:
  void run(const Communicator& comm, const GridCase& one, const std::filesystem::path& place, const std::string& from, const std::string& reduction = "exact") {
    std::vector<std::string> settings = settings_of(one, shards_, place);
    settings.push_back("numerics.reduction=" + reduction);
    if (one.pipeline > 1) settings.push_back("parallel.partition=" + even_partition(settings));
    const LoadedSettings loaded = parse_run_settings("", "the table of grids", settings);
    const RunSummary summary = train(comm, Log(comm.rank(), silence_.get()), loaded, {from}, {});
    check(summary.end == RunEnd::finished && summary.step == steps, "{}: ended after step {}", named(one), summary.step);
  }

  // Stages of nearly equal numbers of blocks: nothing needs to be measured.
  [[nodiscard]] std::string even_partition(const std::vector<std::string>& overrides) const {
    const RunSettings settings = parse_run_settings("", "the table of grids", overrides).settings;
    const auto blocks =
        static_cast<std::int64_t>(build_model(settings.model, schema_, static_cast<std::int64_t>(test::random_vocabulary().size())).blocks.size());
    const std::int64_t stages = settings.parallel.pipeline * settings.parallel.virtual_stages;
    check(blocks >= 8, "{} blocks", blocks);
    std::vector<std::int64_t> counts;
    for (std::int64_t s = 0; s < stages; ++s) counts.push_back(blocks * (s + 1) / stages - blocks * s / stages);
    return fmt::format("[{}]", fmt::join(counts, ", "));
  }

  // The ranks that the case needs run it, the others wait. Collective.
  std::filesystem::path on_ranks(const GridCase& one, const std::string& from) {
    const std::filesystem::path place = folder_ / fmt::format("run-{}", ++runs_);
    if (one.ranks() == world_.size())
      run(world_, one, place, from);
    else if (world_.rank() == 0)
      run(Communicator::self(), one, place, from);
    world_.barrier();
    folders_[named(one)] = place;
    return place;
  }

  std::filesystem::path folder_of(const GridCase& donor) {
    const auto found = folders_.find(named(donor));
    if (found != folders_.end()) return found->second;
    return on_ranks(donor, "never");
  }

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const Communicator& world_;
  std::vector<GridCase> cases_;
  std::filesystem::path folder_, shards_;
  Schema schema_ = test::random_schema({});
  std::unique_ptr<std::FILE, Close> silence_;
  std::map<std::string, std::filesystem::path> folders_;  // of what has run
  int runs_ = 0;
};

int run_job(const Communicator& world, const std::vector<std::string>& arguments) {
  const bool exhaustive = arguments.size() == 2 && arguments[0] == "--exhaustive";
  if (!exhaustive && !arguments.empty()) fail(ErrorKind::configuration, "usage: mpi_grid_table [--exhaustive RESULTS]");
  const std::vector<GridCase> all = exhaustive ? testing_support::table_cases() : covering_set(testing_support::every_case());
  const test::SharedFolder folder(world);
  Job job(world, cases_of_job(all, world.size()), folder.path());
  job.prepare();
  std::FILE* results = exhaustive && world.rank() == 0 ? std::fopen(arguments[1].c_str(), "w") : nullptr;
  if (exhaustive && world.rank() == 0 && results == nullptr) fail(ErrorKind::cannot_create, "{}: cannot be written", arguments[1]);
  const int differing = job.compare_all(results);
  if (results != nullptr) std::fclose(results);
  const bool close = job.fast_is_close();
  std::array<std::int64_t, 1> failed{differing > 0 || !close ? 1 : 0};
  world.maximum(failed);
  return static_cast<int>(failed[0]);
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  const tributary::MpiRuntime runtime(argc, argv);
  const auto world = tributary::Communicator::world();
  try {
    return tributary::run_job(world, {argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", world.rank(), error.what());
    tributary::abort_all(1);
  }
}
