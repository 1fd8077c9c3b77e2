// A small data set of keyed random records with every kind of field, for tests: the same record for the same (seed, part, row), however rows are asked for.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/key.h"
#include "shards/entities.h"
#include "shards/shard_writer.h"

namespace tributary::test {

struct RandomSourceOptions {
  std::uint64_t seed = 1;
  std::vector<std::array<std::int64_t, split_count>> part_rows{{40, 7, 12}, {33, 9, 0}};
  std::int64_t steps = 6;
  bool notes = true;
  bool image = true;
  bool entities = true;              // with notes
  std::int64_t words_per_note = 12;  // at most
};

// Static: 3 channels; series "vitals" (3 channels) and "labs" (2); notes; a 1 x 4 x 4 image; tasks: binary, multiclass of 3, multilabel of 4, regression, and
// with concepts of 3 types a directed relation and an undirected one of two classes.
inline Schema random_schema(const RandomSourceOptions& options) {
  Schema schema;
  schema.steps = options.steps;
  schema.statics = {{"age", "a"}, {"weight", "kg"}, {"height", "cm"}};
  schema.series = {{"vitals", {{"heart_rate", "1/min"}, {"pressure", "mmHg"}, {"saturation", "%"}}}, {"labs", {{"sodium", "mmol/l"}, {"lactate", "mmol/l"}}}};
  schema.notes = options.notes;
  if (options.image) schema.image = {1, 4, 4};
  schema.tasks = {{"death", TaskKind::binary, {"no", "yes"}},
                  {"diagnosis", TaskKind::multiclass, {"a", "b", "c"}},
                  {"orders", TaskKind::multilabel, {"w", "x", "y", "z"}},
                  {"stay", TaskKind::regression, {}}};
  if (!options.notes || !options.entities) return schema;
  schema.concept_types = {"drug", "disease", "gene"};
  schema.tasks.push_back({"causes", TaskKind::relation, {"none", "causes"}, {{0, 1}}, true});
  schema.tasks.push_back({"interacts", TaskKind::relation, {"none", "binds", "inhibits"}, {{2, 2}, {0, 2}, {0, 0}}, false});
  return schema;
}

inline std::vector<std::string> random_vocabulary() {
  return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "pain", "fever", "stable", "überwacht", "mild", "acute", "no", "chest", "left", "right", "."};
}

inline WriteOptions random_write_options(const RandomSourceOptions& options) {
  WriteOptions write;
  write.chunk_rows = 8;
  write.split_salt = "salt";
  write.origin = "random";
  if (options.notes) {
    write.vocabulary = random_vocabulary();
    write.tokenizer_digest = "0123456789abcdef";
  }
  return write;
}

class RandomSource : public RecordSource {
 public:
  explicit RandomSource(RandomSourceOptions options = {}) : options_(std::move(options)), schema_(random_schema(options_)) {}
  [[nodiscard]] const Schema& schema() const override { return schema_; }
  [[nodiscard]] std::vector<std::array<std::int64_t, split_count>> part_rows() const override { return options_.part_rows; }

  [[nodiscard]] RecordBlock records(int part, std::int64_t first, std::int64_t rows) override {
    RecordBlock block;
    block.rows = rows;
    block.series.resize(schema_.series.size());
    block.labels.resize(schema_.tasks.size());
    if (schema_.notes) block.notes.note_offsets = block.notes.text_offsets = block.notes.token_offsets = {0};
    EntityColumns& e = block.entities;
    if (schema_.has_entities()) e.concept_offsets = e.concept_id_offsets = e.mention_offsets = e.relation_offsets = {0};
    for (std::int64_t row = first; row < first + rows; ++row) add_record(part, row, block);
    return block;
  }

 private:
  struct Draws {  // consecutive draws of one record
    Key key;
    std::uint64_t next = 0;
    double operator()() { return uniform(key, next++); }
    std::int64_t below(std::int64_t count) { return std::min(count - 1, static_cast<std::int64_t>((*this)() * static_cast<double>(count))); }
  };

  static void add_cell(Draws& draw, double observed_rate, std::vector<float>& values, std::vector<std::uint8_t>& observed) {
    const bool seen = draw() < observed_rate;
    const auto value = static_cast<float>(draw() * 200 - 50);
    values.push_back(seen ? value : 0.0F);
    observed.push_back(seen ? 1 : 0);
  }

