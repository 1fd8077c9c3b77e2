#include "scaling/encoder_task.h"

#include "base/error.h"

namespace tributary {

EncoderTask encoder_task(const nlohmann::json& given) {
  EncoderTask task;
  task.text.layers = given.at("layers").get<std::int64_t>();
  task.text.width = given.at("width").get<std::int64_t>();
  task.text.heads = given.at("heads").get<std::int64_t>();
  task.text.intermediate = given.at("intermediate").get<std::int64_t>();
  task.text.positions = given.at("positions").get<std::int64_t>();
  task.vocabulary = given.at("vocabulary").get<std::int64_t>();
  task.windows = given.at("windows").get<std::int64_t>();
  task.tokens = given.at("tokens").get<std::int64_t>();
  task.leaves = given.at("leaves").get<std::int64_t>();
  check(task.leaves > 0 && task.windows % task.leaves == 0, "{} windows in {} leaves", task.windows, task.leaves);
  return task;
}

std::vector<Batch> make_leaves(const EncoderTask& task) {
  constexpr std::int64_t stride = 7919;  // a prime: spreads the tokens over the vocabulary
  const std::int64_t rows = task.windows / task.leaves;
  std::vector<Batch> leaves;
  for (std::int64_t leaf = 0; leaf < task.leaves; ++leaf) {
    Batch& batch = leaves.emplace_back();
    const std::int64_t first = leaf * rows * task.tokens;
    batch.notes.window_ids = (at::arange(first, first + rows * task.tokens, at::kLong) * stride).remainder(task.vocabulary).view({rows, task.tokens});
    batch.notes.window_lengths = at::full({rows}, task.tokens, at::kLong);
    batch.labels.push_back({(at::arange(leaf * rows, (leaf + 1) * rows, at::kLong)).remainder(40), at::ones({rows}, at::kBool)});
  }
  return leaves;
}

}  // namespace tributary
