#include "model/families/tokens.h"

#include <algorithm>

#include "base/error.h"
#include "model/families/draft.h"
#include "model/families/encoder.h"
#include "model/layers/device.h"

namespace tributary {
namespace {

// counts [B], of members that stand in order of their record -> the number of each member inside its record, [sum of counts].
at::Tensor numbers_inside(const at::Tensor& counts, const at::Tensor& record) {
  const at::Tensor first = counts.cumsum(0) - counts;
  return at::arange(record.size(0), record.options()) - first.index_select(0, record);
}

// rows [n, d], each of the record and the place inside it (both in host memory) -> [B, places, d], 0 elsewhere.
at::Tensor spread(const at::Tensor& rows, const at::Tensor& record, const at::Tensor& place, std::int64_t records, std::int64_t places) {
  const at::Tensor all = at::zeros({records * places, rows.size(1)}, rows.options().requires_grad(false));
  return all.index_copy(0, ops::moved_to(rows, record * places + place), rows).view({records, places, rows.size(1)});
}

}  // namespace

SequenceTensor add_token_sequence(BlockList& list, const TextConfig& text, const SequenceLayout& layout, const std::string& hidden) {
  BlockDraft draft("tokens");
  draft.spec.reads = fields_of_positions(layout);
  give_positions(draft.spec, "tokens", layout, text.width);
  draft.spec.shapes = [plain = std::move(draft.spec.shapes)](const Batch& batch, const LeafContext& context) {
    std::vector<TensorShape> shapes = plain(batch, context);
    shapes[0].differentiable = batch.notes.token_position.size(0) > 0;
    return shapes;
  };
  draft.take(hidden);
  add_block(list, std::move(draft), [=, width = text.width](const BlockInput& in) -> std::vector<at::Tensor> {
    const NoteTensors& notes = in.host.notes;
    const at::Tensor& states = in.taken[0];
    const std::int64_t records = in.host.rows(), places = positions(in.host, layout);
    if (notes.token_position.size(0) == 0) return {at::zeros({records, places, width}, states.options().requires_grad(false))};
    const at::Tensor record = at::arange(records, notes.record_tokens.options()).repeat_interleave(notes.record_tokens);
    check(record.size(0) == notes.token_position.size(0), "the leaf has {} tokens, its records {}", notes.token_position.size(0), record.size(0));
    const at::Tensor rows = packed_rows(notes.window_lengths, notes.window_ids.size(1), notes.token_position);
    return {spread(states.index_select(0, ops::moved_to(states, rows)), record, numbers_inside(notes.record_tokens, record), records, places)};
  });
  return {"tokens", text.width};
}

SequenceTensor add_entity_attention(BlockList& list, const SequenceLayout& layout, const SequenceTensor& tokens) {
  BlockDraft draft("entity");
  draft.spec.reads = fields_of_positions(layout);
  draft.spec.reads.push_back(BatchField::entities);
  give_positions(draft.spec, "entity", layout, 2 * tokens.width);
  draft.take(tokens.name);
  const double fan_in = static_cast<double>(tokens.width);
  const std::size_t weight = draft.parameter({"entity.W_a", {tokens.width, tokens.width}, Init::uniform_fan_in, fan_in});
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> {
    const at::Tensor& e = in.taken[0];  // [B, T, d]
    const MentionTensors& mentions = in.host.mentions;
    if (mentions.distinct.size(0) == 0) return {at::cat({e, at::zeros_like(e)}, 2)};
    const std::int64_t records = e.size(0), places = e.size(1), width = e.size(2);
    const at::Tensor record = mentions.record.index_select(0, mentions.distinct), token = mentions.token.index_select(0, mentions.distinct);
    const at::Tensor counts = at::zeros({records}, record.options()).index_add_(0, record, at::ones_like(record));
    const auto most = counts.max().item<std::int64_t>();
    const at::Tensor place = numbers_inside(counts, record);
    const at::Tensor first = e.reshape({records * places, width}).index_select(0, ops::moved_to(e, record * places + token));  // [M, d]
    // e_i W_a e_m: the product with W_a is made once a mention, not once a token.
    const at::Tensor keys = spread(ops::linear(first, in.parameters[weight], {}, in.weights), record, place, records, most);
    const at::Tensor there = ops::moved_to(e, at::arange(most, counts.options()).lt(counts.unsqueeze(1)).unsqueeze(1));  // [B, 1, most]
    const at::Tensor alpha = ops::masked_softmax(at::bmm(e, keys.transpose(1, 2)), there);
    const at::Tensor context = at::bmm(alpha, spread(first, record, place, records, most));
    return {at::cat({e, ops::select_valid(context, valid_positions(in, layout).unsqueeze(2))}, 2)};
  });
  return {"entity", 2 * tokens.width};
}

}  // namespace tributary
