#include "ingest/training_fit.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "ingest/label_map.h"
#include "ingest/record_assembler.h"
#include "ingest/tokenizer.h"

namespace tributary {
namespace {

constexpr std::int64_t slice_rows = 256;

void count_labels(const Recipe& recipe, const EventList& list, std::uint32_t training_rows, TrainingCounts& counts) {
  const std::vector<Target> targets = targets_of(recipe);
  std::vector<std::vector<Event>> own(recipe.tasks.size());
  for (auto at = list.events.begin(); at != list.events.end() && at->row < training_rows;) {
    const std::uint32_t row = at->row;
    for (auto& events : own) events.clear();
    for (; at != list.events.end() && at->row == row; ++at)
      if (targets[at->target].kind == TargetKind::task && recipe.tasks[targets[at->target].index].fitted) own[targets[at->target].index].push_back(*at);
    for (std::size_t task = 0; task < own.size(); ++task)
      for (const std::string& name : outcome_of(recipe.tasks[task], list, own[task], recipe.horizon_minutes()).classes) ++counts.labels[task][name];
  }
}

}  // namespace

TrainingCounts count_training(const Recipe& recipe, const std::vector<SampleRow>& rows, const EventList& events) {
  const auto training =
      std::find_if(rows.begin(), rows.end(), [](const SampleRow& row) { return row.split != Split::train; }) - rows.begin();  // they stand first
  TrainingCounts counts;
  counts.labels.resize(recipe.tasks.size());
  count_labels(recipe, events, static_cast<std::uint32_t>(training), counts);
  if (recipe.notes.empty() && !recipe.documents) return counts;
  const RecordLayout layout = lay_out(recipe, schema_of(recipe));
  const RecordAssembler assembler(recipe, layout, nullptr);
  for (std::int64_t first = 0; first < training; first += slice_rows) {
    const RecordBlock block = assembler.assemble(rows, events, first, std::min<std::int64_t>(slice_rows, training - first));
    const NoteColumns& notes = block.notes;
    for (std::size_t note = 0; note < notes.hour.size(); ++note) {
      const auto begin = static_cast<std::size_t>(notes.text_offsets[note]), end = static_cast<std::size_t>(notes.text_offsets[note + 1]);
      for (const std::string& word : split_words(std::string_view(notes.text).substr(begin, end - begin))) ++counts.words[word];
    }
  }
  return counts;
}

void add(TrainingCounts& sum, const TrainingCounts& more) {
  for (const auto& [word, count] : more.words) sum.words[word] += count;
  if (sum.labels.size() < more.labels.size()) sum.labels.resize(more.labels.size());
  for (std::size_t task = 0; task < more.labels.size(); ++task)
    for (const auto& [name, count] : more.labels[task]) sum.labels[task][name] += count;
}

TrainingCounts merged(const Communicator& comm, const TrainingCounts& mine) {
  TrainingCounts sum;
  for (const std::string& bytes : comm.all_gather(nlohmann::json{{"words", mine.words}, {"labels", mine.labels}}.dump())) {
    const auto theirs = nlohmann::json::parse(bytes);
    add(sum, {theirs["words"].get<std::map<std::string, std::int64_t>>(), theirs["labels"].get<std::vector<std::map<std::string, std::int64_t>>>()});
  }
  return sum;
}

}  // namespace tributary
