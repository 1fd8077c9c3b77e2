#include "pipeline/leaf_stage.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

// Never in place: autograd may hand out the same tensor twice. Undefined is zero, and adding it would lose the sign of -0.
void add_to(at::Tensor& sum, const at::Tensor& value) {
  if (!value.defined()) return;
  sum = sum.defined() ? at::add(sum, value) : value;
}

}  // namespace

Wiring::Wiring(const BlockList& model) {
  std::map<std::string, std::size_t> numbers;
  std::set<std::string> trained;
  for (const ParameterSpec& spec : model.parameters)
    if (spec.trainable) trained.insert(spec.name);
  for (std::size_t b = 0; b < model.blocks.size(); ++b) {
    const BlockSpec& spec = model.blocks[b];
    check(static_cast<bool>(spec.forward), "block '{}' has no forward function", spec.name);
    Block block;
    bool learns = std::any_of(spec.parameters.begin(), spec.parameters.end(), [&](const std::string& name) { return trained.contains(name); });
    for (const std::string& name : spec.takes) {
      const auto given = numbers.find(name);
      check(given != numbers.end(), "block '{}' takes '{}', which no earlier block gives", spec.name, name);
      block.takes.push_back(given->second);
      learns = learns || reached[given->second];
    }
    for (const std::string& name : spec.gives) {
      check(numbers.emplace(name, names.size()).second, "block '{}' gives '{}', which an earlier block gives already", spec.name, name);
      block.gives.push_back(names.size());
      names.push_back(name);
      givers.push_back(b);
      reached.push_back(learns);
    }
    blocks.push_back(std::move(block));
  }
  for (const std::string& name : model.outputs) {
    check(numbers.contains(name), "the model puts out '{}', which no block gives", name);
    outputs.push_back(numbers[name]);
  }
  loss = numbers.contains(loss_name) ? numbers[loss_name] : names.size();
}

std::vector<std::size_t> Wiring::taken_from(std::size_t block) const {
  std::set<std::size_t> found;
  for (std::size_t b = block; b < blocks.size(); ++b)
    for (const std::size_t name : blocks[b].takes)
      if (givers[name] < block) found.insert(name);
  return {found.begin(), found.end()};
}

std::vector<std::size_t> Wiring::crossing(std::size_t block) const {
  const std::vector<std::size_t> taken = taken_from(block);
  std::set<std::size_t> found(taken.begin(), taken.end());
  for (const std::size_t name : outputs)
    if (givers[name] < block) found.insert(name);
  return {found.begin(), found.end()};
}

std::vector<std::size_t> Wiring::returning(std::size_t block) const {
  std::vector<std::size_t> found = taken_from(block);
  std::erase_if(found, [&](std::size_t name) { return !reached[name]; });
  return found;
}

TensorShape LeafStage::shape_of(const BlockList& model, const Wiring& wiring, const Leaf& leaf, std::size_t name) {
  const std::size_t giver = wiring.givers[name];
  const BlockSpec& block = model.blocks[giver];
  check(static_cast<bool>(block.shapes), "a pipeline is cut behind block '{}', which does not tell the shape of '{}'", block.name, wiring.names[name]);
  const auto place = std::find(wiring.blocks[giver].gives.begin(), wiring.blocks[giver].gives.end(), name) - wiring.blocks[giver].gives.begin();
  return block.shapes(leaf.host_batch(), leaf.context).at(static_cast<std::size_t>(place));
}

LeafStage::LeafStage(const StageContext& stage, const Leaf& leaf, bool gradients)
    : stage_(stage), leaf_(leaf), gradients_(gradients), runs_(stage.layout.last - stage.layout.first), values_(stage.wiring.names.size()) {}

void LeafStage::put(std::size_t name, Travelling tensor) { values_[name] = std::move(tensor); }

