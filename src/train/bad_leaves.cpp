#include "train/bad_leaves.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace tributary {
namespace {

bool finite(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_floating_point()) return true;
  return at::isfinite(tensor.is_sparse() ? tensor._values() : tensor).all().item<bool>();
}

// The first finding of each leaf in this rank's order of computing: forward before backward, and each of them block by block.
class Findings {
 public:
  explicit Findings(int rank) : rank_(rank) {}
  void add(std::int64_t leaf, std::size_t number, const BlockSpec& block, bool forward, std::string parameter = {}) {
    first_.try_emplace({leaf, forward}, BadFinding{number, {leaf, rank_, block.name, forward, std::move(parameter)}});
  }
  [[nodiscard]] std::string to_json() const {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [place, found] : first_) {
      const BadLeaf& told = found.told;
      list.push_back({found.block, told.leaf, told.rank, told.block, told.forward, told.parameter});
    }
    return list.dump();
  }

 private:
  int rank_;
  std::map<std::pair<std::int64_t, bool>, BadFinding> first_;
};

std::vector<BadFinding> findings_from_json(const std::string& text) {
  std::vector<BadFinding> findings;
  for (const nlohmann::json& one : nlohmann::json::parse(text)) findings.push_back({one[0], {one[1], one[2], one[3], one[4], one[5]}});
  return findings;
}

// Looks at the gradients of a stage and keeps none.
class LookingSink final : public GradientSink {
 public:
  LookingSink(const BlockList& model, std::size_t first, Findings& findings) : model_(model), first_(first), findings_(findings) {}
  void add(std::int64_t leaf, std::size_t block_of_stage, const std::vector<at::Tensor>& gradients) override {
    const BlockSpec& block = model_.blocks[first_ + block_of_stage];
    const auto bad = std::find_if(gradients.begin(), gradients.end(), [](const at::Tensor& gradient) { return !finite(gradient); });
    if (bad != gradients.end()) findings_.add(leaf, first_ + block_of_stage, block, false, block.parameters[static_cast<std::size_t>(bad - gradients.begin())]);
  }

 private:
  const BlockList& model_;
  std::size_t first_;
  Findings& findings_;
};

// The same blocks, looked at: what each gives is noted when it is not finite.
BlockList looked_at(const BlockList& model, Findings& findings) {
  BlockList copy = model;
  for (std::size_t number = 0; number < copy.blocks.size(); ++number) {
    copy.blocks[number].forward = [&block = model.blocks[number], &findings, number](const BlockInput& in) {
      std::vector<at::Tensor> outputs = block.forward(in);
      if (!std::all_of(outputs.begin(), outputs.end(), finite)) findings.add(in.context.leaf, number, block, true);
      return outputs;
    };
  }
  return copy;
}

}  // namespace

std::vector<BadLeaf> first_of_leaves(std::vector<BadFinding> findings) {
  // Values outside the numbers that no gradient took notice of, such as a mask's, are no fault.
  std::map<std::int64_t, std::vector<BadFinding>> of_leaf;
  for (BadFinding& finding : findings) of_leaf[finding.told.leaf].push_back(std::move(finding));
  std::vector<BadLeaf> bad;
  for (auto& [leaf, found] : of_leaf) {
    const auto is_gradient = [](const BadFinding& finding) { return !finding.told.forward; };
    if (std::none_of(found.begin(), found.end(), is_gradient)) continue;
    const auto earlier = [](const BadFinding& a, const BadFinding& b) {
      if (a.told.forward != b.told.forward) return a.told.forward;
      return a.told.forward ? a.block < b.block : a.block > b.block;
    };
    bad.push_back(std::min_element(found.begin(), found.end(), earlier)->told);
  }
  return bad;
}

std::vector<BadLeaf> find_bad_leaves(const Parallel& parallel, const BlockList& model, const ModelLayout& layout, const Engine& engine,
                                     const std::vector<at::Tensor>& parameters, const std::vector<Leaf>& leaves) {
  Findings findings(parallel.grid().world().rank());
  const BlockList copy = looked_at(model, findings);
  const Engine again(copy, layout, engine.place(), engine.options());
  std::vector<LookingSink> sinks;
  for (const int stage : parallel.holding().own()) sinks.emplace_back(model, layout.stages[static_cast<std::size_t>(stage)].first, findings);
  std::vector<GradientSink*> addresses;
  for (LookingSink& sink : sinks) addresses.push_back(&sink);
  static_cast<void>(again.run(parallel.training(static_cast<std::int64_t>(leaves.size())), parameters, leaves, addresses));
  std::vector<BadFinding> all;
  for (const std::string& text : parallel.grid().world().all_gather(findings.to_json()))
    for (BadFinding& finding : findings_from_json(text)) all.push_back(std::move(finding));
  return first_of_leaves(std::move(all));
}

std::string in_words(const std::vector<BadLeaf>& bad, std::int64_t leaves) {
  if (bad.empty()) return fmt::format("the sum of {} leaves, each of whose own gradients is finite", leaves);
  constexpr std::size_t most = 4;
  std::string text = bad.size() == 1 ? "leaf " : "leaves ";
  for (std::size_t i = 0; i < std::min(most, bad.size()); ++i) {
    const BadLeaf& one = bad[i];
    text += fmt::format("{}{} (rank {}: {})", i == 0 ? "" : ", ", one.leaf, one.rank,
                        one.forward ? fmt::format("values of block '{}'", one.block) : fmt::format("gradient of {} in block '{}'", one.parameter, one.block));
  }
  if (bad.size() > most) text += fmt::format(" and {} more", bad.size() - most);
  return text + fmt::format(", of {}", leaves);
}

}  // namespace tributary
