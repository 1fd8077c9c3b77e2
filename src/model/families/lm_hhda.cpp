#include "model/families/lm_hhda.h"

#include "base/error.h"
#include "model/families/encoder.h"
#include "model/families/fusion.h"
#include "model/families/global_attention.h"
#include "model/families/hierarchy.h"
#include "model/families/hr_lstm.h"
#include "model/families/ms_cnn.h"
#include "model/families/record_heads.h"
#include "model/families/timeline.h"

namespace tributary {
namespace {

void require_fit(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size) {
  check_settings(settings);
  if (schema.series.empty() && !schema.notes && schema.statics.empty()) {
    fail(ErrorKind::configuration, "model.mode: expected a data set with series, notes or static features for the timeline, found none of them");
  }
  if (schema.steps < 1) fail(ErrorKind::configuration, "model.mode: expected a data set of at least one hour for the timeline, found {}", schema.steps);
  if (schema.notes && vocabulary_size < 1)
    fail(ErrorKind::configuration, "the data set has notes but a vocabulary of {} tokens; run `tributary shards retokenize`", vocabulary_size);
}

}  // namespace

BlockList lm_hhda(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size) {
  require_fit(settings, schema, vocabulary_size);
  const std::vector<std::vector<std::size_t>> groups = groups_of_layers(settings, schema);
  const std::vector<TaskHead> heads = task_heads(settings.heads, schema.tasks);
  const TimelineLayout layout = timeline_layout(schema);

  BlockList list;
  std::string notes;
  if (schema.notes) notes = add_note_embedding(list, settings.text, layout, add_encoder(list, settings.text, vocabulary_size));
  std::vector<std::string> branches;
  if (settings.use.ms_cnn) {
    for (std::size_t group = 0; group < schema.series.size(); ++group) branches.push_back(add_cnn_branches(list, settings, layout, group));
  }
  std::string sequence = add_lstm_layers(list, settings, groups, layout, notes);
  if (settings.use.hr_lstm && settings.lstm.temporal_attention) sequence = add_temporal_attention(list, settings, layout, sequence);
  FusedNames fused = add_fusion(list, settings, sequence, branches);
  if (settings.use.global_attention) fused = add_global_attention(list, settings, layout, fused);
  add_record_heads(list, settings, schema, heads, layout, fused);
  return list;
}

}  // namespace tributary
