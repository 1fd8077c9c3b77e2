#include "shards/summary.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "comm/agree.h"

namespace tributary {
namespace {

constexpr std::int64_t rows_a_read = 1024;

void add_block(const Schema& schema, const RecordBlock& block, DataSetSummary& summary) {
  for (std::size_t r = 0; r < static_cast<std::size_t>(block.rows); ++r) {
    for (std::size_t m = 0; m < summary.with.size(); ++m) summary.with[m] += block.presence[r] >> m & 1;
    summary.hours += block.steps[r];
    for (std::size_t c = 0; c < schema.statics.size(); ++c) summary.static_observed[c] += block.static_observed[r * schema.statics.size() + c];
    for (std::size_t g = 0; g < schema.series.size(); ++g) {
      const std::size_t channels = schema.series[g].channels.size(), row = r * static_cast<std::size_t>(schema.steps) * channels;
      for (std::size_t i = 0; i < static_cast<std::size_t>(block.steps[r]) * channels; ++i)
        summary.observed[g][i % channels] += block.series[g].observed[row + i];
    }
  }
  summary.notes += static_cast<std::int64_t>(block.notes.hour.size());
  summary.tokens += static_cast<std::int64_t>(block.notes.token_ids.size());
  summary.text_bytes += static_cast<std::int64_t>(block.notes.text.size());
  for (std::size_t n = 0; n < block.notes.hour.size(); ++n)
    summary.longest_note = std::max(summary.longest_note, block.notes.token_offsets[n + 1] - block.notes.token_offsets[n]);
  const EntityColumns& entities = block.entities;
  summary.concepts += static_cast<std::int64_t>(entities.concept_type.size());
  summary.mentions += static_cast<std::int64_t>(entities.mention_note.size());
  summary.without_concept += std::count(entities.mention_concept.begin(), entities.mention_concept.end(), -1);
  summary.without_token += std::count(entities.mention_token.begin(), entities.mention_token.end(), -1);
}

void sum_over(const Communicator& comm, DataSetSummary& summary) {
  std::vector<std::int64_t*> numbers{&summary.hours,    &summary.notes,    &summary.tokens,          &summary.text_bytes,
                                     &summary.concepts, &summary.mentions, &summary.without_concept, &summary.without_token};
  for (auto& value : summary.with) numbers.push_back(&value);
  for (auto& value : summary.static_observed) numbers.push_back(&value);
  for (auto& group : summary.observed)
    for (auto& value : group) numbers.push_back(&value);
  std::vector<std::int64_t> values;
  for (const std::int64_t* number : numbers) values.push_back(*number);
  comm.sum(std::span<std::int64_t>(values));
  for (std::size_t i = 0; i < numbers.size(); ++i) *numbers[i] = values[i];
  std::array<std::int64_t, 1> longest{summary.longest_note};
  comm.maximum(longest);
  summary.longest_note = longest[0];
}

double share(std::int64_t part, std::int64_t whole) { return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0; }

std::string channel_line(const std::string& field, const Channel& channel, std::int64_t observed, std::int64_t cells, const ChannelStatistics& statistics) {
  return fmt::format("  {:<20} {:<24} {:<12} {:>8.1f} {:>12.5g} {:>12.5g}\n", field, channel.name, channel.unit, 100.0 - share(observed, cells),
                     statistics.mean, statistics.deviation);
}

std::string records_table(const Catalogue& catalogue, const DataSetSummary& summary) {
  const std::int64_t total = catalogue.total_rows();
  std::string text = fmt::format("{} records in {} parts, chunks of {} rows; made by {}; split salt '{}'\n", total, catalogue.parts.size(),
                                 catalogue.chunk_rows, catalogue.origin, catalogue.split_salt);
  text += fmt::format("content digest {}\n\n", catalogue.content_digest);
  for (int split = 0; split < split_count; ++split) {
    const std::int64_t rows = catalogue.rows(static_cast<Split>(split));
    text += fmt::format("  {:<12} {:>12} {:>6.1f} %\n", name_of(static_cast<Split>(split)), rows, share(rows, total));
  }
  constexpr std::array<std::string_view, 4> modalities{"static", "series", "notes", "image"};
  for (std::size_t m = 0; m < modalities.size(); ++m)
    text += fmt::format("  with {:<7} {:>12} {:>6.1f} %\n", modalities[m], summary.with[m], share(summary.with[m], total));
  return text;
}

std::string fields_table(const Catalogue& catalogue, const DataSetSummary& summary) {
  const Schema& schema = catalogue.schema;
  if (schema.statics.empty() && schema.series.empty()) return {};
  std::string text = fmt::format("\n  {:<20} {:<24} {:<12} {:>8} {:>12} {:>12}\n", "field", "channel", "unit", "missing%", "mean", "deviation");
  for (std::size_t c = 0; c < schema.statics.size(); ++c)
    text += channel_line("static", schema.statics[c], summary.static_observed[c], catalogue.total_rows(), catalogue.normalisation.statics[c]);
  for (std::size_t g = 0; g < schema.series.size(); ++g)
    for (std::size_t c = 0; c < schema.series[g].channels.size(); ++c)
      text += channel_line(schema.series[g].name, schema.series[g].channels[c], summary.observed[g][c], summary.hours, catalogue.normalisation.series[g][c]);
  return text + fmt::format(
                    "  missing: of records (static), of the records' valid hours (series; {} in all, of {} a record on average {:.1f}); mean and deviation: "
                    "training rows\n",
                    summary.hours, schema.steps, static_cast<double>(summary.hours) / static_cast<double>(std::max<std::int64_t>(1, catalogue.total_rows())));
}

std::string text_table(const Catalogue& catalogue, const DataSetSummary& summary) {
  if (!catalogue.schema.notes) return {};
  const auto per = [](std::int64_t value, std::int64_t count) { return static_cast<double>(value) / static_cast<double>(std::max<std::int64_t>(1, count)); };
  return fmt::format("\n  {:<12} {:>12}   {:.2f} a record\n  {:<12} {:>12}   {:.1f} a note, {} the longest\n  {:<12} {:>12}\n  {:<12} {:>12}   tokenizer {}\n",
                     "notes", summary.notes, per(summary.notes, catalogue.total_rows()), "tokens", summary.tokens, per(summary.tokens, summary.notes),
                     summary.longest_note, "text bytes", summary.text_bytes, "vocabulary", catalogue.vocabulary.size(), catalogue.tokenizer_digest);
}

std::string entities_table(const Catalogue& catalogue, const DataSetSummary& summary) {
  if (!catalogue.schema.has_entities()) return {};
  return fmt::format("\n  {:<12} {:>12}   of the types {}\n  {:<12} {:>12}   {} without a concept, {} without a token\n", "concepts", summary.concepts,
                     fmt::join(catalogue.schema.concept_types, ", "), "mentions", summary.mentions, summary.without_concept, summary.without_token);
}

std::string labels_table(const Catalogue& catalogue) {
  std::string text;
  for (std::size_t t = 0; t < catalogue.schema.tasks.size(); ++t) {
    const Task& task = catalogue.schema.tasks[t];
    const LabelCounts& counts = catalogue.label_counts[t];
    text += fmt::format("\n  {:<32} {:>14} {:>14} {:>14}\n", fmt::format("{} ({})", task.name, name_of(task.kind)), "train", "validation", "test");
    text += fmt::format("    {:<30} {:>14} {:>14} {:>14}\n", "valid", counts.valid[0], counts.valid[1], counts.valid[2]);
    for (std::size_t k = 0; k < counts.classes.size(); ++k) {
      text += fmt::format("    {:<30}", task.classes[k]);
      for (std::size_t s = 0; s < split_count; ++s)
        text += fmt::format(" {:>7} {:>4.1f} %", counts.classes[k][s], share(counts.classes[k][s], counts.valid[s]));
      text += '\n';
    }
  }
  return text;
}

}  // namespace

DataSetSummary summarise(const Communicator& comm, const std::filesystem::path& directory, const Catalogue& catalogue, Verify verify) {
  DataSetSummary summary;
  summary.static_observed.resize(catalogue.schema.statics.size());
  for (const SeriesGroup& group : catalogue.schema.series) summary.observed.emplace_back(group.channels.size());
  agreed(comm, [&] {
    FieldSelection fields;
    fields.text = true;
    fields.images = fields.labels = false;
    ShardReader reader(directory, catalogue, verify);
    for (int p = comm.rank(); p < static_cast<int>(catalogue.parts.size()); p += comm.size()) {
      const std::int64_t rows = catalogue.parts[static_cast<std::size_t>(p)].total_rows();
      for (std::int64_t first = 0; first < rows; first += rows_a_read)
        add_block(catalogue.schema, reader.read(p, first, std::min(rows_a_read, rows - first), fields), summary);
    }
  });
  sum_over(comm, summary);
  return summary;
}

std::string to_text(const Catalogue& catalogue, const DataSetSummary& summary) {
  return records_table(catalogue, summary) + fields_table(catalogue, summary) + text_table(catalogue, summary) + entities_table(catalogue, summary) +
         labels_table(catalogue);
}

}  // namespace tributary
