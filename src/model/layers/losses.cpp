#include "model/layers/losses.h"

#include <limits>

#include "base/error.h"
#include "model/layers/device.h"
#include "shards/task_kinds.h"

namespace tributary {
namespace {

at::Tensor zero_where_not(const at::Tensor& valid, const at::Tensor& x) { return at::where(valid, x, 0); }

// log p of the label's side of a 0/1 logit; `side` is 1 for positives, -1 for negatives.
at::Tensor log_probability(const at::Tensor& logits, const at::Tensor& side) { return at::log_sigmoid(logits * side); }

// (1 - p^q) / q from log p, without cancellation near p = 1.
at::Tensor generalised(const at::Tensor& log_p, double q) { return at::expm1(log_p * q) * (-1 / q); }

// A loss for every 0/1 cell. logits, value [B, C]
at::Tensor binary_cells(const LossOptions& options, const at::Tensor& logits, const at::Tensor& value) {
  const at::Tensor side = value * 2 - 1;
  switch (options.kind) {
    case LossKind::cross_entropy:
      return log_probability(logits, side) * (value * (1 - options.positive_weight) - 1);
    case LossKind::generalised_cross_entropy:
      return generalised(log_probability(logits, side), options.q);
    default: {
      const at::Tensor alpha = value * (2 * options.alpha - 1) + (1 - options.alpha);
      const at::Tensor modulation = at::exp(log_probability(logits, side.neg()) * options.gamma);  // (1 - p)^gamma
      return log_probability(logits, side) * modulation * alpha.neg();
    }
  }
}

at::Tensor class_weights_of(const LossOptions& options, const at::Tensor& label, const at::Tensor& logits) {
  check(static_cast<std::int64_t>(options.class_weights.size()) == logits.size(1), "loss: {} class weights for {} classes", options.class_weights.size(),
        logits.size(1));
  const at::Tensor weights = ops::moved_to(logits, at::tensor(options.class_weights, at::TensorOptions(logits.scalar_type())));
  return weights.index_select(0, label.squeeze(1)).unsqueeze(1);
}

// A loss for every row. logits [B, C], value [B, 1] the number of the class
at::Tensor class_rows(const LossOptions& options, const at::Tensor& logits, const at::Tensor& value) {
  const at::Tensor label = value.to(at::kLong);
  const at::Tensor log_p = at::log_softmax(logits, 1);
  const at::Tensor log_p_label = log_p.gather(1, label);
  const auto weighted = [&](const at::Tensor& loss) { return options.class_weights.empty() ? loss : loss * class_weights_of(options, label, logits); };
  switch (options.kind) {
    case LossKind::cross_entropy:
      return weighted(log_p_label.neg());
    case LossKind::generalised_cross_entropy:
      return generalised(log_p_label, options.q);
    default: {
      // log(1 - p) as the other classes' own sum: 1 - p would lose all digits where p is near 1.
      const at::Tensor log_others = at::logsumexp(log_p.scatter(1, label, -std::numeric_limits<double>::infinity()), 1, true);
      const at::Tensor loss = at::exp(log_others * options.gamma) * log_p_label.neg();
      return weighted(loss);
    }
  }
}

}  // namespace

LossKind loss_kind(const std::string& name, TaskKind task) {
  const bool regression = task == TaskKind::regression, classes = task == TaskKind::binary || is_one_class(task);
  if (name == "squared_error" && regression) return LossKind::squared_error;
  if (name == "squared_log_error" && regression) return LossKind::squared_log_error;
  if (name == "cross_entropy" && !regression) return LossKind::cross_entropy;
  if (name == "generalised_cross_entropy" && classes) return LossKind::generalised_cross_entropy;
  if (name == "focal" && classes) return LossKind::focal;
  fail(ErrorKind::configuration, "loss \"{}\" does not fit the kind of this task; {}", name,
       regression ? "use \"squared_error\" or \"squared_log_error\""
       : classes  ? "use \"cross_entropy\", \"generalised_cross_entropy\" or \"focal\""
                  : "use \"cross_entropy\"");
}

at::Tensor loss_sum(TaskKind task, const LossOptions& options, const at::Tensor& given, const at::Tensor& value, const at::Tensor& valid) {
  const at::Tensor logits = ops::at_least_single(given);
  check(logits.dim() == 2 && value.dim() == 2 && valid.dim() == 1 && value.size(0) == logits.size(0) && valid.size(0) == logits.size(0),
        "loss: logits of {} rows, labels of {}, {} valid bits", logits.size(0), value.size(0), valid.size(0));
  const at::Tensor rows = valid.unsqueeze(1);
  const at::Tensor z = zero_where_not(rows, logits), y = zero_where_not(rows, value.to(logits.scalar_type()));
  at::Tensor cells;
  if (task == TaskKind::regression) {
    cells = (z - (options.kind == LossKind::squared_log_error ? at::log1p(y.clamp_min(0)) : y)).square();
  } else if (is_one_class(task)) {
    cells = class_rows(options, z, y);
  } else {
    cells = binary_cells(options, z, y);
  }
  return zero_where_not(rows, cells).sum();
}

at::Tensor probabilities(TaskKind task, LossKind loss, const at::Tensor& logits) {
  const at::Tensor z = ops::at_least_single(logits.detach());
  if (task == TaskKind::regression) return loss == LossKind::squared_log_error ? at::expm1(z) : z.clone();
  return is_one_class(task) ? at::softmax(z, 1) : at::sigmoid(z);
}

}  // namespace tributary
