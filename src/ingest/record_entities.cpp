#include "ingest/record_entities.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "shards/entities.h"

namespace tributary {

void RecordEntities::add_mention(std::int32_t note, std::int32_t begin, std::int32_t end, std::uint8_t type, const std::vector<std::string>& ids) {
  std::vector<std::int32_t> numbers;
  for (const std::string& id : ids) {
    std::int32_t number = find(id);
    if (number < 0) {
      number = static_cast<std::int32_t>(concepts.size());
      concepts.push_back({id, type});
    }
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) numbers.push_back(number);
  }
  if (numbers.empty()) numbers.push_back(-1);
  std::sort(numbers.begin(), numbers.end());
  for (const std::int32_t number : numbers) mentions.push_back({note, begin, end, number, type, -1});
}

std::int32_t RecordEntities::find(std::string_view id) const {
  const auto found = std::find_if(concepts.begin(), concepts.end(), [&](const RecordConcept& own) { return own.id == id; });
  return found == concepts.end() ? -1 : static_cast<std::int32_t>(found - concepts.begin());
}

std::vector<std::uint8_t> RecordEntities::types() const {
  std::vector<std::uint8_t> list;
  for (const RecordConcept& own : concepts) list.push_back(own.type);
  return list;
}

void RecordEntities::set_tokens(std::int32_t note, std::span<const std::int32_t> token_begin, std::span<const std::int32_t> token_end) {
  for (RecordMention& mention : mentions)
    if (mention.note == note) mention.token = first_token(mention.begin, mention.end, token_begin, token_end);
}

void append_record(const RecordEntities& record, const std::vector<int>& task_numbers, EntityColumns& columns) {
  for (const RecordConcept& own : record.concepts) {
    columns.concept_type.push_back(own.type);
    columns.concept_ids += own.id;
    columns.concept_id_offsets.push_back(static_cast<std::int64_t>(columns.concept_ids.size()));
  }
  columns.concept_offsets.push_back(static_cast<std::int64_t>(columns.concept_type.size()));
  for (const RecordMention& mention : record.mentions) {
    columns.mention_note.push_back(mention.note);
    columns.mention_begin.push_back(mention.begin);
    columns.mention_end.push_back(mention.end);
    columns.mention_concept.push_back(mention.concept_number);
    columns.mention_type.push_back(mention.type);
    columns.mention_token.push_back(mention.token);
  }
  columns.mention_offsets.push_back(static_cast<std::int64_t>(columns.mention_note.size()));
  std::vector<RecordRelation> relations;
  for (RecordRelation relation : record.relations) {
    const int task = task_numbers[relation.task];
    if (task < 0) continue;
    relation.task = static_cast<std::uint32_t>(task);
    relations.push_back(relation);
  }
  const auto order = [](const RecordRelation& r) { return std::tuple(r.task, r.head, r.tail); };
  std::sort(relations.begin(), relations.end(), [&](const RecordRelation& a, const RecordRelation& b) { return order(a) < order(b); });
  for (const RecordRelation& relation : relations) {
    columns.relation_task.push_back(static_cast<std::uint8_t>(relation.task));
    columns.relation_head.push_back(relation.head);
    columns.relation_tail.push_back(relation.tail);
    columns.relation_class.push_back(relation.label);
    columns.relation_novelty.push_back(static_cast<std::uint8_t>(relation.novelty));
  }
  columns.relation_offsets.push_back(static_cast<std::int64_t>(columns.relation_task.size()));
}

std::string to_bytes(const AnnotatedText& document) {
  nlohmann::json concepts = nlohmann::json::array(), mentions = nlohmann::json::array(), relations = nlohmann::json::array();
  for (const RecordConcept& own : document.entities.concepts) concepts.push_back({own.id, own.type});
  for (const RecordMention& m : document.entities.mentions) mentions.push_back({m.note, m.begin, m.end, m.concept_number, m.type});
  for (const RecordRelation& r : document.entities.relations) relations.push_back({r.task, r.head, r.tail, r.label, static_cast<int>(r.novelty)});
  return nlohmann::json::array({document.text, concepts, mentions, relations}).dump();
}

AnnotatedText annotated_text_from(std::string_view bytes) {
  const auto json = nlohmann::json::parse(bytes);
  AnnotatedText document{json.at(0).get<std::string>(), {}};
  for (const auto& own : json.at(1)) document.entities.concepts.push_back({own.at(0).get<std::string>(), own.at(1).get<std::uint8_t>()});
  for (const auto& m : json.at(2)) document.entities.mentions.push_back({m.at(0), m.at(1), m.at(2), m.at(3), m.at(4), -1});
  for (const auto& r : json.at(3)) document.entities.relations.push_back({r.at(0), r.at(1), r.at(2), r.at(3), static_cast<Novelty>(r.at(4).get<int>())});
  return document;
}

}  // namespace tributary
