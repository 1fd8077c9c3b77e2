// Losses as sums over valid labels, float32 at least: logits in half precision are widened first; the caller divides by the global count. Specification,
// paragraph 13.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "shards/schema.h"

namespace tributary {

enum class LossKind { cross_entropy, generalised_cross_entropy, focal, squared_error, squared_log_error };
[[nodiscard]] LossKind loss_kind(const std::string& name, TaskKind task);  // Throws: Error{configuration} when the loss does not fit the task

struct LossOptions {
  LossKind kind = LossKind::cross_entropy;
  double positive_weight = 1;               // binary and multilabel cross entropy
  double gamma = 2, alpha = 0.75, q = 0.7;  // focal: gamma, and alpha for positives, 1 - alpha for negatives (binary); generalised: q
  std::vector<double> class_weights = {};   // cross entropy and focal, multiclass and relation: one weight a class; empty: all 1
};

// Squared log error is taken between the output and log(1 + value), a value below 0 as 0.
// logits [B, output_width], value [B, label_width], valid [B] bool -> scalar sum. Rows that are not valid may hold anything, NaN included.
[[nodiscard]] at::Tensor loss_sum(TaskKind task, const LossOptions& options, const at::Tensor& logits, const at::Tensor& value, const at::Tensor& valid);

// Probabilities (regression: the prediction in the label's unit) [B, output_width], detached.
[[nodiscard]] at::Tensor probabilities(TaskKind task, LossKind loss, const at::Tensor& logits);

}  // namespace tributary
