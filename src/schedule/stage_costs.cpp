#include "schedule/stage_costs.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"

namespace tributary {
namespace {

std::int64_t times(std::int64_t bytes, double factor) { return static_cast<std::int64_t>(std::ceil(static_cast<double>(bytes) * factor)); }

bool sensible(double value) { return std::isfinite(value) && value >= 0; }

}  // namespace

StageCosts::StageCosts(const PartitionProblem& problem) : problem_(problem), blocks_(problem.graph.blocks.size()) {
  check_problem();
  for (const int rank : problem.rank_of_stage) ranks_ = std::max(ranks_, rank + 1);
  number_parameters();
  price_boundaries();
  fill_tables();
}

void StageCosts::check_problem() const {
  const PartitionProblem& p = problem_;
  check(p.blocks.size() == blocks_, "costs of {} blocks, the model has {}", p.blocks.size(), blocks_);
  check(p.live.size() == p.rank_of_stage.size(), "live leaves of {} stages, ranks of {}", p.live.size(), p.rank_of_stage.size());
  check_stages(p.rank_of_stage.size(), blocks_);
  for (std::size_t b = 0; b < blocks_; ++b) {
    const BlockCost& cost = p.blocks[b];
    const std::string& name = p.graph.blocks[b].name;
    check(sensible(cost.forward_s) && sensible(cost.backward_input_s) && sensible(cost.backward_weight_s), "block '{}' has no sensible times: {} s, {} s, {} s",
          name, cost.forward_s, cost.backward_input_s, cost.backward_weight_s);
    check(cost.gives_bytes.size() == p.graph.blocks[b].gives.size(), "block '{}' gives {} tensors, sizes are known of {}", name, p.graph.blocks[b].gives.size(),
          cost.gives_bytes.size());
    check(cost.activation_bytes >= 0 && cost.transient_bytes >= 0 &&
              std::all_of(cost.gives_bytes.begin(), cost.gives_bytes.end(), [](std::int64_t bytes) { return bytes >= 0; }),
          "block '{}' has a negative size", name);
  }
  for (std::size_t s = 0; s < p.live.size(); ++s)
    check(p.live[s] >= 0 && p.rank_of_stage[s] >= 0, "stage {} has rank {} and {} live leaves", s, p.rank_of_stage[s], p.live[s]);
  check(sensible(p.state.gradients) && sensible(p.state.partial_sums) && sensible(p.state.optimizer) && sensible(p.state.rounded) &&
            sensible(p.state.received) && p.state.data_ranks >= 1,
        "state factors {}, {}, {}, {}, {} over {} data ranks", p.state.gradients, p.state.partial_sums, p.state.optimizer, p.state.rounded, p.state.received,
        p.state.data_ranks);
  check(p.link.bytes_per_s > 0 && sensible(p.link.latency_s), "a link of {} bytes/s with a latency of {} s", p.link.bytes_per_s, p.link.latency_s);
}

void StageCosts::number_parameters() {
  const std::set<std::string> frozen(problem_.graph.frozen.begin(), problem_.graph.frozen.end());
  std::map<std::string, std::size_t> last_use;  // 1 + block
  for (std::size_t b = 0; b < blocks_; ++b) {
    std::vector<Use>& uses = uses_.emplace_back();
    for (const std::string& name : problem_.graph.blocks[b].parameters) {
      const auto bytes = problem_.parameter_bytes.find(name);
      check(bytes != problem_.parameter_bytes.end() && bytes->second >= 0, "the size of parameter '{}' of block '{}' is not known", name,
            problem_.graph.blocks[b].name);
      std::size_t& last = last_use[name];
      check(last != b + 1, "block '{}' names parameter '{}' twice", problem_.graph.blocks[b].name, name);
      uses.push_back({bytes->second, !frozen.contains(name), last});
      last = b + 1;
    }
  }
}

void StageCosts::price_boundaries() {
  boundaries_.resize(blocks_ + 1);
  for (const GraphTensor& tensor : tensors_of(problem_.graph)) {
    const std::int64_t bytes = problem_.blocks[tensor.giver].gives_bytes[tensor.place];
    for (std::size_t b = tensor.giver + 1; b <= tensor.last_use; ++b) {
      boundaries_[b].forward_bytes += bytes;
      if (tensor.gradient_crosses(b)) boundaries_[b].gradient_bytes += bytes;
    }
  }
  const auto message_s = [&](std::int64_t bytes) { return bytes == 0 ? 0 : problem_.link.latency_s + static_cast<double>(bytes) / problem_.link.bytes_per_s; };
  for (BoundaryPrice& boundary : boundaries_) {
    boundary.forward_s = message_s(boundary.forward_bytes);
    boundary.gradient_s = message_s(boundary.gradient_bytes);
  }
}

void StageCosts::fill_tables() {
  const std::size_t width = blocks_ + 1;
  work_s_.assign(width * width, 0);
  state_bytes_.assign(width * width, 0);
  transient_.assign(width * width, 0);
  activations_.assign(width, 0);
  for (std::size_t b = 0; b < blocks_; ++b) activations_[b + 1] = activations_[b] + problem_.blocks[b].activation_bytes;
  for (std::size_t first = 0; first < blocks_; ++first) {
    double work = 0;
    std::int64_t transient = 0;
    Uses sum;
    for (std::size_t b = first; b < blocks_; ++b) {
      const BlockCost& cost = problem_.blocks[b];
      work += cost.forward_s + cost.backward_input_s + cost.backward_weight_s;
      add_uses(first, b, sum);
      work_s_[first * width + b + 1] = work;
      state_bytes_[first * width + b + 1] = state(sum).total();
      transient = std::max(transient, cost.transient_bytes);
      transient_[first * width + b + 1] = transient;
    }
  }
}

void StageCosts::add_uses(std::size_t first, std::size_t block, Uses& sum) const {
  for (const Use& use : uses_[block]) {
    if (use.before <= first) sum.weights += use.bytes;
    if (!use.trained) continue;
    sum.trained += use.bytes;
    if (use.before == 0) sum.owned += use.bytes;
  }
}

MemoryNeed StageCosts::state(const Uses& uses) const {
  const StateFactors& factors = problem_.state;
  return {uses.weights,
          times(uses.trained, factors.gradients),
          times(uses.trained, factors.partial_sums),
          times(uses.owned, factors.optimizer / factors.data_ranks),
          0,
          times(uses.weights, factors.rounded),
          times(uses.trained, factors.received)};
}

std::int64_t StageCosts::activation_bytes(std::size_t stage, std::size_t first, std::size_t last) const {
  return problem_.live[stage] * (activations_[last] - activations_[first] + (enters(stage) ? boundaries_[first].forward_bytes : 0)) +
         transient_[first * (blocks_ + 1) + last];
}

MemoryNeed StageCosts::stage_memory(std::size_t stage, std::size_t first, std::size_t last) const {
  Uses sum;
  for (std::size_t b = first; b < last; ++b) add_uses(first, b, sum);
  MemoryNeed need = state(sum);
  need.activations = activation_bytes(stage, first, last);
  return need;
}

}  // namespace tributary