template <class Work>
void LeafStage::at_block(std::size_t block, const char* phase, Work&& work) const {
  const auto told = [&](ErrorKind kind, const char* message) {
    const LeafContext& context = leaf_.context;
    const std::string when = context.training ? fmt::format("step {}", context.step + 1) : fmt::format("evaluation after step {}", context.step);
    return Error(
        kind, fmt::format("{}, leaf {}, stage {}, {} of block '{}': {}", when, context.leaf, stage_.number, phase, stage_.model.blocks[block].name, message));
  };
  try {
    std::forward<Work>(work)();
  } catch (const Error& error) {
    throw told(error.kind(), error.what());
  } catch (const c10::Error& error) {
    throw told(ErrorKind::internal, error.what_without_backtrace());
  } catch (const std::exception& error) {
    throw told(ErrorKind::internal, error.what());
  }
}

void LeafStage::forward() {
  for (std::size_t b = stage_.layout.first; b < stage_.layout.last; ++b) at_block(b, "forward", [&] { forward_block(b); });
}

std::vector<at::Tensor> LeafStage::run_block(std::size_t block, BlockRun& run, bool recording) const {
  const c10::AutoGradMode mode(recording);
  const BlockSpec& spec = stage_.model.blocks[block];
  auto outputs = spec.forward({*leaf_.batch, leaf_.host_batch(), leaf_.context, run.inputs, stage_.parameters[block - stage_.layout.first],
                               static_cast<int>(block), recording ? &run.weights : nullptr});
  check(outputs.size() == spec.gives.size(), "block '{}' gives {} tensors, its list names {}", spec.name, outputs.size(), spec.gives.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) check(outputs[i].defined(), "block '{}' gives no tensor for '{}'", spec.name, spec.gives[i]);
  return outputs;
}

void LeafStage::forward_block(std::size_t block) {
  const Wiring::Block& wiring = stage_.wiring.blocks[block];
  const BlockSpec& spec = stage_.model.blocks[block];
  BlockRun& run = runs_[block - stage_.layout.first];
  for (const std::size_t name : wiring.takes) {
    at::Tensor input = values_[name].value.detach();
    input.set_requires_grad(values_[name].differentiable);
    run.inputs.push_back(std::move(input));
  }
  const bool again = gradients_ && stage_.recompute[block];
  run.outputs = run_block(block, run, gradients_ && !again);
  const auto shapes = spec.shapes ? std::optional(spec.shapes(leaf_.host_batch(), leaf_.context)) : std::nullopt;
  check(shapes || !again, "block '{}' cannot be recomputed: it does not tell what it gives", spec.name);
  for (std::size_t i = 0; i < run.outputs.size(); ++i) {
    const at::Tensor& output = run.outputs[i];
    const std::size_t name = wiring.gives[i];
    bool differentiable = gradients_ && output.requires_grad();
    if (shapes) {
      const TensorShape& told = shapes->at(i);
      check(output.sizes() == at::IntArrayRef(told.sizes), "block '{}' gives another shape of '{}' than it tells", spec.name, spec.gives[i]);
      const bool expected = gradients_ && told.differentiable && stage_.wiring.reached[name];
      check(expected || !differentiable, "block '{}': '{}' is differentiable, other than it tells", spec.name, spec.gives[i]);
      differentiable = expected;
    }
    values_[name] = {output.detach(), differentiable};
  }
  if (!gradients_)
    run = {};
  else if (again)
    run.outputs.clear();
}

void LeafStage::put_gradient(std::size_t name, at::Tensor gradient) {
  name_gradients_.resize(stage_.wiring.names.size());
  name_gradients_[name] = std::move(gradient);
}

void LeafStage::backward(GradientSink* sink) {
  name_gradients_.resize(stage_.wiring.names.size());
  for (std::size_t b = stage_.layout.last; b-- > stage_.layout.first;) {
    at_block(b, "backward", [&] { backward_block(b); });
    if (sink != nullptr) at_block(b, "weight gradients", [&] { collect_block(b, *sink); });
  }
}

