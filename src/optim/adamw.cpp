#include "optim/adamw.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "optim/adamw_kernel.h"

namespace tributary {
namespace {

double factor_of(const OptimConfig& config, const std::string& name) {
  double factor = 1;
  std::size_t longest = 0;
  for (const auto& [prefix, value] : config.factor)
    if (name.starts_with(prefix) && prefix.size() >= longest) {
      longest = prefix.size();
      factor = value;
    }
  return factor;
}

// A trained entry's part of a rank's slice, and what its update needs beside the tensors.
struct EntryPart {
  std::int64_t parameter = 0, slice = 0, count = 0;  // where it begins in the arena and in the slice, in elements
  double rate = 0, decay = 0;                        // learning rate; decoupled weight decay
};

std::vector<EntryPart> parts_of(const ParameterLayout& layout, const OptimConfig& config, double learning_rate, std::int64_t offset, std::int64_t own) {
  std::vector<EntryPart> parts;
  for (const ParameterEntry& entry : layout.entries) {
    const std::int64_t first = std::max(entry.offset, offset), last = std::min(entry.offset + entry.spec.count(), offset + own);
    if (!entry.spec.trainable || first >= last) continue;
    parts.push_back({first, first - offset, last - first, learning_rate * factor_of(config, entry.spec.name), entry.spec.decay ? config.weight_decay : 0.0});
  }
  return parts;
}

void update_on_host(const std::vector<EntryPart>& parts, const OptimConfig& config, double gradient_factor, const at::Tensor& gradient, const AdamState& state,
                    const at::Tensor& parameters) {
  const auto t = static_cast<double>(state.updates);
  for (const EntryPart& part : parts) {
    const AdamScalars scalars{.beta1 = static_cast<float>(config.beta1),
                              .one_minus_beta1 = static_cast<float>(1 - config.beta1),
                              .beta2 = static_cast<float>(config.beta2),
                              .one_minus_beta2 = static_cast<float>(1 - config.beta2),
                              .keep = static_cast<float>(1 - part.rate * part.decay),
                              .step_size = static_cast<float>(part.rate / (1 - std::pow(config.beta1, t))),
                              .inverse_root = static_cast<float>(1 / std::sqrt(1 - std::pow(config.beta2, t))),
                              .epsilon = static_cast<float>(config.epsilon),
                              .gradient_factor = static_cast<float>(gradient_factor)};
    adamw_elements(part.count, scalars, gradient.data_ptr<float>() + part.slice, state.first.data_ptr<float>() + part.slice,
                   state.second.data_ptr<float>() + part.slice, parameters.data_ptr<float>() + part.parameter);
  }
}

}  // namespace

void update_by_library(const ParameterLayout& layout, const OptimConfig& config, const UpdateScale& scale, std::int64_t slice_offset,
                       const at::Tensor& gradient, const AdamState& state, const at::Tensor& parameters) {
  struct Lists {
    std::vector<at::Tensor> parameters, gradients, first, second, steps;
  };
  std::map<std::pair<double, double>, Lists> by_rate;  // one call for all entries of a rate and a decay
  const at::Tensor scaled = scale.gradient_factor == 1 ? gradient : gradient * scale.gradient_factor;
  const at::Tensor step = at::full({}, static_cast<double>(state.updates), state.first.options());
  for (const EntryPart& part : parts_of(layout, config, scale.learning_rate, slice_offset, gradient.numel())) {
    Lists& lists = by_rate[{part.rate, part.decay}];
    lists.parameters.push_back(parameters.narrow(0, part.parameter, part.count));
    lists.gradients.push_back(scaled.narrow(0, part.slice, part.count));
    lists.first.push_back(state.first.narrow(0, part.slice, part.count));
    lists.second.push_back(state.second.narrow(0, part.slice, part.count));
    lists.steps.push_back(step);
  }
  for (const auto& [rate, lists] : by_rate)
    at::_fused_adamw_(lists.parameters, lists.gradients, lists.first, lists.second, {}, lists.steps, rate.first, config.beta1, config.beta2, rate.second,
                      config.epsilon, false, false);
}

AdamState make_adam_state(std::int64_t own, at::Device device) {
  const at::TensorOptions options = at::TensorOptions(device).dtype(at::kFloat);
  return {at::zeros({own}, options), at::zeros({own}, options), 0};
}

void update_slice(const ParameterLayout& layout, const OptimConfig& config, const UpdateScale& scale, std::int64_t slice_offset, const at::Tensor& gradient,
                  AdamState& state, const at::Tensor& parameters) {
  const std::int64_t own = gradient.numel();
  check(state.first.numel() == own && state.second.numel() == own, "a gradient slice of {} elements for moments of {}", own, state.first.numel());
  ++state.updates;
  if (parameters.device().is_cpu())
    update_on_host(parts_of(layout, config, scale.learning_rate, slice_offset, own), config, scale.gradient_factor, gradient, state, parameters);
  else
    update_by_library(layout, config, scale, slice_offset, gradient, state, parameters);
}

}  // namespace tributary
