#include "optim/adamw.h"

#include <algorithm>
#include <cmath>

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

}  // namespace

AdamState make_adam_state(std::int64_t own) { return {at::zeros({own}, at::kFloat), at::zeros({own}, at::kFloat), 0}; }

void update_slice(const ParameterLayout& layout, const OptimConfig& config, const UpdateScale& scale, std::int64_t slice_offset, const at::Tensor& gradient,
                  AdamState& state, const at::Tensor& parameters) {
  const std::int64_t own = gradient.numel();
  check(state.first.numel() == own && state.second.numel() == own, "a gradient slice of {} elements for moments of {}", own, state.first.numel());
  ++state.updates;
  const auto t = static_cast<double>(state.updates);
  for (const ParameterEntry& entry : layout.entries) {
    const std::int64_t first = std::max(entry.offset, slice_offset);
    const std::int64_t last = std::min(entry.offset + entry.spec.count(), slice_offset + own);
    if (!entry.spec.trainable || first >= last) continue;
    const double rate = scale.learning_rate * factor_of(config, entry.spec.name);
    const AdamScalars scalars{.beta1 = static_cast<float>(config.beta1),
                              .one_minus_beta1 = static_cast<float>(1 - config.beta1),
                              .beta2 = static_cast<float>(config.beta2),
                              .one_minus_beta2 = static_cast<float>(1 - config.beta2),
                              .keep = static_cast<float>(1 - (entry.spec.decay ? rate * config.weight_decay : 0.0)),
                              .step_size = static_cast<float>(rate / (1 - std::pow(config.beta1, t))),
                              .inverse_root = static_cast<float>(1 / std::sqrt(1 - std::pow(config.beta2, t))),
                              .epsilon = static_cast<float>(config.epsilon),
                              .gradient_factor = static_cast<float>(scale.gradient_factor)};
    const std::int64_t inside = first - slice_offset;
    adamw_elements(last - first, scalars, gradient.data_ptr<float>() + inside, state.first.data_ptr<float>() + inside, state.second.data_ptr<float>() + inside,
                   parameters.data_ptr<float>() + first);
  }
}

}  // namespace tributary
