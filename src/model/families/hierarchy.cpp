#include "model/families/hierarchy.h"

#include <optional>

#include "model/families/draft.h"
#include "model/families/encoder.h"
#include "model/layers/device.h"

namespace tributary {
namespace {

// Rows of each segment, [segments] int64: counted in half precision they would stop at 256.
at::Tensor members(const at::Tensor& segment, std::int64_t segments) {
  return at::zeros({segments}, segment.options()).index_add_(0, segment, at::ones_like(segment));
}

// Sums inside segments: segment[i] is where row i of x [n, ...] belongs; -> [segments, ...], 0 for empty segments. float32 at least.
at::Tensor segment_sum(const at::Tensor& x, const at::Tensor& segment, std::int64_t segments) {
  const at::Tensor rows = ops::at_least_single(x);
  std::vector<std::int64_t> sizes = rows.sizes().vec();
  sizes[0] = segments;
  return at::zeros(sizes, rows.options().requires_grad(false)).index_add(0, segment, rows);
}

at::Tensor segment_mean(const at::Tensor& x, const at::Tensor& segment, std::int64_t segments) {
  return (segment_sum(x, segment, segments) / members(segment, segments).clamp_min(1).unsqueeze(1)).to(x.scalar_type());
}

// Attention pooling inside each segment.
at::Tensor segment_attention(const at::Tensor& x, const at::Tensor& segment, std::int64_t segments, const ops::PoolingWeights& pool, WeightQueue* queue) {
  if (x.size(0) == 0) return at::zeros({segments, x.size(1)}, x.options());
  const at::Tensor hidden = ops::linear(x, pool.w, pool.b, queue).tanh();
  const at::Tensor scores = ops::at_least_single(ops::linear(hidden, pool.v, at::Tensor(), queue).squeeze(1));  // [n]
  const at::Tensor fixed = scores.detach();
  const at::Tensor highest = at::zeros({segments}, fixed.options()).scatter_reduce(0, segment, fixed, "amax", false);
  const at::Tensor weights = (scores - highest.index_select(0, segment)).exp();
  const at::Tensor shares = weights / segment_sum(weights, segment, segments).index_select(0, segment);
  return segment_sum(x * shares.unsqueeze(1), segment, segments).to(x.scalar_type());
}

struct Level {
  std::optional<PoolingLayer> pool;  // none: the mean
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const at::Tensor& segment, std::int64_t segments, const BlockInput& in) const {
    return pool ? segment_attention(x, segment, segments, pool->weights(in), in.weights) : segment_mean(x, segment, segments);
  }
};

Level add_level(BlockDraft& draft, const std::string& name, const std::string& kind, std::int64_t width) {
  Level level;
  if (kind == "attention") level.pool = add_pooling(draft, "hierarchy." + name, width);
  return level;
}

// documents [D, d] -> [B, T, d + 1]; a note outside its record's valid hours is not there.
at::Tensor hourly(const at::Tensor& documents, const NoteTensors& notes, const at::Tensor& valid) {
  const std::int64_t rows = valid.size(0), steps = valid.size(1);
  const at::Tensor slots = notes.document_record * steps + notes.document_hour;
  const at::Tensor means = segment_mean(documents, slots, rows * steps);
  const at::Tensor some = members(slots, rows * steps).gt(0).to(documents.scalar_type());
  const at::Tensor timeline = at::cat({means, some.unsqueeze(1)}, 1).view({rows, steps, -1});
  return ops::select_valid(timeline, valid.unsqueeze(2));
}

}  // namespace

SequenceTensor add_note_embedding(BlockList& list, const TextConfig& text, const SequenceLayout& layout, const std::string& hidden) {
  BlockDraft draft("notes");
  draft.spec.reads = {BatchField::notes};
  give_positions(draft.spec, "notes.hours", layout, text.width + 1);
  draft.spec.shape_reads.push_back(BatchField::notes);
  draft.spec.shapes = [plain = std::move(draft.spec.shapes)](const Batch& batch, const LeafContext& context) {
    std::vector<TensorShape> shapes = plain(batch, context);
    shapes[0].differentiable = batch.notes.documents() > 0;
    return shapes;
  };
  draft.take(hidden);
  const Level paragraph = add_level(draft, "paragraph", text.paragraph, text.width);
  const Level document = add_level(draft, "document", text.document, text.width);
  add_block(list, std::move(draft), [=, width = text.width](const BlockInput& in) -> std::vector<at::Tensor> {
    const NoteTensors& notes = in.batch.notes;
    const at::Tensor valid = note_hours(in, layout);
    const at::Tensor& tokens = in.taken[0];
    if (notes.documents() == 0) return {at::zeros({valid.size(0), valid.size(1), width + 1}, tokens.options().requires_grad(false))};
    const NoteTensors& own = in.host.notes;
    const at::Tensor rows = tokens.size(0) == 0 ? own.token_position : packed_rows(own.window_lengths, own.window_ids.size(1), own.token_position);
    const at::Tensor sentences = segment_mean(tokens.index_select(0, ops::moved_to(tokens, rows)), notes.token_sentence, notes.sentence_paragraph.size(0));
    const at::Tensor paragraphs = paragraph(sentences, notes.sentence_paragraph, notes.paragraph_document.size(0), in);
    const at::Tensor documents = document(paragraphs, notes.paragraph_document, notes.documents(), in);
    return {hourly(documents, notes, valid)};
  });
  return {"notes.hours", text.width + 1};
}

}  // namespace tributary
