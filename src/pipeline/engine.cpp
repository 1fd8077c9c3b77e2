#include "pipeline/engine.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "base/error.h"

namespace tributary {

// A leaf between its forward and the end of its backward: each block's inputs, outputs and waiting products.
class LeafRun {
 public:
  LeafRun(const Engine& engine, const Leaf& leaf, const std::vector<std::vector<at::Tensor>>& aliases, bool gradients)
      : engine_(engine), leaf_(leaf), aliases_(aliases), gradients_(gradients), blocks_(engine.wiring_.size()), values_(engine.names_.size()) {}

  LeafOutput forward() {
    const c10::AutoGradMode recording(gradients_);
    for (std::size_t b = 0; b < blocks_.size(); ++b) forward_block(b);
    LeafOutput result{leaf_.context.leaf, {}};
    for (const std::size_t name : engine_.outputs_) result.outputs.push_back(values_[name]);
    values_.clear();  // consumers hold what they took
    return result;
  }

  void backward(const at::Tensor& arena) {
    check(engine_.loss_ < engine_.names_.size(), "backward of a model without a tensor called '{}'", loss_name);
    const c10::AutoGradMode recording(false);
    name_gradients_.resize(engine_.names_.size());
    for (std::size_t b = blocks_.size(); b-- > 0;) backward_block(b, arena);
    // Collected in descending block order; the sum goes upward, wherever the blocks sit.
    for (const auto& [entry, uses] : shared_) {
      at::Tensor sum = uses.back();
      for (auto use = uses.rbegin() + 1; use != uses.rend(); ++use) sum = at::add(sum, *use);
      write(arena, entry, sum);
    }
  }

 private:
  struct BlockRun {
    std::vector<at::Tensor> inputs, outputs;
    WeightQueue weights;
  };

  void forward_block(std::size_t b) {
    const Engine::Wiring& wiring = engine_.wiring_[b];
    const BlockSpec& spec = engine_.model_.blocks[b];
    BlockRun& run = blocks_[b];
    for (const std::size_t name : wiring.takes) {
      at::Tensor taken = values_[name].detach();
      taken.set_requires_grad(wants_gradient_[name]);
      run.inputs.push_back(std::move(taken));
    }
    run.outputs = spec.forward({*leaf_.batch, leaf_.context, run.inputs, aliases_[b], static_cast<int>(b), gradients_ ? &run.weights : nullptr});
    check(run.outputs.size() == wiring.gives.size(), "block '{}' gives {} tensors, its list names {}", spec.name, run.outputs.size(), wiring.gives.size());
    for (std::size_t i = 0; i < run.outputs.size(); ++i) {
      check(run.outputs[i].defined(), "block '{}' gives no tensor for '{}'", spec.name, spec.gives[i]);
      values_[wiring.gives[i]] = run.outputs[i].detach();
      // What no parameter reaches needs no gradient: a frozen encoder is not walked back.
      wants_gradient_[wiring.gives[i]] = gradients_ && run.outputs[i].requires_grad();
    }
    if (!gradients_) run = {};
  }

  void backward_block(std::size_t b, const at::Tensor& arena) {
    walk_back(b, blocks_[b], arena);
    blocks_[b] = {};
  }

  // In place: the operators hold the address of the block's queue.
  void walk_back(std::size_t b, BlockRun& run, const at::Tensor& arena) {
    const Engine::Wiring& wiring = engine_.wiring_[b];
    std::vector<at::Tensor> outputs, output_gradients, inputs;
    for (std::size_t i = 0; i < run.outputs.size(); ++i) {
      if (!run.outputs[i].requires_grad()) continue;
      at::Tensor gradient = std::exchange(name_gradients_[wiring.gives[i]], {});
      if (wiring.gives[i] == engine_.loss_) gradient = at::ones_like(run.outputs[i]);
      if (!gradient.defined()) continue;
      outputs.push_back(run.outputs[i]);
      output_gradients.push_back(std::move(gradient));
    }
    if (outputs.empty()) return;
    for (const at::Tensor& input : run.inputs)
      if (input.requires_grad()) inputs.push_back(input);
    for (const at::Tensor& parameter : aliases_[b])
      if (parameter.requires_grad()) inputs.push_back(parameter);
    if (inputs.empty()) return;
    run.outputs.clear();
    const auto gradients = torch::autograd::grad(outputs, inputs, output_gradients, std::nullopt, false, true);
    outputs.clear();
    std::size_t next = 0;
    for (std::size_t i = 0; i < run.inputs.size(); ++i)
      if (run.inputs[i].requires_grad()) add_to(name_gradients_[wiring.takes[i]], gradients[next++]);
    run.inputs.clear();
    collect_parameters(b, {gradients.begin() + static_cast<std::ptrdiff_t>(next), gradients.end()}, run.weights, arena);
  }

  void collect_parameters(std::size_t b, const std::vector<at::Tensor>& direct, WeightQueue& weights, const at::Tensor& arena) {
    const auto& parameters = aliases_[b];
    std::vector<at::Tensor> sums(parameters.size());
    std::size_t next = 0;
    for (std::size_t p = 0; p < parameters.size(); ++p)
      if (parameters[p].requires_grad()) sums[p] = direct[next++];
    for (const WeightQueue::Gradient& product : weights.drain()) {
      const auto owner = std::find_if(parameters.begin(), parameters.end(), [&](const at::Tensor& p) { return p.is_same(product.parameter); });
      check(owner != parameters.end(), "block '{}' queued the gradient of a tensor that is none of its parameters", engine_.model_.blocks[b].name);
      if (owner->requires_grad()) add_to(sums[static_cast<std::size_t>(owner - parameters.begin())], product.value);
    }
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      if (!sums[p].defined()) continue;
      const std::size_t entry = engine_.wiring_[b].parameters[p];
      if (engine_.uses_[entry] == 1)
        write(arena, entry, sums[p]);
      else
        shared_[entry].push_back(std::move(sums[p]));
    }
  }

