#include "shards/shard_reader.h"

#include <algorithm>
#include <list>
#include <set>
#include <utility>

#include "base/error.h"
#include "shards/part_file.h"
#include "shards/verification.h"

namespace tributary {
namespace {

constexpr std::size_t parts_kept_open = 16;

template <class Value>
void load(const PartFile& part, Field field, std::size_t number, ItemRange range, std::size_t width, std::vector<Value>& out) {
  out.resize(static_cast<std::size_t>(range.size()) * width);
  part.read(field, number, range, std::as_writable_bytes(std::span(out)));
}

void load_identity(const PartFile& part, ItemRange rows, RecordBlock& block) {
  load(part, Field::patient, 0, rows, 1, block.patient);
  load(part, Field::split, 0, rows, 1, block.split);
  load(part, Field::presence, 0, rows, 1, block.presence);
  std::vector<std::uint16_t> steps;
  load(part, Field::steps, 0, rows, 1, steps);
  block.steps.assign(steps.begin(), steps.end());
  ItemRange bytes;
  const std::vector<std::int64_t> offsets = part.offsets(Field::id_offsets, rows, bytes);
  std::string ids(static_cast<std::size_t>(bytes.size()), '\0');
  part.read(Field::id_bytes, 0, bytes, std::as_writable_bytes(std::span(ids)));
  for (std::size_t r = 0; r + 1 < offsets.size(); ++r)
    block.ids.push_back(ids.substr(static_cast<std::size_t>(offsets[r]), static_cast<std::size_t>(offsets[r + 1] - offsets[r])));
}

void load_notes(const PartFile& part, ItemRange rows, const FieldSelection& fields, NoteColumns& notes) {
  ItemRange range, text, tokens;
  notes.note_offsets = part.offsets(Field::note_offsets, rows, range);
  load(part, Field::note_hour, 0, range, 1, notes.hour);
  if (fields.text) {
    notes.text_offsets = part.offsets(Field::text_offsets, range, text);
    notes.text.resize(static_cast<std::size_t>(text.size()));
    part.read(Field::text, 0, text, std::as_writable_bytes(std::span(notes.text)));
  }
  if (fields.tokens) {
    notes.token_offsets = part.offsets(Field::token_offsets, range, tokens);
    load(part, Field::token_ids, 0, tokens, 1, notes.token_ids);
    load(part, Field::token_marks, 0, tokens, 1, notes.token_marks);
  }
}

void load_relations(const PartFile& part, ItemRange rows, EntityColumns& entities) {
  ItemRange relations;
  entities.relation_offsets = part.offsets(Field::relation_offsets, rows, relations);
  load(part, Field::relation_task, 0, relations, 1, entities.relation_task);
  load(part, Field::relation_head, 0, relations, 1, entities.relation_head);
  load(part, Field::relation_tail, 0, relations, 1, entities.relation_tail);
  load(part, Field::relation_class, 0, relations, 1, entities.relation_class);
  load(part, Field::relation_novelty, 0, relations, 1, entities.relation_novelty);
}

void load_entities(const PartFile& part, ItemRange rows, const FieldSelection& fields, EntityColumns& entities) {
  ItemRange concepts, bytes, mentions;
  entities.concept_offsets = part.offsets(Field::concept_offsets, rows, concepts);
  load(part, Field::concept_type, 0, concepts, 1, entities.concept_type);
  entities.concept_id_offsets = part.offsets(Field::concept_id_offsets, concepts, bytes);
  entities.concept_ids.resize(static_cast<std::size_t>(bytes.size()));
  part.read(Field::concept_ids, 0, bytes, std::as_writable_bytes(std::span(entities.concept_ids)));
  entities.mention_offsets = part.offsets(Field::mention_offsets, rows, mentions);
  load(part, Field::mention_note, 0, mentions, 1, entities.mention_note);
  load(part, Field::mention_begin, 0, mentions, 1, entities.mention_begin);
  load(part, Field::mention_end, 0, mentions, 1, entities.mention_end);
  load(part, Field::mention_concept, 0, mentions, 1, entities.mention_concept);
  load(part, Field::mention_type, 0, mentions, 1, entities.mention_type);
  if (fields.tokens) load(part, Field::mention_token, 0, mentions, 1, entities.mention_token);
  if (fields.labels && part.has(Field::relation_offsets)) load_relations(part, rows, entities);
  if (entities.relation_offsets.empty()) entities.relation_offsets.assign(static_cast<std::size_t>(rows.size()) + 1, 0);
}

RecordBlock load_block(const PartFile& part, const Schema& schema, ItemRange rows, const FieldSelection& fields) {
  RecordBlock block;
  block.rows = rows.size();
  load_identity(part, rows, block);
  if (fields.statics && !schema.statics.empty()) {
    load(part, Field::static_values, 0, rows, schema.statics.size(), block.static_values);
    load(part, Field::static_observed, 0, rows, schema.statics.size(), block.static_observed);
  }
  block.series.resize(schema.series.size());
  for (std::size_t g = 0; fields.series && g < schema.series.size(); ++g) {
    const std::size_t width = static_cast<std::size_t>(schema.steps) * schema.series[g].channels.size();
    load(part, Field::series_values, g, rows, width, block.series[g].values);
    load(part, Field::series_observed, g, rows, width, block.series[g].observed);
  }
  if (schema.notes && (fields.tokens || fields.text)) load_notes(part, rows, fields, block.notes);
  if (fields.entities && schema.has_entities()) load_entities(part, rows, fields, block.entities);
  if (fields.images && schema.image.size() > 0) load(part, Field::image, 0, rows, static_cast<std::size_t>(schema.image.size()), block.images);
  block.labels.resize(schema.tasks.size());
  for (std::size_t t = 0; fields.labels && t < schema.tasks.size(); ++t) {
    if (const std::int64_t width = schema.tasks[t].stored_width(); width > 0)
      load(part, Field::label_values, t, rows, static_cast<std::size_t>(width), block.labels[t].values);
    load(part, Field::label_valid, t, rows, 1, block.labels[t].valid);
  }
  return block;
}

}  // namespace

struct ShardReader::State {
  std::filesystem::path directory;
  Catalogue catalogue;
  Verify verify;
  std::filesystem::path stamp_directory;
  std::set<int> verified;
  std::list<std::pair<int, PartFile>> open;  // used last in front

