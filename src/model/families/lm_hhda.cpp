#include "model/families/lm_hhda.h"

#include <optional>

#include "base/error.h"
#include "model/families/encoder.h"
#include "model/families/fusion.h"
#include "model/families/global_attention.h"
#include "model/families/hierarchy.h"
#include "model/families/hr_lstm.h"
#include "model/families/ms_cnn.h"
#include "model/families/record_heads.h"
#include "model/families/relation_head.h"
#include "model/families/sequence.h"
#include "model/families/tokens.h"

namespace tributary {
namespace {

SequenceMode mode_of(const ModelSettings& settings) { return settings.model.mode == "tokens" ? SequenceMode::tokens : SequenceMode::timeline; }

void require_fit(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size) {
  check_settings(settings);
  if (mode_of(settings) == SequenceMode::tokens) {
    if (!schema.notes) fail(ErrorKind::configuration, "model.mode = \"tokens\": expected a data set with notes, found none");
  } else {
    if (schema.series.empty() && !schema.notes && schema.statics.empty()) {
      fail(ErrorKind::configuration, "model.mode: expected a data set with series, notes or static features for the timeline, found none of them");
    }
    if (schema.steps < 1) fail(ErrorKind::configuration, "model.mode: expected a data set of at least one hour for the timeline, found {}", schema.steps);
  }
  if (schema.notes && vocabulary_size < 1)
    fail(ErrorKind::configuration, "the data set has notes but a vocabulary of {} tokens; run `tributary shards retokenize`", vocabulary_size);
}

// What the recurrent layers begin with, and the outputs of the convolution branches.
struct Trunk {
  SequenceTensor first;
  std::vector<std::string> branches;
};

Trunk add_timeline(BlockList& list, const ModelSettings& settings, const Schema& schema, const SequenceLayout& layout, std::int64_t vocabulary_size) {
  Trunk trunk;
  if (schema.notes) trunk.first = add_note_embedding(list, settings.text, layout, add_encoder(list, settings.text, vocabulary_size));
  if (!settings.use.ms_cnn) return trunk;
  for (std::size_t group = 0; group < schema.series.size(); ++group) trunk.branches.push_back(add_group_branches(list, settings, layout, group));
  return trunk;
}

Trunk add_tokens(BlockList& list, const ModelSettings& settings, const Schema& schema, const SequenceLayout& layout, std::int64_t vocabulary_size) {
  Trunk trunk;
  const SequenceTensor tokens = add_token_sequence(list, settings.text, layout, add_encoder(list, settings.text, vocabulary_size));
  if (settings.use.ms_cnn) trunk.branches.push_back(add_tensor_branches(list, settings, layout, tokens));
  trunk.first = schema.has_entities() ? add_entity_attention(list, layout, tokens) : tokens;
  return trunk;
}

// One loss and the tasks' sums in the order of the schema, from the record heads' and the relation head's.
void add_loss(BlockList& list, const HeadNames& records, const HeadNames& relation, std::int64_t relation_place) {
  BlockDraft draft("loss");
  for (const std::string& name : {records.loss, relation.loss, records.loss_sums, relation.loss_sums}) draft.take(name);
  draft.spec.gives = {loss_name, loss_sums_name};
  add_block(list, std::move(draft), [relation_place](const BlockInput& in) -> std::vector<at::Tensor> {
    const at::Tensor& sums = in.taken[2];
    const at::Tensor before = sums.narrow(0, 0, relation_place), after = sums.narrow(0, relation_place, sums.size(0) - relation_place);
    return {in.taken[0] + in.taken[1], at::cat({before, in.taken[3], after})};
  });
}

void add_heads(BlockList& list, const ModelSettings& settings, const Schema& schema, const SequenceLayout& layout, const FusedNames& fused) {
  std::vector<TaskHead> records;
  std::optional<TaskHead> relation;
  std::int64_t relation_place = 0;  // among the tasks of the model
  list.outputs = {loss_sums_name};
  for (const TaskHead& head : task_heads(settings.heads, schema.tasks, layout.mode)) {
    const Task& task = schema.tasks[head.task];
    if (task.kind == TaskKind::relation) {
      relation_place = static_cast<std::int64_t>(list.tasks.size());
      relation = head;
    } else {
      records.push_back(head);
    }
    list.tasks.push_back(head.task);
    list.outputs.push_back(probability_name(task));
  }
  const bool both = !records.empty() && relation;
  const HeadNames all{loss_name, loss_sums_name};
  const HeadNames of_records = both ? HeadNames{"heads.loss", "heads.loss_sums"} : all,
                  of_relation = both ? HeadNames{"relation.loss", "relation.loss_sums"} : all;
  if (!records.empty()) add_record_heads(list, settings, schema.tasks, records, layout, fused, of_records);
  if (relation) add_relation_head(list, settings, schema.tasks[relation->task], *relation, layout, fused, of_relation);
  if (both) add_loss(list, of_records, of_relation, relation_place);
}

}  // namespace

BlockList lm_hhda(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size) {
  require_fit(settings, schema, vocabulary_size);
  const SequenceLayout layout = sequence_layout(mode_of(settings), schema);
  const std::vector<std::vector<std::size_t>> groups = groups_of_layers(settings, schema, layout.mode);
  BlockList list;
  const auto add_trunk = layout.mode == SequenceMode::tokens ? add_tokens : add_timeline;
  const Trunk trunk = add_trunk(list, settings, schema, layout, vocabulary_size);
  std::string sequence = add_lstm_layers(list, settings, groups, layout, trunk.first);
  if (settings.use.hr_lstm && settings.lstm.temporal_attention) sequence = add_temporal_attention(list, settings, layout, sequence);
  FusedNames fused = add_fusion(list, settings, layout, sequence, trunk.branches);
  if (settings.use.global_attention) fused = add_global_attention(list, settings, layout, fused);
  add_heads(list, settings, schema, layout, fused);
  return list;
}

}  // namespace tributary
