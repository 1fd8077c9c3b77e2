#include "train/plan_report.h"

#include <fmt/ranges.h>

#include <map>

#include "schedule/drawing.h"

namespace tributary {
namespace {

std::string milliseconds(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }
std::string mebibytes(std::int64_t bytes) { return fmt::format("{:.1f}", static_cast<double>(bytes) / (1024 * 1024)); }

std::string table_of_blocks(const PlanQuestion& question, const std::vector<bool>& recompute) {
  std::string text =
      fmt::format("{:<24} {:>12} {:>12} {:>12} {:>14} {:>12}\n", "block (a leaf)", "forward ms", "input ms", "weights ms", "activation MiB", "weights MiB");
  std::map<std::string, std::int64_t> bytes;
  for (const ParameterSpec& spec : question.model.parameters) bytes[spec.name] = spec.count() * static_cast<std::int64_t>(sizeof(float));
  for (std::size_t b = 0; b < question.model.blocks.size(); ++b) {
    const BlockCost& cost = question.costs[b];
    std::int64_t weights = 0;
    for (const std::string& name : question.model.blocks[b].parameters) weights += bytes[name];
    text += fmt::format("{:<24} {:>12} {:>12} {:>12} {:>14} {:>12}{}\n", question.model.blocks[b].name, milliseconds(cost.forward_s),
                        milliseconds(cost.backward_input_s), milliseconds(cost.backward_weight_s), mebibytes(cost.activation_bytes), mebibytes(weights),
                        recompute[b] ? "  recomputed" : "");
  }
  return text;
}

std::string table_of_stages(const Partition& partition) {
  std::string text = fmt::format("\n{:<8} {:>6} {:>20} {:>12} {:>12}\n", "stage", "rank", "blocks", "leaf ms", "sends ms");
  for (std::size_t s = 0; s < partition.stages.size(); ++s) {
    const StagePrice& stage = partition.stages[s];
    text += fmt::format("{:<8} {:>6} {:>20} {:>12} {:>12}\n", s, stage.rank, fmt::format("{} to {}", stage.first, stage.last - 1), milliseconds(stage.total_s),
                        milliseconds(stage.send_s));
  }
  return text;
}

// rounded: the weights in half precision; received: partial sums of other ranks.
std::string table_of_ranks(const Partition& partition, const Timeline& timeline) {
  constexpr const char* row = "{:<8} {:>10} {:>10} {:>10} {:>13} {:>10} {:>10} {:>12} {:>10} {:>8}\n";
  std::string text =
      fmt::format(fmt::runtime(row), "rank MiB", "weights", "rounded", "gradients", "partial sums", "received", "optimizer", "activations", "total", "idle");
  for (std::size_t r = 0; r < partition.ranks.size(); ++r) {
    const MemoryNeed& need = partition.ranks[r];
    text += fmt::format(fmt::runtime(row), r, mebibytes(need.weights), mebibytes(need.rounded), mebibytes(need.gradients), mebibytes(need.partial_sums),
                        mebibytes(need.received), mebibytes(need.optimizer), mebibytes(need.activations), mebibytes(need.total()),
                        fmt::format("{:.1f}%", 100 * timeline.idle_share[r]));
  }
  return text;
}

}  // namespace

std::string plan_report(const PlanQuestion& question, const StagePlan& plan, const Timeline& timeline) {
  const auto [kind, pipeline] = pipeline_shape(question.settings.parallel);
  std::string text = table_of_blocks(question, plan.recompute) + table_of_stages(plan.partition) + "\n" + table_of_ranks(plan.partition, timeline);
  if (question.data_ranks > 1) text += question.sums.why + "\n";
  text += fmt::format("\nparallel.partition = [{}]{}\n", fmt::join(counts_of_cut(plan.partition.cut, question.model.blocks.size()), ", "),
                      plan.partition.proven ? "" : "  (a faster cut within the memory limit may exist)");
  if (recompute_is_automatic(question.settings.parallel)) text += automatic_choice(question, plan.recompute) + "\n";
  const std::set<std::int64_t> leaves = question.leaves();
  text +=
      fmt::format("{} x {}, {}, {} stage{} a rank, {} leaves a step and pipeline: {} ms a step, bubble {:.1f} %\n", question.data_ranks, pipeline.ranks,
                  kind.name, pipeline.chunks, pipeline.chunks == 1 ? "" : "s", question.most_leaves(), milliseconds(timeline.span_s), 100 * timeline.bubble());
  if (leaves.size() > 1)
    text += fmt::format("pipelines and steps differ in their leaves: {}; memory and time are those of the most\n", fmt::join(leaves, ", "));
  for (const std::int64_t count : leaves)
    if (const std::string why = fall_back(kind, pipeline, count); !why.empty()) text += why + "\n";
  return text;
}

std::string plan_picture(const PlanQuestion& question, const Timeline& timeline) {
  const auto [kind, pipeline] = pipeline_shape(question.settings.parallel);
  TimelinePicture picture{std::string(kind.name), pipeline.ranks, pipeline.chunks, question.most_leaves(), timeline.bubble(), {}};
  for (std::size_t r = 0; r < timeline.ranks.size(); ++r)
    for (const TimedAction& timed : timeline.ranks[r])
      picture.bars.push_back({static_cast<int>(r), timed.action.stage, timed.action.leaf, timed.action.kind, timed.begin_s, timed.end_s});
  return draw_timeline(picture);
}

}  // namespace tributary