at::Tensor LeafStage::get_gradient(std::size_t name) { return std::exchange(name_gradients_[name], {}); }

// In place: the operators hold the address of the block's queue.
void LeafStage::backward_block(std::size_t block) {
  const Wiring::Block& wiring = stage_.wiring.blocks[block];
  BlockRun& run = runs_[block - stage_.layout.first];
  if (run.outputs.empty()) run.outputs = run_block(block, run, true);
  std::vector<at::Tensor> outputs, output_gradients, inputs;
  for (std::size_t i = 0; i < run.outputs.size(); ++i) {
    const std::size_t name = wiring.gives[i];
    if (!run.outputs[i].requires_grad()) continue;
    at::Tensor gradient = std::exchange(name_gradients_[name], {});
    if (name == stage_.wiring.loss) gradient = at::full_like(run.outputs[i], leaf_.context.loss_scale);
    if (!gradient.defined()) continue;
    outputs.push_back(run.outputs[i]);
    output_gradients.push_back(std::move(gradient));
  }
  for (const at::Tensor& input : run.inputs)
    if (input.requires_grad()) inputs.push_back(input);
  const std::size_t before = inputs.size();
  for (const at::Tensor& parameter : stage_.parameters[block - stage_.layout.first])
    if (parameter.requires_grad()) inputs.push_back(parameter);
  run.outputs.clear();
  std::vector<at::Tensor> gradients(inputs.size());
  if (!outputs.empty() && !inputs.empty()) gradients = torch::autograd::grad(outputs, inputs, output_gradients, std::nullopt, false, true);
  std::size_t next = 0;
  for (std::size_t i = 0; i < run.inputs.size(); ++i) {
    if (!run.inputs[i].requires_grad()) continue;
    // What this leaf made no use of has a gradient of zero, as a stage behind this one would send it: the sum must not depend on where the cut is.
    const at::Tensor gradient = gradients[next].defined() ? gradients[next] : at::zeros_like(run.inputs[i]);
    ++next;
    at::Tensor& sum = name_gradients_[wiring.takes[i]];
    sum = sum.defined() ? at::add(sum, gradient) : gradient;
  }
  run.direct.assign(gradients.begin() + static_cast<std::ptrdiff_t>(before), gradients.end());
  run.inputs.clear();
}

void LeafStage::collect(GradientSink& sink) {
  for (std::size_t b = stage_.layout.last; b-- > stage_.layout.first;) at_block(b, "weight gradients", [&] { collect_block(b, sink); });
}

void LeafStage::collect_block(std::size_t block, GradientSink& sink) {
  const std::size_t number = block - stage_.layout.first;
  const auto& parameters = stage_.parameters[number];
  BlockRun run = std::exchange(runs_[number], {});
  std::vector<at::Tensor> sums(parameters.size());
  std::size_t next = 0;
  for (std::size_t p = 0; p < parameters.size(); ++p)
    if (parameters[p].requires_grad() && next < run.direct.size()) sums[p] = std::move(run.direct[next++]);
  for (const WeightQueue::Gradient& product : run.weights.drain()) {
    const auto owner = std::find_if(parameters.begin(), parameters.end(), [&](const at::Tensor& p) { return p.is_same(product.parameter); });
    check(owner != parameters.end(), "block '{}' queued the gradient of a tensor that is none of its parameters", stage_.model.blocks[block].name);
    if (owner->requires_grad()) add_to(sums[static_cast<std::size_t>(owner - parameters.begin())], product.value);
  }
  for (std::size_t p = 0; p < parameters.size(); ++p)
    check(!sums[p].defined() || sums[p].sizes() == parameters[p].sizes(), "the gradient of '{}' has another shape than the parameter",
          stage_.model.blocks[block].parameters[p]);
  sink.add(leaf_.context.leaf, number, sums);
}

}  // namespace tributary
