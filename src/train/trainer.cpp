#include "train/trainer.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/directory.h"
#include "comm/agree.h"
#include "comm/watchdog.h"
#include "optim/loss_scale.h"
#include "train/best.h"
#include "train/compute.h"
#include "train/data_set.h"
#include "train/evaluator.h"
#include "train/event_log.h"
#include "train/name_waits.h"
#include "train/network.h"
#include "train/note_cache.h"
#include "train/pipeline_plan.h"
#include "train/plan_digest.h"
#include "train/pretrained.h"
#include "train/progress.h"
#include "train/run_lock.h"
#include "train/run_record.h"
#include "train/stop_request.h"
#include "train/sum_memory.h"
#include "train/trace_file.h"
#include "train/train_step.h"

namespace tributary {
namespace {

Reduction reduction_of(const RunSettings& settings) { return settings.numerics.reduction == "exact" ? Reduction::exact : Reduction::fast; }

nlohmann::ordered_json computed_with(const RankMachine& machine) { return nlohmann::ordered_json::parse(bits_depend_on(machine)); }

class Trainer {
 public:
  // No communication: what fails on one rank is told to the others afterwards. What communicates is made in run().
  Trainer(const ProcessGrid& grid, const Log& log, const LoadedSettings& loaded, const Compute& compute, DataSet data, const ModelCut& cut, bool terminal,
          const StopRequest& stop, Watchdog& watchdog, Trace* trace)
      : world_(grid.world()),
        log_(log),
        loaded_(loaded),
        settings_(loaded.settings),
        compute_(compute),
        terminal_(terminal),
        folder_(settings_.run.dir),
        stop_(stop),
        watchdog_(watchdog),
        trace_(trace),
        data_(std::move(data)),
        parallel_(grid, settings_.parallel),
        network_(settings_.model, settings_.data.window_tokens, data_.catalogue, parallel_, cut.first_blocks,
                 {cut.recompute, name_waits(watchdog, grid), trace}),
        choice_(choose_reducer(settings_.parallel.reducer, compute.device.type(), grid.shape(), grid.places(), grid.nodes())),
        plan_(data_.index, network_.schema.tasks, plan_options(settings_, network_.model)),
        fields_(fields_of(data_.catalogue.schema, settings_.data, parallel_.fields(network_.model, network_.layout), network_.model.marked_pairs.has_value())),
        collator_(make_collator(data_, network_.schema, settings_.data, fields_, network_.model.marked_pairs)) {
    require_training_records(data_);
    total_steps_ = settings_.train.steps > 0 ? settings_.train.steps : settings_.train.epochs * plan_.steps_per_epoch();
    for (const std::size_t task : network_.model.tasks) task_names_.push_back(network_.schema.tasks[task].name);
  }

  RunSummary run(const ResumeChoice& resume, const std::vector<RankMachine>& machines) {
    compare_plans();
    watchdog_.progress("set up the sums of gradients", 0);
    reducer_.emplace(parallel_.holding(), network_.layout, reduction_of(settings_), choice_, compute_.device, settings_.optim.sharded, trace_);
    watchdog_.progress("begin", 0);
    begin(resume, machines);
    watchdog_.progress("note cache", run_.state.step);
    const auto whole = [&] { return parallel_.whole_arena(network_.layout, run_.parameters); };
    const auto alive = [&] { watchdog_.alive(); };
    cache_ = open_note_cache(world_, log_, {settings_, data_, network_, compute_, whole, bits_depend_on(machines.front()), alive}, CacheBuild::missing);
    steps();
    summary_.best = (folder_ / "best").string();
    return summary_;
  }

 private:
  // Before anybody waits for a message that another rank does not plan.
  void compare_plans(const std::vector<PlanPart>& more = {}) const {
    watchdog_.progress("compare the plans of all ranks", run_.state.step);
    std::vector<PlanPart> parts = agreed(world_, [&] { return training_plan(parallel_, network_, choice_, plan_, run_.state.step); });
    parts.insert(parts.end(), more.begin(), more.end());
    require_equal_plans(world_, parts);
  }