  // Never in place: autograd may hand out the same tensor twice. Undefined is zero, and adding it would lose the sign of -0.
  static void add_to(at::Tensor& sum, const at::Tensor& value) {
    if (!value.defined()) return;
    sum = sum.defined() ? at::add(sum, value) : value;
  }

  void write(const at::Tensor& arena, std::size_t entry, const at::Tensor& gradient) const {
    const at::Tensor place = view_of(engine_.layout_, arena, entry);
    check(gradient.sizes() == place.sizes(), "the gradient of '{}' has another shape than the parameter", engine_.layout_.entries[entry].spec.name);
    place.copy_(gradient);
  }

  const Engine& engine_;
  const Leaf& leaf_;
  const std::vector<std::vector<at::Tensor>>& aliases_;
  bool gradients_;
  std::vector<BlockRun> blocks_;
  std::vector<at::Tensor> values_;  // by name, detached
  std::vector<bool> wants_gradient_ = std::vector<bool>(values_.size(), false);
  std::vector<at::Tensor> name_gradients_;
  std::map<std::size_t, std::vector<at::Tensor>> shared_;  // entry -> per-use gradients, last block first
};

Engine::Engine(const BlockList& model, const ParameterLayout& layout) : model_(model), layout_(layout), uses_(layout.entries.size(), 0) {
  std::map<std::string, std::size_t> numbers;
  for (const BlockSpec& block : model.blocks) {
    Wiring wiring;
    check(static_cast<bool>(block.forward), "block '{}' has no forward function", block.name);
    for (const std::string& name : block.takes) {
      const auto given = numbers.find(name);
      check(given != numbers.end(), "block '{}' takes '{}', which no earlier block gives", block.name, name);
      wiring.takes.push_back(given->second);
    }
    for (const std::string& name : block.gives) {
      check(numbers.emplace(name, names_.size()).second, "block '{}' gives '{}', which an earlier block gives already", block.name, name);
      wiring.gives.push_back(names_.size());
      names_.push_back(name);
    }
    for (const std::string& name : block.parameters) {
      const std::size_t entry = layout.find(name);
      check(std::find(wiring.parameters.begin(), wiring.parameters.end(), entry) == wiring.parameters.end(), "block '{}' names parameter '{}' twice",
            block.name, name);
      wiring.parameters.push_back(entry);
      ++uses_[entry];
    }
    wiring_.push_back(std::move(wiring));
  }
  for (const std::string& name : model.outputs) {
    check(numbers.contains(name), "the model puts out '{}', which no block gives", name);
    outputs_.push_back(numbers[name]);
  }
  loss_ = numbers.contains(loss_name) ? numbers[loss_name] : names_.size();
}

std::vector<std::vector<at::Tensor>> Engine::aliases(const at::Tensor& parameters, bool gradients) const {
  std::vector<std::vector<at::Tensor>> result(wiring_.size());
  for (std::size_t b = 0; b < wiring_.size(); ++b)
    for (const std::size_t entry : wiring_[b].parameters) {
      at::Tensor alias = view_of(layout_, parameters, entry).detach();
      alias.set_requires_grad(gradients && layout_.entries[entry].spec.trainable);
      result[b].push_back(std::move(alias));
    }
  return result;
}

std::vector<LeafOutput> Engine::run(const Schedule& schedule, const at::Tensor& parameters, const std::vector<Leaf>& leaves, GradientSink& sink) const {
  const auto parameters_of_block = aliases(parameters, true);
  std::vector<std::unique_ptr<LeafRun>> runs(leaves.size());
  std::vector<LeafOutput> outputs(leaves.size());
  std::size_t done = 0;
  for (const Action& action : schedule) {
    const auto number = static_cast<std::size_t>(action.leaf);
    check(number < leaves.size() && action.stage == 0, "the schedule names leaf {} of stage {}, there are {} leaves and one stage", action.leaf, action.stage,
          leaves.size());
    if (action.kind == ActionKind::forward) {
      runs[number] = std::make_unique<LeafRun>(*this, leaves[number], parameters_of_block, true);
      outputs[number] = runs[number]->forward();
    } else {
      check(runs[number] != nullptr, "the schedule runs leaf {} backward before forward", action.leaf);
      const std::int64_t leaf = leaves[number].context.leaf;
      at::Tensor gradient = sink.begin(leaf);
      std::exchange(runs[number], nullptr)->backward(gradient);
      sink.complete(leaf, std::move(gradient));
      ++done;
    }
  }
  check(done == leaves.size(), "the schedule finished {} of {} leaves", done, leaves.size());
  return outputs;
}

LeafOutput Engine::evaluate(const at::Tensor& parameters, const Leaf& leaf) const {
  const auto parameters_of_block = aliases(parameters, false);
  return LeafRun(*this, leaf, parameters_of_block, false).forward();
}

}  // namespace tributary
