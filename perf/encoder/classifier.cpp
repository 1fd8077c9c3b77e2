#include "encoder/classifier.h"

#include "model/families/encoder.h"
#include "model/layers/operators.h"

namespace tributary {
namespace {

constexpr std::int64_t classes = 40;

}  // namespace

BlockList mean_classifier(const TextConfig& text, std::int64_t vocabulary) {
  BlockList list;
  const std::string hidden = add_encoder(list, text, vocabulary);
  list.parameters.push_back({"head.weight", {classes, text.width}, Init::normal, 0.02});
  list.parameters.push_back({"head.bias", {classes}, Init::zeros, 0, false});
  list.blocks.push_back({"head", {BatchField::notes, BatchField::labels}, {hidden}, {loss_name}, {"head.weight", "head.bias"}, [](const BlockInput& in) {
                           const at::Tensor& lengths = in.batch.notes.window_lengths;
                           const at::Tensor record = at::repeat_interleave(lengths);
                           const at::Tensor sums = at::zeros({lengths.size(0), in.taken[0].size(1)}, in.taken[0].options()).index_add(0, record, in.taken[0]);
                           const at::Tensor scores = ops::linear(sums / lengths.unsqueeze(1), in.parameters[0], in.parameters[1], in.weights);
                           return std::vector<at::Tensor>{at::cross_entropy_loss(scores, in.batch.labels[0].value, {}, at::Reduction::Sum) /
                                                          in.context.label_counts[0]};
                         }});
  list.outputs = {loss_name};
  return list;
}

}  // namespace tributary