  // A state to start from, and the papers of the run.
  void begin(const ResumeChoice& resume, const std::vector<RankMachine>& machines) {
    const std::optional<std::filesystem::path> from = checkpoint_to_resume(resume.mode);
    if (from) {
      load(*from, machines.front());
    } else {
      run_.parameters = first_parameters(network_.layout, parallel_.holding().own(), static_cast<std::uint64_t>(settings_.train.seed));
      take_pretrained();
      for (std::size_t i = 0; i < reducer_->stages(); ++i) run_.adam.push_back(make_adam_state(reducer_->updated(i).count));
    }
    watchdog_.progress("take memory for weights and sums", run_.state.step);
    run_.parameters = reducer_->place_parameters(
        on_device(run_.parameters, compute_.device),
        most_partial_sums(world_, plan_, reduction_of(settings_), parallel_.grid().shape().data, run_.state.step, total_steps_, [&] { watchdog_.alive(); }));
    for (AdamState& adam : run_.adam) adam = {adam.first.to(compute_.device), adam.second.to(compute_.device), adam.updates};
    const bool scaled = has_loss_scale(settings_.numerics);
    if (!scaled) run_.state.loss_scale = 0;
    if (scaled && run_.state.loss_scale == 0) run_.state.loss_scale = first_loss_scale(settings_.numerics).scale;
    extra_["computed_with"] = computed_with(machines.front());
    run_.state.seed = static_cast<std::uint64_t>(settings_.train.seed);
    run_.state.total_steps = total_steps_;
    run_.state.data_digest = data_.catalogue.content_digest;
    run_.state.settings_digest = loaded_.digest;
    agreed(world_, [&] {
      if (log_.rank() != 0) return;
      write_run_record(folder_ / "run.json",
                       {loaded_.json, loaded_.digest, settings_.data.shards, data_.catalogue.content_digest, total_parameters(),
                        network_.layout.whole.trainable_count(), run_.state.step, total_steps_, from ? from->string() : std::string(), parallel_.grid().shape(),
                        extra_.value("encoder", nlohmann::ordered_json()).dump()},
                       machines);
      events_.emplace(folder_ / "events.jsonl", run_.state.step);
    });
    log_.once("{} parameters, {} training records, {} steps of {} records on {} rank{}, {} reduction", total_parameters(), data_.index.rows(Split::train),
              total_steps_, settings_.train.global_batch, world_.size(), world_.size() == 1 ? "" : "s", settings_.numerics.reduction);
    log_.once("{}", choice_.why);
  }

  // Published weights in place of random ones; a run that goes on has its own.
  void take_pretrained() {
    const std::string& folder = settings_.model.text.pretrained;
    if (folder.empty()) return;
    if (!data_.catalogue.schema.notes)
      throw Error(ErrorKind::configuration, fmt::format("text.pretrained = \"{}\": {} has no notes to encode", folder, settings_.data.shards)).mark_shared();
    watchdog_.progress("read the pretrained encoder", 0);
    const HeldStages held{network_.layout, parallel_.holding().own(), run_.parameters};
    extra_["encoder"] = {{"directory", folder}, {"digest", load_pretrained(world_, log_, settings_, data_.catalogue, held)}};
  }

  [[nodiscard]] std::optional<std::filesystem::path> checkpoint_to_resume(const std::string& mode) const {
    if (mode != "auto" && mode != "never") return named_checkpoint(mode);
    const RunListing listing = list_run(world_, folder_);
    for (const auto& skipped : listing.skipped)
      if (log_.rank() == 0) log_.warn("{} is passed over: {}", skipped.path.string(), skipped.reason);
    if (listing.checkpoints.empty()) return std::nullopt;
    if (mode == "never")
      throw Error(ErrorKind::configuration,
                  fmt::format("{} holds checkpoints of a former run up to step {}; go on with --resume auto, or choose another run.dir", folder_.string(),
                              listing.checkpoints.front().step))
          .mark_shared();
    return listing.checkpoints.front().path;
  }

  // A later checkpoint of run.dir would be taken for the newest one of the run that begins here, and its own ones for old ones.
  [[nodiscard]] std::filesystem::path named_checkpoint(const std::string& path) const {
    const std::filesystem::path from = agreed(world_, [&] { return resolve_checkpoint(path); });
    std::int64_t step = agreed(world_, [&] { return load_manifest(from).step; });
    world_.broadcast(std::as_writable_bytes(std::span(&step, 1)), 0);  // the list below too is rank 0's: all ranks decide alike
    const RunListing listing = list_run(world_, folder_);
    if (listing.checkpoints.empty() || listing.checkpoints.front().step <= step) return from;
    throw Error(ErrorKind::configuration, fmt::format("{} stands after step {}, later than {} after step {}: the run would leave two histories in one folder; "
                                                      "remove or move the later checkpoints, or give another run.dir (--set run.dir=...)",
                                                      listing.checkpoints.front().path.string(), listing.checkpoints.front().step, from.string(), step))
        .mark_shared();
  }

