#include "model/families/text_bert.h"

#include <algorithm>

#include "base/error.h"
#include "model/families/draft.h"
#include "model/families/encoder.h"
#include "model/families/record_heads.h"
#include "model/families/relation_head.h"

namespace tributary {
namespace {

// The one relation task that is trained.
TaskHead relation_of(const ModelSettings& settings, const Schema& schema) {
  HeadsConfig heads = settings.heads;
  if (heads.tasks.empty())
    for (const std::size_t task : schema.relation_tasks()) heads.tasks.push_back(schema.tasks[task].name);
  if (heads.tasks.empty()) fail(ErrorKind::configuration, "model.family = \"text_bert\": expected a data set with a relation task, found none");
  for (const std::string& name : heads.tasks) {
    const auto task = std::find_if(schema.tasks.begin(), schema.tasks.end(), [&](const Task& other) { return other.name == name; });
    if (task != schema.tasks.end() && task->kind != TaskKind::relation)
      fail(ErrorKind::configuration, "heads.tasks: model.family = \"text_bert\" predicts relations alone, and '{}' is none", name);
  }
  return task_heads(heads, schema.tasks, SequenceMode::tokens).front();
}

void add_pair_head(BlockList& list, const ModelSettings& settings, const Task& task, const TaskHead& head, const std::string& hidden) {
  BlockDraft draft("relation");
  draft.spec.reads = {BatchField::notes, BatchField::entities, BatchField::labels};
  draft.spec.gives = {loss_name, loss_sums_name, probability_name(task)};
  draft.spec.shape_reads = {BatchField::entities, BatchField::labels};
  draft.spec.shapes = relation_shapes(head, task);
  draft.take(hidden);
  const LinearLayer out = add_linear(draft, "relation.out", settings.text.width, task.output_width());
  add_block(list, std::move(draft), [=, dropout = settings.model.dropout](const BlockInput& in) -> std::vector<at::Tensor> {
    const NoteTensors& pairs = in.batch.notes;
    check(pairs.windows() == in.batch.pairs[head.task].head.size(0), "text_bert: {} sequences for {} pairs", pairs.windows(),
          in.batch.pairs[head.task].head.size(0));
    const at::Tensor first = pairs.hidden.defined() ? in.taken[0] : in.taken[0].index_select(0, first_rows(pairs.window_lengths));  // [P, d]
    return relation_outcome(out(ops::dropout(first, dropout, in.draw_key(0), in.context.training), in), head, in);
  });
}

}  // namespace

BlockList text_bert(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size) {
  check_settings(settings);
  const TaskHead head = relation_of(settings, schema);
  if (vocabulary_size < 1)
    fail(ErrorKind::configuration, "the data set has notes but a vocabulary of {} tokens; run `tributary shards retokenize`", vocabulary_size);
  const Task& task = schema.tasks[head.task];
  BlockList list;
  list.tasks = {head.task};
  list.outputs = {loss_sums_name, probability_name(task)};
  list.marked_pairs = head.task;
  add_pair_head(list, settings, task, head, add_encoder(list, settings.text, vocabulary_size));
  return list;
}

}  // namespace tributary