  PartFile& part(int number) {
    const auto found = std::find_if(open.begin(), open.end(), [&](const auto& entry) { return entry.first == number; });
    if (found != open.end()) {
      open.splice(open.begin(), open, found);
      return open.front().second;
    }
    const PartInfo& info = catalogue.parts[static_cast<std::size_t>(number)];
    if (!verified.contains(number)) verify_part(directory, info, verify, stamp_directory);
    verified.insert(number);
    if (open.size() >= parts_kept_open) open.pop_back();
    open.emplace_front(number, PartFile(directory / info.file, catalogue, number));
    return open.front().second;
  }
};

ShardReader::ShardReader(std::filesystem::path directory, const Catalogue& catalogue, Verify verify, std::filesystem::path stamp_directory)
    : state_(new State{std::move(directory), catalogue, verify, std::move(stamp_directory), {}, {}}) {}
ShardReader::~ShardReader() = default;
ShardReader::ShardReader(ShardReader&&) noexcept = default;

RecordBlock ShardReader::read(int part, std::int64_t first, std::int64_t rows, const FieldSelection& fields) {
  check(part >= 0 && part < static_cast<int>(state_->catalogue.parts.size()), "part {} of {}", part, state_->catalogue.parts.size());
  const std::int64_t total = state_->catalogue.parts[static_cast<std::size_t>(part)].total_rows();
  check(first >= 0 && rows >= 0 && first + rows <= total, "rows [{}, {}) of part {}, which has {}", first, first + rows, part, total);
  const auto lock = hdf5_lock();
  return load_block(state_->part(part), state_->catalogue.schema, {first, first + rows}, fields);
}

}  // namespace tributary
