#include "shards/normalisation.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "shards/entities.h"

namespace tributary {
namespace {

// Two passes over the observed cells of `rows` rows; channels are the innermost dimension.
void add_moments(std::span<const float> values, std::span<const std::uint8_t> observed, std::span<Moments> channels) {
  const std::size_t width = channels.size();
  std::vector<double> count(width, 0), sum(width, 0), squares(width, 0);
  for (std::size_t i = 0; i < values.size(); i += width)
    for (std::size_t c = 0; c < width; ++c) {
      count[c] += observed[i + c];
      sum[c] += observed[i + c] != 0 ? static_cast<double>(values[i + c]) : 0.0;
    }
  for (std::size_t c = 0; c < width; ++c) channels[c] = {count[c], count[c] > 0 ? sum[c] / count[c] : 0.0, 0.0};
  for (std::size_t i = 0; i < values.size(); i += width)
    for (std::size_t c = 0; c < width; ++c) {
      const double distance = observed[i + c] != 0 ? static_cast<double>(values[i + c]) - channels[c].mean : 0.0;
      squares[c] += distance * distance;
    }
  for (std::size_t c = 0; c < width; ++c) channels[c].squares = squares[c];
}

// A relation task has a label for each candidate pair of a record.
void count_pairs(const RecordBlock& block, std::size_t row, const Task& task, std::size_t number, LabelCounts& counts) {
  const PairCounts pairs = pair_counts(block, row, task, number);
  const std::size_t split = block.split[row];
  counts.valid[split] += pairs.candidates;
  counts.classes[0][split] += pairs.candidates - pairs.related;
  const EntityColumns& entities = block.entities;
  for (auto r = static_cast<std::size_t>(entities.relation_offsets[row]); r < static_cast<std::size_t>(entities.relation_offsets[row + 1]); ++r)
    if (entities.relation_task[r] == number) ++counts.classes[entities.relation_class[r]][split];
}

ChannelStatistics statistics_of(const Moments& moments) {
  ChannelStatistics statistics;
  statistics.count = static_cast<std::int64_t>(moments.count);
  statistics.mean = moments.mean;
  const double deviation = moments.count > 0 ? std::sqrt(moments.squares / moments.count) : 0.0;
  statistics.deviation = deviation > 0 ? deviation : 1.0;
  return statistics;
}

}  // namespace

std::size_t channel_count(const Schema& schema) {
  std::size_t count = schema.statics.size();
  for (const SeriesGroup& group : schema.series) count += group.channels.size();
  return count;
}

std::vector<Moments> block_moments(const Schema& schema, const RecordBlock& block, std::int64_t chunk_rows) {
  std::vector<Moments> moments;
  for (std::int64_t first = 0; first < block.rows; first += chunk_rows) {
    const std::int64_t end = std::min(first + chunk_rows, block.rows);
    std::int64_t last = first;  // training rows stand in front
    while (last < end && block.split[static_cast<std::size_t>(last)] == static_cast<std::uint8_t>(Split::train)) ++last;
    const auto rows = [&](const auto& cells, std::size_t width) {
      return std::span(cells).subspan(static_cast<std::size_t>(first) * width, static_cast<std::size_t>(last - first) * width);
    };
    const std::size_t begin = moments.size(), statics = schema.statics.size();
    moments.resize(begin + channel_count(schema));
    const std::span<Moments> channels = std::span(moments).subspan(begin);
    if (statics > 0) add_moments(rows(block.static_values, statics), rows(block.static_observed, statics), channels.first(statics));
    std::size_t offset = statics;
    for (std::size_t g = 0; g < schema.series.size(); ++g) {
      const std::size_t count = schema.series[g].channels.size(), width = count * static_cast<std::size_t>(schema.steps);
      add_moments(rows(block.series[g].values, width), rows(block.series[g].observed, width), channels.subspan(offset, count));
      offset += count;
    }
  }
  return moments;
}

void combine(Moments& sum, const Moments& next) {
  if (next.count == 0) return;
  if (sum.count == 0) {
    sum = next;
    return;
  }
  const double count = sum.count + next.count, distance = next.mean - sum.mean;
  sum.mean += distance * (next.count / count);
  sum.squares += next.squares + distance * distance * (sum.count * next.count / count);
  sum.count = count;
}

Normalisation normalisation_of(const Schema& schema, const std::vector<Moments>& channels) {
  Normalisation normalisation;
  std::size_t c = 0;
  for (; c < schema.statics.size(); ++c) normalisation.statics.push_back(statistics_of(channels[c]));
  for (const SeriesGroup& group : schema.series) {
    auto& list = normalisation.series.emplace_back();
    for (std::size_t k = 0; k < group.channels.size(); ++k) list.push_back(statistics_of(channels[c++]));
  }
  return normalisation;
}

std::vector<LabelCounts> no_counts(const Schema& schema) {
  std::vector<LabelCounts> counts;
  for (const Task& task : schema.tasks) counts.emplace_back().classes.resize(task.classes.size());
  return counts;
}

void count_labels(const Schema& schema, const RecordBlock& block, std::vector<LabelCounts>& counts) {
  for (std::size_t t = 0; t < schema.tasks.size(); ++t) {
    const Task& task = schema.tasks[t];
    const auto width = static_cast<std::size_t>(task.label_width());
    for (std::size_t r = 0; r < static_cast<std::size_t>(block.rows); ++r) {
      if (block.labels[t].valid[r] == 0) continue;
      const std::size_t split = block.split[r];
      if (task.kind == TaskKind::relation) {
        count_pairs(block, r, task, t, counts[t]);
        continue;
      }
      ++counts[t].valid[split];
      for (std::size_t k = 0; k < width && task.kind != TaskKind::regression; ++k) {
        const float value = block.labels[t].values[r * width + k];
        if (task.kind == TaskKind::multilabel) counts[t].classes[k][split] += value != 0 ? 1 : 0;
        if (task.kind != TaskKind::multilabel) ++counts[t].classes[static_cast<std::size_t>(value)][split];
      }
    }
  }
}

}  // namespace tributary
