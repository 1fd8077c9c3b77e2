#include "model/families/relation_head.h"

#include "model/families/draft.h"
#include "model/layers/device.h"

namespace tributary {
namespace {

// Element m is the fused sequence at flat position places[m] = record[m] * T + token. -> [M, D + E]
at::Tensor at_places(const FusedSequence& sequence, const at::Tensor& record, const at::Tensor& places) {
  const std::int64_t count = sequence.positions.size(0) * sequence.positions.size(1);
  at::Tensor rows = sequence.positions.reshape({count, sequence.positions.size(2)}).index_select(0, places);
  if (sequence.record.defined()) rows = at::cat({rows, sequence.record.index_select(0, record)}, 1);
  return sequence.gate.defined() ? rows * sequence.gate.reshape({count}).index_select(0, places).unsqueeze(1) : rows;
}

std::string add_concepts(BlockList& list, const SequenceLayout& layout, const FusedNames& fused) {
  BlockDraft draft("relation.concepts");
  draft.spec.reads = fields_of_positions(layout);
  draft.spec.reads.push_back(BatchField::entities);
  draft.spec.gives = {"relation.concepts"};
  draft.spec.shape_reads = {BatchField::notes, BatchField::entities};
  draft.spec.shapes = [width = fused.width](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
    return {{{batch.mentions.concept_record.size(0), width}, batch.mentions.concept_number.ge(0).any().item<bool>()}};
  };
  const FusedInput input = take_fused(draft, fused);
  add_block(list, std::move(draft), [=, width = fused.width](const BlockInput& in) -> std::vector<at::Tensor> {
    const FusedSequence sequence = input(in);
    const MentionTensors& mentions = in.batch.mentions;
    const std::int64_t concepts = mentions.concept_record.size(0);
    const at::Tensor with_concept = ops::moved_to(sequence.positions, in.host.mentions.concept_number.ge(0).nonzero().squeeze(1));
    if (with_concept.size(0) == 0) return {at::zeros({concepts, width}, sequence.positions.options().requires_grad(false))};
    const auto own = [&](const at::Tensor& all) { return all.index_select(0, with_concept); };
    const at::Tensor record = own(mentions.record), number = own(mentions.concept_number);
    const at::Tensor rows = ops::at_least_single(at_places(sequence, record, record * sequence.positions.size(1) + own(mentions.token)));
    const at::Tensor sums = at::zeros({concepts, width}, rows.options().requires_grad(false)).index_add(0, number, rows);
    const at::Tensor counts = at::zeros({concepts}, number.options()).index_add_(0, number, at::ones_like(number));
    return {(sums / counts.clamp_min(1).unsqueeze(1)).to(sequence.positions.scalar_type())};
  });
  return "relation.concepts";
}

}  // namespace

std::function<std::vector<TensorShape>(const Batch&, const LeafContext&)> relation_shapes(const TaskHead& head, const Task& task) {
  return [number = head.task, width = task.output_width()](const Batch& batch, const LeafContext&) -> std::vector<TensorShape> {
    using Type = TensorShape::Type;
    return {{{}, true, Type::single}, {{1}, false, Type::wide}, {{batch.pairs[number].head.size(0), width}, false, Type::single}};
  };
}

std::vector<at::Tensor> relation_outcome(const at::Tensor& logits, const TaskHead& head, const BlockInput& in) {
  const LabelTensors& labels = in.batch.labels[head.task];
  const at::Tensor sum = loss_sum(TaskKind::relation, head.loss, logits, labels.value, labels.valid);
  return {sum * loss_factor(head, in.context), sum.detach().to(at::kDouble).view({1}), probabilities(TaskKind::relation, head.loss.kind, logits)};
}

void add_relation_head(BlockList& list, const ModelSettings& settings, const Task& task, const TaskHead& head, const SequenceLayout& layout,
                       const FusedNames& fused, const HeadNames& gives) {
  const std::string concepts = add_concepts(list, layout, fused);
  BlockDraft draft("relation");
  draft.spec.reads = {BatchField::entities, BatchField::labels};
  draft.spec.gives = {gives.loss, gives.loss_sums, probability_name(task)};
  draft.spec.shape_reads = {BatchField::notes, BatchField::entities, BatchField::labels};
  draft.spec.shapes = relation_shapes(head, task);
  draft.take(concepts);
  std::vector<LinearLayer> layers;
  std::int64_t width = 3 * fused.width;
  for (const std::int64_t next : settings.heads.relation_layers) {
    layers.push_back(add_linear(draft, "relation.layers." + std::to_string(layers.size()), width, next));
    width = next;
  }
  const LinearLayer out = add_linear(draft, "relation.out", width, task.output_width());
  add_block(list, std::move(draft), [=, dropout = settings.model.dropout](const BlockInput& in) -> std::vector<at::Tensor> {
    const PairTensors& pairs = in.batch.pairs[head.task];
    const at::Tensor first = in.taken[0].index_select(0, pairs.head), second = in.taken[0].index_select(0, pairs.tail);
    at::Tensor g = at::cat({first, second, first * second}, 1);  // [P, 3 (D + E)]
    for (std::size_t i = 0; i < layers.size(); ++i) g = ops::dropout(at::relu(layers[i](g, in)), dropout, in.draw_key(i), in.context.training);
    return relation_outcome(out(g, in), head, in);
  });
}

}  // namespace tributary
