#include "model/families/fusion.h"

#include "model/families/ms_cnn.h"
#include "model/layers/split_linear.h"

namespace tributary {

at::Tensor FusedSequence::project(const at::Tensor& weight, WeightQueue* queue) const {
  const at::Tensor projected = record.defined() ? ops::split_linear(positions, record, weight, queue) : ops::linear(positions, weight, at::Tensor(), queue);
  return gate.defined() ? projected * gate.unsqueeze(2) : projected;
}

at::Tensor FusedSequence::weighted_sum(const at::Tensor& weights) const {
  const at::Tensor gated = gate.defined() ? weights * gate : weights;
  const at::Tensor sum = at::bmm(gated.unsqueeze(1), positions).squeeze(1);
  return record.defined() ? at::cat({sum, record * gated.sum(1, true)}, 1) : sum;
}

at::Tensor FusedSequence::dense() const {
  at::Tensor all = positions;
  if (record.defined()) all = at::cat({positions, record.unsqueeze(1).expand({-1, positions.size(1), -1})}, 2);
  return gate.defined() ? all * gate.unsqueeze(2) : all;
}

FusedSequence FusedInput::operator()(const BlockInput& in) const {
  FusedSequence sequence;
  sequence.positions = in.taken[positions];
  if (has_record) sequence.record = in.taken[record];
  if (has_gate) sequence.gate = in.taken[gate];
  return sequence;
}

FusedInput take_fused(BlockDraft& draft, const FusedNames& names) {
  FusedInput input;
  input.positions = draft.take(names.positions);
  input.has_record = !names.record.empty();
  if (input.has_record) input.record = draft.take(names.record);
  input.has_gate = !names.gate.empty();
  if (input.has_gate) input.gate = draft.take(names.gate);
  return input;
}

FusedNames add_fusion(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, const std::string& sequence,
                      const std::vector<std::string>& branches) {
  FusedNames names{sequence, "", "", settings.lstm.width};
  if (branches.empty()) return names;
  BlockDraft draft("fusion");
  const std::int64_t width = branch_width(settings.cnn) * static_cast<std::int64_t>(branches.size());
  for (const std::string& branch : branches) draft.take(branch);
  const std::size_t count = branches.size();
  const auto pooled = [count](const BlockInput& in) {  // p~ [B, branches x branch width]
    return count == 1 ? in.taken[0] : at::cat(std::vector<at::Tensor>(in.taken.begin(), in.taken.begin() + static_cast<std::ptrdiff_t>(count)), 1);
  };
  if (settings.cnn.fusion == "concat") {
    give_records(draft.spec, "fusion.record", width);
    add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> { return {pooled(in)}; });
    names.record = "fusion.record";
    names.width += width;
    return names;
  }
  give_positions(draft.spec, "fusion.positions", layout, settings.lstm.width);
  const std::size_t positions = draft.take(sequence);
  const LinearLayer map = add_linear(draft, "map_p", width, settings.lstm.width);
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> { return {in.taken[positions] + map(pooled(in), in).unsqueeze(1)}; });
  names.positions = "fusion.positions";
  return names;
}

}  // namespace tributary