  void load(const std::filesystem::path& from, const RankMachine& machine) {
    const CheckpointHead head = open_checkpoint(world_, from);
    run_.state = head.state;
    compare_plans({digest_of_checkpoint(head.manifest)});  // of the steps from which this run goes on
    watchdog_.progress("load the checkpoint", run_.state.step);
    require_same_run(from);
    extra_ = nlohmann::ordered_json::parse(head.manifest.extra_json);
    warn_of_another_machine(from, machine);
    std::vector<StageWish> wishes;
    for (std::size_t i = 0; i < reducer_->stages(); ++i) wishes.push_back({reducer_->stage(i), reducer_->updated(i).offset, reducer_->updated(i).count});
    for (LoadedTensors& tensors : load_tensors(world_, head, network_.layout.whole, wishes, true)) {
      run_.parameters.push_back(std::move(tensors.parameters));
      run_.adam.push_back({std::move(tensors.moments.first), std::move(tensors.moments.second), head.state.updates});
    }
    if (!settle_best(world_, folder_, from, run_.state) && log_.rank() == 0)
      log_.warn("the best checkpoint, of step {}, is not whole in {}: the next validation decides anew", head.state.best_step, folder_.string());
    log_.once("going on after step {} from {}", run_.state.step, from.string());
  }

  void require_same_run(const std::filesystem::path& from) const {
    if (run_.state.data_digest != data_.catalogue.content_digest)
      throw Error(ErrorKind::data, fmt::format("{} was trained on data {}, {} holds data {}; give the same shards, or start anew in another run.dir",
                                               from.string(), run_.state.data_digest, settings_.data.shards, data_.catalogue.content_digest))
          .mark_shared();
    if (run_.state.settings_digest != loaded_.digest && log_.rank() == 0)
      log_.warn("the settings are not those of {}: the run goes on with the new ones, and its numbers are not those of a straight run", from.string());
  }

  void warn_of_another_machine(const std::filesystem::path& from, const RankMachine& machine) const {
    const nlohmann::ordered_json now = computed_with(machine);
    if (log_.rank() != 0 || settings_.numerics.reduction != "exact" || extra_.value("computed_with", now) == now) return;
    log_.warn("{} was computed with {}, this machine has {}: the run goes on, but its bits may not be those of a straight run", from.string(),
              extra_["computed_with"].dump(), now.dump());
  }

  void steps() {
    const auto train_source = make_source(data_, fields_);
    validation_source_ = make_source(data_, fields_);
    const GridPlace& place = parallel_.grid().place();
    Prefetcher batches(plan_, data_.index, *train_source, collator_, {parallel_.grid().shape().data, place.data, run_.state.step, total_steps_, 2, hidden()});
    const StepTools tools{parallel_, network_,        *reducer_,    batches, settings_.optim, settings_.numerics, settings_.model.heads.weight,
                          watchdog_, run_.state.seed, total_steps_, trace_};
    tell_untraced(log_, trace_, run_.state.step, total_steps_);
    Progress progress(log_, terminal_, total_steps_);
    Pace pace;
    std::exception_ptr log_failure;  // rank 0 alone writes: what it met is told in the next step's sum, so that all leave together
    while (run_.state.step < total_steps_ && !out_of_patience()) {
      const StepRecord record = train_step(tools, run_, {stop_.pending(), log_failure}, pace);
      log_failure = write_event(record);
      if (trace_ != nullptr && record.step == trace_->steps().last) keep_trace(parallel_.holding(), log_, watchdog_, trace_, folder_);
      progress.step(record);
      give_up_when_stuck(record, run_.state, settings_.train.max_skipped);
      const bool last = run_.state.step == total_steps_;
      const bool validated = validation_due();
      const bool better = validated && validate(progress);
      const bool early = out_of_patience() && !last;
      if (better) save("best");
      if (last || early || record.stop || checkpoint_due(validated)) keep_step(better);
      if (record.stop && !last && !early) {
        progress.pause();
        log_.once("saved after step {}, as asked; `--resume auto` goes on", run_.state.step);
        summary_.end = RunEnd::preempted;
        break;
      }
    }
    progress.pause();
    agree(world_, log_failure);
    keep_trace(parallel_.holding(), log_, watchdog_, trace_, folder_);
    finish();
  }

