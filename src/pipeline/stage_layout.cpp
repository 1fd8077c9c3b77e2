#include "pipeline/stage_layout.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

int stage_of(const std::vector<std::size_t>& first_blocks, std::size_t block) {
  return static_cast<int>(std::upper_bound(first_blocks.begin(), first_blocks.end(), block) - first_blocks.begin()) - 1;
}

std::map<std::string, int> owners_of(const BlockList& model, const std::vector<std::size_t>& first_blocks) {
  std::map<std::string, int> owners;
  for (std::size_t b = 0; b < model.blocks.size(); ++b)
    for (const std::string& name : model.blocks[b].parameters) owners.emplace(name, stage_of(first_blocks, b));
  return owners;
}

// The parameters of the blocks [first, last): those that an earlier stage uses are borrowed.
ParameterLayout parameters_of(const BlockList& model, const std::map<std::string, int>& owners, int stage, std::size_t first, std::size_t last) {
  std::set<std::string> used, borrowed;
  for (std::size_t b = first; b < last; ++b)
    for (const std::string& name : model.blocks[b].parameters) {
      used.insert(name);
      if (owners.at(name) != stage) borrowed.insert(name);
    }
  std::vector<ParameterSpec> specs;
  for (const ParameterSpec& spec : model.parameters)
    if (used.contains(spec.name)) specs.push_back(spec);
  return make_layout(std::move(specs), borrowed);
}

void check_cut(const BlockList& model, const std::vector<std::size_t>& first_blocks) {
  bool whole = !first_blocks.empty() && first_blocks.front() == 0 && first_blocks.back() < model.blocks.size();
  for (std::size_t s = 1; s < first_blocks.size(); ++s) whole = whole && first_blocks[s - 1] < first_blocks[s];
  check(whole, "a cut of {} blocks into {} stages", model.blocks.size(), first_blocks.size());
}

void check_names(const BlockSpec& block) {
  const std::set<std::string> names(block.parameters.begin(), block.parameters.end());
  check(names.size() == block.parameters.size(), "block '{}' names a parameter twice", block.name);
}

}  // namespace

ModelLayout lay_out(const BlockList& model, const std::vector<std::size_t>& first_blocks) {
  check_cut(model, first_blocks);
  ModelLayout layout;
  layout.whole = make_layout(model.parameters);
  const std::map<std::string, int> owners = owners_of(model, first_blocks);
  std::set<std::string> met;
  for (std::size_t s = 0; s < first_blocks.size(); ++s) {
    StageLayout stage;
    stage.first = first_blocks[s];
    stage.last = s + 1 < first_blocks.size() ? first_blocks[s + 1] : model.blocks.size();
    stage.parameters = parameters_of(model, owners, static_cast<int>(s), stage.first, stage.last);
    stage.gradient = stage.parameters.trainable;
    for (std::size_t b = stage.first; b < stage.last; ++b) {
      check_names(model.blocks[b]);
      std::vector<ParameterUse>& uses = stage.uses.emplace_back();
      for (const std::string& name : model.blocks[b].parameters) {
        const std::size_t number = stage.parameters.find(name);
        const ParameterEntry& entry = stage.parameters.entries[number];
        uses.push_back({number, entry.spec.trainable ? entry.offset : -1});
        if (!entry.spec.trainable || met.insert(name).second) continue;
        const int owner = owners.at(name);
        const ParameterLayout& of_owner = owner == static_cast<int>(s) ? stage.parameters : layout.stages[static_cast<std::size_t>(owner)].parameters;
        layout.later.push_back({b, static_cast<int>(s), owner, of_owner.find(name), stage.gradient});
        uses.back().gradient = stage.gradient;
        stage.gradient += entry.padded;
      }
    }
    layout.stages.push_back(std::move(stage));
  }
  check(owners.size() == layout.whole.entries.size(), "{} parameters of the model are used by its blocks, it has {}", owners.size(),
        layout.whole.entries.size());
  return layout;
}

std::vector<at::Tensor> cut_arena(const ModelLayout& layout, const at::Tensor& whole, const std::vector<int>& own) {
  if (layout.stages.size() == 1) return {whole};  // the same arena: nothing is borrowed
  std::vector<at::Tensor> arenas;
  for (const int stage : own) {
    const ParameterLayout& parameters = layout.stages[static_cast<std::size_t>(stage)].parameters;
    arenas.push_back(make_arena(parameters, whole.scalar_type()));
    copy_parameters(layout.whole, whole, parameters, arenas.back());
  }
  return arenas;
}

at::Tensor fold_uses(const ModelLayout& layout, const at::Tensor& gradient) {
  check(layout.stages.size() == 1, "fold_uses: {} stages", layout.stages.size());
  const StageLayout& stage = layout.stages.front();
  check(gradient.numel() == stage.gradient, "fold_uses: {} elements, {} expected", gradient.numel(), stage.gradient);
  const at::Tensor sum = gradient.narrow(0, 0, stage.parameters.trainable).clone();
  for (const LaterUse& use : layout.later) {
    const ParameterEntry& entry = stage.parameters.entries[use.entry];
    sum.narrow(0, entry.offset, entry.padded).add_(gradient.narrow(0, use.gradient, entry.padded));
  }
  return sum;
}

}  // namespace tributary