  void add_record(int part, std::int64_t row, RecordBlock& block) const {
    Draws draw{derive_key(Draw::synth, {options_.seed, static_cast<std::uint64_t>(part), static_cast<std::uint64_t>(row)})};
    const auto& rows = options_.part_rows[static_cast<std::size_t>(part)];
    const int split = row < rows[0] ? 0 : row < rows[0] + rows[1] ? 1 : 2;
    block.ids.push_back("record/" + std::to_string(part) + "-" + std::string(static_cast<std::size_t>(row % 4), 'x') + std::to_string(row));
    block.patient.push_back(stable_hash(block.ids.back(), options_.seed));
    block.split.push_back(static_cast<std::uint8_t>(split));
    const std::int64_t steps = 1 + draw.below(options_.steps);
    block.steps.push_back(static_cast<std::int32_t>(steps));
    std::uint8_t presence = has_static;
    for (std::size_t c = 0; c < schema_.statics.size(); ++c) add_cell(draw, 0.8, block.static_values, block.static_observed);
    const bool series = draw() < 0.9;
    for (std::size_t g = 0; g < schema_.series.size(); ++g)
      for (std::int64_t t = 0; t < options_.steps; ++t)
        for (std::size_t c = 0; c < schema_.series[g].channels.size(); ++c)
          add_cell(draw, series && t < steps ? 0.6 : 0.0, block.series[g].values, block.series[g].observed);
    if (series) presence |= has_series;
    if (schema_.notes && add_notes(draw, block.notes) > 0) presence |= has_notes;
    if (schema_.image.size() > 0) {
      const bool image = draw() < 0.5;
      for (std::int64_t i = 0; i < schema_.image.size(); ++i) block.images.push_back(image ? static_cast<std::uint8_t>(draw.below(256)) : std::uint8_t{0});
      if (image) presence |= has_image;
    }
    block.presence.push_back(presence);
    for (std::size_t t = 0; t < schema_.tasks.size(); ++t) add_labels(draw, schema_.tasks[t], block.labels[t]);
    if (schema_.has_entities()) add_mentions(draw, block);
    if (schema_.has_entities()) add_relations(draw, block);
  }

  // A word is the concept "C<word>" of type word % 3, where it is mentioned at all: in one word or two, from its first letter or its second, some without a
  // concept and some with one more.
  static void add_mentions(Draws& draw, RecordBlock& block) {
    const NoteColumns& notes = block.notes;
    EntityColumns& e = block.entities;
    std::vector<std::int32_t> concept_of(random_vocabulary().size(), -1);
    std::int32_t concepts = 0;
    const auto number_of = [&](std::int32_t word) {
      std::int32_t& number = concept_of[static_cast<std::size_t>(word)];
      if (number >= 0) return number;
      e.concept_type.push_back(static_cast<std::uint8_t>(word % 3));
      e.concept_ids.append("C").append(std::to_string(word));
      e.concept_id_offsets.push_back(static_cast<std::int64_t>(e.concept_ids.size()));
      return number = concepts++;
    };
    const std::size_t rows = notes.note_offsets.size() - 1;
    const auto first = static_cast<std::size_t>(notes.note_offsets[rows - 1]), last = static_cast<std::size_t>(notes.note_offsets[rows]);
    for (std::size_t note = first; note < last; ++note) {
      const auto tokens = static_cast<std::size_t>(notes.token_offsets[note]), end = static_cast<std::size_t>(notes.token_offsets[note + 1]);
      std::int32_t at = 0;
      for (std::size_t token = tokens; token < end; ++token) {
        const std::int32_t word = notes.token_ids[token];
        const std::string spelling = random_vocabulary()[static_cast<std::size_t>(word)];
        const auto size = static_cast<std::int32_t>(spelling.size());
        const bool mentioned = draw() < 0.4, two = draw() < 0.3 && token + 1 < end, inside = draw() < 0.2 && size > 3, composite = draw() < 0.2;
        const bool known = draw() < 0.8;
        if (mentioned) {
          const std::int32_t skip = !inside ? 0 : static_cast<unsigned char>(spelling[0]) >= 0x80 ? 2 : 1;
          const std::int32_t next = two ? 1 + static_cast<std::int32_t>(random_vocabulary()[static_cast<std::size_t>(notes.token_ids[token + 1])].size()) : 0;
          std::vector<std::int32_t> own{known ? number_of(word) : -1};
          if (known && composite) own.push_back(number_of(5 + (word + 1) % 10));
          std::sort(own.begin(), own.end());
          for (const std::int32_t number : own) {
            e.mention_note.push_back(static_cast<std::int32_t>(note - first));
            e.mention_begin.push_back(at + skip);
            e.mention_end.push_back(at + size + next);
            e.mention_concept.push_back(number);
            e.mention_type.push_back(static_cast<std::uint8_t>(word % 3));
            e.mention_token.push_back(static_cast<std::int32_t>(token - tokens) + (inside && two ? 1 : 0));
          }
        }
        at += size + 1;
      }
    }
    e.concept_offsets.push_back(static_cast<std::int64_t>(e.concept_type.size()));
    e.mention_offsets.push_back(static_cast<std::int64_t>(e.mention_note.size()));
  }