  [[nodiscard]] std::exception_ptr write_event(const StepRecord& record) {
    try {
      if (events_) events_->write(to_json_line(record, task_names_));
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  void finish() {
    summary_.step = run_.state.step;
    if (summary_.end == RunEnd::preempted) return;
    if (!run_.state.has_best) save("best");  // nothing to choose by: the last state is the best one
    if (run_.state.step < total_steps_) summary_.end = RunEnd::stopped_early;
  }

  [[nodiscard]] bool out_of_patience() const { return settings_.train.patience > 0 && run_.state.validations_without_improvement >= settings_.train.patience; }

  [[nodiscard]] bool validation_due() const {
    if (plan_.evaluation_leaves(Split::validation) == 0) return false;
    const std::int64_t every = settings_.train.evaluate_every > 0 ? settings_.train.evaluate_every : plan_.steps_per_epoch();
    return run_.state.step % every == 0 || run_.state.step == total_steps_;
  }

  [[nodiscard]] bool checkpoint_due(bool validated) const {
    return settings_.checkpoint.every > 0 ? run_.state.step % settings_.checkpoint.every == 0 : validated;
  }

  // Whether this is the best state so far.
  bool validate(Progress& progress) {
    const EvaluationTools tools{parallel_, data_, plan_, *validation_source_, collator_, network_, settings_.model.heads.weight, watchdog_, hidden()};
    const Evaluation evaluation = evaluate_split(tools, in_type(run_.parameters, compute_.type), Split::validation, run_.state.step);
    const std::vector<TaskMetrics> metrics = agreed(world_, [&] { return metrics_of(evaluation, network_, data_.catalogue, false); });
    const std::string& watched = settings_.train.watch;
    const bool by_loss = watched == "loss";
    std::array<double, 2> told{0, 0};  // is there a finite value, and the value, as rank 0 sees it
    if (const std::optional<double> value = by_loss ? evaluation.loss : mean_over_tasks(metrics, watched); value && std::isfinite(*value)) told = {1, *value};
    world_.broadcast(std::as_writable_bytes(std::span(told)), 0);
    TrainState& state = run_.state;
    const bool better = improves(state, told[0] > 0 ? std::optional(told[1]) : std::nullopt, by_loss);
    state.validations_without_improvement = better ? 0 : state.validations_without_improvement + 1;
    if (told[0] > 0) state.validations.push_back({state.step, told[1]});
    if (better) {
      state.has_best = true;
      state.best_value = told[1];
      state.best_step = state.step;
    }
    agreed(world_, [&] {
      if (!events_) return;
      nlohmann::ordered_json line = {{"event", "validation"}, {"step", state.step}, {"loss", nullptr}, {"best", better}};
      if (evaluation.loss) line["loss"] = *evaluation.loss;
      line["metrics"] = nlohmann::ordered_json::parse(metrics_json(metrics));
      extra_["validation"] = line;
      events_->write(line.dump());
    });
    progress.pause();
    const auto mean = [&](const char* name) { return shown(mean_over_tasks(metrics, name)); };
    log_.once(
        "validation after step {}: loss {}, {}{}", state.step, evaluation.loss ? fmt::format("{:.4f}", *evaluation.loss) : "undefined",
        mean_over_tasks(metrics, "perplexity") ? "perplexity " + mean("perplexity") : fmt::format("mean AUROC {}, mean AUPRC {}", mean("auroc"), mean("auprc")),
        better ? ", the best so far" : "");
    return better;
  }

  void save(const std::string& name) {
    watchdog_.progress("save a checkpoint", run_.state.step);
    const GridPlace& place = parallel_.grid().place();
    const std::vector<at::Tensor> parameters = on_device(run_.parameters, at::kCPU);
    CheckpointSource source{network_.layout.whole, {}, place.data, parallel_.grid().shape().data, run_.state, loaded_.toml, data_.catalogue, extra_.dump()};
    for (std::size_t i = 0; i < reducer_->stages(); ++i) {
      const Range slice = reducer_->slice(i);  // of moments that every rank has whole, each writes a slice too
      const auto own = [&](const at::Tensor& moments) { return moments.narrow(0, slice.offset - reducer_->updated(i).offset, slice.count).cpu(); };
      source.stages.push_back({reducer_->stage(i), parameters[i], {slice.offset, own(run_.adam[i].first), own(run_.adam[i].second)}});
    }
    save_checkpoint(world_, folder_, name, source);
  }

  // The best one is saved first and then copied: a run cut off in between goes on from it.
  void keep_step(bool equals_best) {
    const std::string name = checkpoint_name(run_.state.step);
    if (equals_best)
      copy_checkpoint(world_, folder_, "best", name);
    else
      save(name);
    summary_.newest = (folder_ / name).string();
    retain_newest(world_, folder_, settings_.checkpoint.keep);
  }

  [[nodiscard]] HiddenSource* hidden() const { return fields_.tokens ? cache_.get() : nullptr; }

  [[nodiscard]] std::int64_t total_parameters() const {
    std::int64_t sum = 0;
    for (const ParameterEntry& entry : network_.layout.whole.entries) sum += entry.spec.count();
    return sum;
  }

  const Communicator& world_;
  const Log& log_;
  const LoadedSettings& loaded_;
  const RunSettings& settings_;
  Compute compute_;
  bool terminal_;
  std::filesystem::path folder_;
  const StopRequest& stop_;
  Watchdog& watchdog_;
  Trace* trace_;  // null: nothing is recorded
  DataSet data_;
  Parallel parallel_;
  Network network_;
  ReducerChoice choice_;
  std::optional<GradientReducer> reducer_;
  BatchPlan plan_;
  FieldSelection fields_;
  Collator collator_;
  std::unique_ptr<HiddenSource> cache_;  // null: the encoder runs
  std::unique_ptr<RowSource> validation_source_;
  std::int64_t total_steps_ = 0;
  std::vector<std::string> task_names_;
  Training run_;
  std::optional<EventLog> events_;  // on rank 0
  nlohmann::ordered_json extra_;    // on rank 0, for the manifest: what the last validation found, and what the run is computed with
  RunSummary summary_;
};

}  // namespace

RunSummary train(const Communicator& world, const Log& log, const LoadedSettings& loaded, const ResumeChoice& resume, const LaunchFacts& launch,
                 const std::optional<TraceSteps>& traced) {
  const RunConfig& run = loaded.settings.run;
  check_ranks(run, world.size());
  // From here on a wish to stop and a rank that hangs are noticed, also while the data set is opened and verified.
  const StopRequest stop(duration_s(run.max_time), launch.started);
  Watchdog watchdog(world, static_cast<double>(run.watchdog_s), run.dir);
  std::optional<RunLock> lock;
  agreed(world, [&] {
    if (world.rank() != 0) return;
    make_directories(run.dir);
    lock.emplace(run.dir, launch.job);
    if (!lock->held()) log.warn("{}: the file system has no locks; take care that no other job uses the folder", run.dir);
    remove_temporaries(run.dir);
  });
  watchdog.progress("make the grid", 0);
  require_equal_plans(world, agreed(world, [&] { return std::vector{digest_of_program(), digest_of_settings(loaded.toml)}; }));
  const ProcessGrid grid(world.split(0, world.rank()),
                         grid_shape(world.size(), loaded.settings.parallel.data, static_cast<int>(loaded.settings.parallel.pipeline)));
  const Compute compute = prepare_compute(loaded.settings, grid);
  const std::vector<RankMachine> machines = gather_machines(world, compute.gpu);
  require_equal_machines(machines, reduction_of(loaded.settings));
  watchdog.progress("open the data set", 0);
  DataSet data = open_data_set(world, loaded.settings.data.shards, verify_named(loaded.settings.data.verify), [&] { watchdog.alive(); });
  watchdog.progress("make the model", 0);
  const ModelCut cut = cut_for(grid, log, loaded.settings, compute, data, Workload::training, [&] { watchdog.alive(); });
  std::optional<Trace> trace;
  if (traced) trace.emplace(*traced);
  const auto trainer = agreed(world, [&] {
    return std::make_unique<Trainer>(grid, log, loaded, compute, std::move(data), cut, launch.terminal, stop, watchdog, trace ? &*trace : nullptr);
  });
  return trainer->run(resume, machines);
}

}  // namespace tributary
