#include "schedule/graph.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

using Numbers = std::map<std::string, std::size_t>;  // names of tensors

std::vector<GraphTensor> given_tensors(const ModelGraph& graph, Numbers& numbers) {
  std::vector<GraphTensor> tensors;
  for (std::size_t b = 0; b < graph.blocks.size(); ++b) {
    const GraphBlock& block = graph.blocks[b];
    for (const std::string& name : block.takes) {
      const auto given = numbers.find(name);
      check(given != numbers.end(), "block '{}' takes '{}', which no earlier block gives", block.name, name);
      tensors[given->second].last_use = b;
    }
    for (std::size_t place = 0; place < block.gives.size(); ++place) {
      const std::string& name = block.gives[place];
      check(numbers.emplace(name, tensors.size()).second, "block '{}' gives '{}', which is given already", block.name, name);
      tensors.push_back({name, b, place, b, b});
    }
  }
  return tensors;
}

// [tensors] a trained parameter stands behind it.
std::vector<bool> reached_tensors(const ModelGraph& graph, const Numbers& numbers) {
  const std::set<std::string> frozen(graph.frozen.begin(), graph.frozen.end());
  std::vector<bool> reached(numbers.size(), false);
  for (const GraphBlock& block : graph.blocks) {
    const bool trained = std::any_of(block.parameters.begin(), block.parameters.end(), [&](const std::string& name) { return !frozen.contains(name); });
    const bool learns = trained || std::any_of(block.takes.begin(), block.takes.end(), [&](const std::string& name) { return reached[numbers.at(name)]; });
    for (const std::string& name : block.gives) reached[numbers.at(name)] = learns;
  }
  return reached;
}

// For each tensor the last block through which it comes to the loss; blocks from the last to the first, so that what a block gives is known before it.
void find_learning(const ModelGraph& graph, const Numbers& numbers, std::vector<GraphTensor>& tensors) {
  const std::vector<bool> reached = reached_tensors(graph, numbers);
  std::vector<bool> to_loss(tensors.size(), false);
  for (std::size_t b = graph.blocks.size(); b-- > 0;) {
    const GraphBlock& block = graph.blocks[b];
    const bool learns =
        std::any_of(block.gives.begin(), block.gives.end(), [&](const std::string& name) { return name == graph.loss || to_loss[numbers.at(name)]; });
    if (!learns) continue;
    for (const std::string& name : block.takes) {
      const std::size_t number = numbers.at(name);
      to_loss[number] = true;
      if (reached[number]) tensors[number].last_learning = std::max(tensors[number].last_learning, b);
    }
  }
}

}  // namespace

std::vector<GraphTensor> tensors_of(const ModelGraph& graph) {
  Numbers numbers;
  std::vector<GraphTensor> tensors = given_tensors(graph, numbers);
  for (const std::string& name : graph.outputs) {
    check(numbers.contains(name), "the model puts out '{}', which no block gives", name);
    tensors[numbers.at(name)].last_use = graph.blocks.size() - 1;
  }
  find_learning(graph, numbers, tensors);
  return tensors;
}

void check_stages(std::size_t stages, std::size_t blocks) {
  if (stages >= 1 && stages <= blocks) return;
  fail(ErrorKind::configuration, "parallel.pipeline * parallel.virtual_stages makes {} stages, the model has {} blocks and each stage needs one: lower {}",
       stages, blocks, "parallel.pipeline or parallel.virtual_stages");
}

void check_cut(const Cut& cut, std::size_t blocks) {
  check_stages(cut.size(), blocks);
  if (cut.front() != 0) fail(ErrorKind::configuration, "parallel.partition: the first stage begins with block {}, it has to begin with block 0", cut.front());
  for (std::size_t s = 0; s < cut.size(); ++s) {
    const std::size_t next = s + 1 < cut.size() ? cut[s + 1] : blocks;
    if (cut[s] >= next)
      fail(ErrorKind::configuration,
           "parallel.partition: stage {} would have the blocks from {} up to {} of {}: stages are contiguous and have a block at least", s, cut[s], next,
           blocks);
  }
}

Cut cut_of_counts(std::span<const std::int64_t> counts, std::size_t blocks, std::size_t stages) {
  check_stages(stages, blocks);
  if (counts.size() != stages)
    fail(ErrorKind::configuration,
         "parallel.partition has {} numbers, parallel.pipeline * parallel.virtual_stages makes {} stages: one number of blocks a stage", counts.size(), stages);
  Cut cut;
  std::size_t next = 0;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] < 1 || counts[s] > static_cast<std::int64_t>(blocks))
      fail(ErrorKind::configuration, "parallel.partition gives stage {} {} of the {} blocks: each stage needs one at least", s, counts[s], blocks);
    cut.push_back(next);
    next += static_cast<std::size_t>(counts[s]);
  }
  if (next != blocks) fail(ErrorKind::configuration, "parallel.partition = [{}] deals out {} blocks, the model has {}", fmt::join(counts, ", "), next, blocks);
  return cut;
}

std::vector<std::int64_t> counts_of_cut(const Cut& cut, std::size_t blocks) {
  check_cut(cut, blocks);
  std::vector<std::int64_t> counts;
  for (std::size_t s = 0; s < cut.size(); ++s) counts.push_back(static_cast<std::int64_t>((s + 1 < cut.size() ? cut[s + 1] : blocks) - cut[s]));
  return counts;
}

}  // namespace tributary