  void add_relations(Draws& draw, RecordBlock& block) const {
    EntityColumns& e = block.entities;
    const std::size_t row = e.concept_offsets.size() - 2;
    for (std::size_t t = 0; t < schema_.tasks.size(); ++t) {
      const Task& task = schema_.tasks[t];
      if (task.kind != TaskKind::relation || block.labels[t].valid[row] == 0) continue;
      for (const ConceptPair& pair : candidate_pairs(task, concept_types_of(block, row))) {
        if (draw() >= 0.2) continue;
        e.relation_task.push_back(static_cast<std::uint8_t>(t));
        e.relation_head.push_back(pair.head);
        e.relation_tail.push_back(pair.tail);
        e.relation_class.push_back(static_cast<std::uint16_t>(1 + draw.below(static_cast<std::int64_t>(task.classes.size()) - 1)));
        e.relation_novelty.push_back(static_cast<std::uint8_t>(draw.below(3)));
      }
    }
    e.relation_offsets.push_back(static_cast<std::int64_t>(e.relation_task.size()));
  }

  std::int64_t add_notes(Draws& draw, NoteColumns& notes) const {
    const auto vocabulary = random_vocabulary();
    const std::int64_t count = draw.below(4);  // 0 to 3
    std::vector<std::int32_t> hours;
    for (std::int64_t k = 0; k < count; ++k) hours.push_back(static_cast<std::int32_t>(draw.below(options_.steps)));
    std::sort(hours.begin(), hours.end());
    for (const std::int32_t hour : hours) {
      notes.hour.push_back(hour);
      const std::int64_t words = draw.below(options_.words_per_note + 1);  // a note may be empty
      for (std::int64_t w = 0; w < words; ++w) {
        const std::int64_t word = 5 + draw.below(static_cast<std::int64_t>(vocabulary.size()) - 5);
        if (w > 0) notes.text += ' ';
        notes.text += vocabulary[static_cast<std::size_t>(word)];
        notes.token_ids.push_back(static_cast<std::int32_t>(word));
        const bool sentence = w == 0 || notes.token_ids[notes.token_ids.size() - 2] == 15;
        notes.token_marks.push_back(static_cast<std::uint8_t>((sentence ? starts_sentence : 0) | (w == 0 ? starts_paragraph : 0)));
      }
      notes.text_offsets.push_back(static_cast<std::int64_t>(notes.text.size()));
      notes.token_offsets.push_back(static_cast<std::int64_t>(notes.token_ids.size()));
    }
    notes.note_offsets.push_back(static_cast<std::int64_t>(notes.hour.size()));
    return count;
  }

  static void add_labels(Draws& draw, const Task& task, LabelColumns& labels) {
    const bool valid = draw() < 0.8;
    labels.valid.push_back(valid ? 1 : 0);
    for (std::int64_t k = 0; k < task.stored_width(); ++k) {
      double value = draw() * 10;
      if (task.kind == TaskKind::multiclass) value = static_cast<double>(draw.below(static_cast<std::int64_t>(task.classes.size())));
      if (task.kind == TaskKind::binary || task.kind == TaskKind::multilabel) value = static_cast<double>(draw.below(2));
      labels.values.push_back(valid ? static_cast<float>(value) : 0.0F);
    }
  }

  RandomSourceOptions options_;
  Schema schema_;
};

}  // namespace tributary::test
