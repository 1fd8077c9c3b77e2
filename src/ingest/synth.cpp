#include "ingest/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "ingest/split.h"
#include "ingest/synth/draws.h"
#include "ingest/synth/latent.h"
#include "ingest/synth/measurements.h"
#include "ingest/synth/notes.h"

namespace tributary {
namespace {

using namespace synth;

constexpr int generator_version = 1;  // part of the origin: changes whenever the content of a record does
constexpr std::int64_t records_a_part = 8192;
constexpr std::int64_t most_steps = 65535;

void check_range(const char* option, double value, double lowest, double highest) {
  if (!(value >= lowest && value <= highest)) fail(ErrorKind::configuration, "shards synth --{}: {} is not in {} ... {}", option, value, lowest, highest);
}

SynthOptions checked(SynthOptions options) {
  check_range("records", static_cast<double>(options.records), 1, std::numeric_limits<std::uint32_t>::max());
  check_range("parts", static_cast<double>(options.parts), 0, 1'000'000);
  check_range("steps", static_cast<double>(options.steps), 1, most_steps);
  check_range("notes-per-record", static_cast<double>(options.notes_per_record), 0, 1000);
  check_range("note-words", static_cast<double>(options.note_words), 1, 100'000);
  check_range("notes", options.notes, 0, 1);
  check_range("series", options.series, 0, 1);
  check_range("images", options.images, 0, 1);
  check_range("static", options.statics, 0, 1);
  if (options.notes_per_record == 0) options.notes = 0;
  if (options.parts == 0) options.parts = (options.records + records_a_part - 1) / records_a_part;
  return options;
}

Schema schema_of(const SynthOptions& options) {
  Schema schema;
  schema.steps = options.steps;
  if (options.statics > 0) schema.statics = static_channels();
  if (options.series > 0) schema.series = series_groups();
  schema.notes = options.notes > 0;
  if (options.images > 0) schema.image = image_shape();
  schema.tasks = tasks();
  return schema;
}

// Of six records in a row the first two are one patient's, the others a patient's each.
std::uint64_t patient_of(std::uint64_t record) { return record * 5 / 6; }

std::string record_id(std::uint64_t record) {  // bytes sort as the numbers do
  std::string id = "r0000000000";
  for (std::size_t i = id.size() - 1; record > 0; --i, record /= 10) id[i] = static_cast<char>('0' + record % 10);
  return id;
}

std::uint64_t patient_hash(std::uint64_t seed, std::uint64_t patient) {
  std::array<char, 64> id{};
  const auto end = fmt::format_to_n(id.begin(), id.size(), "synth {} patient {}", seed, patient).out;
  return patient_hash_of({id.data(), static_cast<std::size_t>(end - id.begin())});
}

}  // namespace

struct SynthSource::State {
  struct Row {
    std::uint64_t hash;
    std::uint32_t record;
    Split split;
  };

  explicit State(const SynthOptions& given)
      : options(checked(given)), schema(schema_of(options)), tokenizer(make_tokenizer(grammar_vocabulary())), writer(*tokenizer) {}

  // Calls visit(part, row) for every record in ascending number.
  template <class Visit>
  void for_each_record(const Visit& visit) const {
    Row row{0, 0, Split::train};
    std::int32_t part = 0;
    for (std::uint64_t record = 0; record < static_cast<std::uint64_t>(options.records); ++record) {
      if (record == 0 || patient_of(record) != patient_of(record - 1)) {
        row.hash = patient_hash(options.seed, patient_of(record));
        row.split = split_of(row.hash, options.salt);
        part = part_of(row.hash, options.parts);
      }
      row.record = static_cast<std::uint32_t>(record);
      visit(static_cast<std::size_t>(part), row);
    }
  }

  void deal_records_to_parts() {
    rows.resize(static_cast<std::size_t>(options.parts));
    for_each_record([this](std::size_t part, const Row& row) { ++rows[part][static_cast<std::size_t>(row.split)]; });
    std::vector<std::size_t> next;
    std::size_t total = 0;
    for (const auto& counts : rows) {
      part_begin.push_back(total);
      total += static_cast<std::size_t>(counts[0] + counts[1] + counts[2]);
    }
    next = part_begin;
    part_begin.push_back(total);
    records.resize(total);
    for_each_record([this, &next](std::size_t part, const Row& row) { records[next[part]++] = row.record; });
  }

  // The rows of a part in their order; kept until another part is asked for.
  const std::vector<Row>& order_of(int part) {
    if (part == ordered_part) return ordered;
    ordered.clear();
    for (std::size_t i = part_begin[static_cast<std::size_t>(part)]; i < part_begin[static_cast<std::size_t>(part) + 1]; ++i) {
      const std::uint64_t hash = patient_hash(options.seed, patient_of(records[i]));
      ordered.push_back({hash, records[i], split_of(hash, options.salt)});
    }
    // Ids of equal length sort as record numbers do.
    std::sort(ordered.begin(), ordered.end(),
              [](const Row& a, const Row& b) { return std::tie(a.split, a.hash, a.record) < std::tie(b.split, b.hash, b.record); });
    ordered_part = part;
    return ordered;
  }

  void append_record(const Row& row, RecordBlock& block) const;
  void append_notes(std::uint64_t record, bool present, std::int32_t steps, const Factors& factors, NoteColumns& notes) const;

  SynthOptions options;
  Schema schema;
  std::unique_ptr<Tokenizer> tokenizer;
  NoteWriter writer;
  std::vector<std::array<std::int64_t, split_count>> rows;  // [parts]
  std::vector<std::size_t> part_begin;                      // [parts + 1], into records
  std::vector<std::uint32_t> records;                       // record numbers by part, ascending inside a part
  int ordered_part = -1;
  std::vector<Row> ordered;
};

void SynthSource::State::append_notes(std::uint64_t record, bool present, std::int32_t steps, const Factors& factors, NoteColumns& notes) const {
  const std::int64_t count = present ? options.notes_per_record : 0;
  Draws draws(options.seed, Purpose::notes, record);
  for (std::int64_t k = 0; k < count; ++k) {  // one in each equal stretch of the stay, so that hours ascend
    const auto from = static_cast<std::uint64_t>(k * steps / count), to = static_cast<std::uint64_t>((k + 1) * steps / count);
    notes.hour.push_back(static_cast<std::int32_t>(from + draws.below(std::max<std::uint64_t>(to - from, 1))));
    writer.append_note(draws, factors, options.note_words, notes);
    notes.text_offsets.push_back(static_cast<std::int64_t>(notes.text.size()));
    notes.token_offsets.push_back(static_cast<std::int64_t>(notes.token_ids.size()));
  }
  notes.note_offsets.push_back(static_cast<std::int64_t>(notes.hour.size()));
}

void SynthSource::State::append_record(const Row& row, RecordBlock& block) const {
  const std::uint64_t seed = options.seed, record = row.record, patient = patient_of(record);
  const Latent latent = latent_of(seed, record, patient);
  Draws presence(seed, Purpose::presence, record), length(seed, Purpose::length, record);
  // All four are drawn whatever the rates, so that one rate changes nothing of the other modalities.
  const bool notes = presence.happens(options.notes), series = presence.happens(options.series), statics = presence.happens(options.statics),
             image = presence.happens(options.images);
  const auto shortest = static_cast<std::uint64_t>((options.steps + 1) / 2);
  auto steps = static_cast<std::int32_t>(options.steps);
  if (length.happens(0.2)) steps = static_cast<std::int32_t>(shortest + length.below(static_cast<std::uint64_t>(options.steps) - shortest + 1));
  block.ids.push_back(record_id(record));
  block.patient.push_back(row.hash);
  block.split.push_back(static_cast<std::uint8_t>(row.split));
  block.presence.push_back(
      static_cast<std::uint8_t>((statics ? has_static : 0) | (series ? has_series : 0) | (notes ? has_notes : 0) | (image ? has_image : 0)));
  block.steps.push_back(steps);
  const auto at = static_cast<std::size_t>(block.rows++);
  if (statics) {
    const std::size_t width = schema.statics.size();
    fill_statics(seed, record, patient, latent.of[in_statics], std::span(block.static_values).subspan(at * width, width),
                 std::span(block.static_observed).subspan(at * width, width));
  }
  for (std::size_t g = 0; series && g < schema.series.size(); ++g) {
    const std::size_t size = static_cast<std::size_t>(schema.steps) * schema.series[g].channels.size();
    fill_series(seed, record, g, steps, latent.of[in_series], std::span(block.series[g].values).subspan(at * size, size),
                std::span(block.series[g].observed).subspan(at * size, size));
  }
  if (schema.notes) append_notes(record, notes, steps, latent.of[in_notes], block.notes);
  const auto pixels = static_cast<std::size_t>(schema.image.size());
  if (image) fill_image(seed, record, latent.of[in_image], std::span(block.images).subspan(at * pixels, pixels));
  append_labels(seed, record, latent, block.labels);
}

SynthSource::SynthSource(const SynthOptions& options) : state_(std::make_unique<State>(options)) { state_->deal_records_to_parts(); }
SynthSource::~SynthSource() = default;
const Schema& SynthSource::schema() const { return state_->schema; }
std::vector<std::array<std::int64_t, split_count>> SynthSource::part_rows() const { return state_->rows; }
const Tokenizer& SynthSource::tokenizer() const { return *state_->tokenizer; }

std::string SynthSource::origin() const {
  const SynthOptions& o = state_->options;
  const std::string content =
      fmt::format("synth version {} records {} seed {} parts {} notes {} series {} images {} static {} steps {} notes-per-record {} note-words {}",
                  generator_version, o.records, o.seed, o.parts, o.notes, o.series, o.images, o.statics, o.steps, o.notes_per_record, o.note_words);
  return "synth " + sha256_hex(content).substr(0, 16);
}

RecordBlock SynthSource::records(int part, std::int64_t first, std::int64_t rows) {
  check(part >= 0 && part < state_->options.parts, "synth: part {} of {}", part, state_->options.parts);
  const auto& order = state_->order_of(part);
  check(first >= 0 && rows >= 0 && first + rows <= static_cast<std::int64_t>(order.size()), "synth: rows {} + {} of the {} of part {}", first, rows,
        order.size(), part);
  const Schema& schema = state_->schema;
  const auto count = static_cast<std::size_t>(rows);
  RecordBlock block;
  block.static_values.resize(count * schema.statics.size());
  block.static_observed.resize(count * schema.statics.size());
  for (const SeriesGroup& group : schema.series) {
    const std::size_t size = count * static_cast<std::size_t>(schema.steps) * group.channels.size();
    block.series.push_back({std::vector<float>(size), std::vector<std::uint8_t>(size)});
  }
  block.images.resize(count * static_cast<std::size_t>(schema.image.size()));
  block.labels.resize(schema.tasks.size());
  block.notes.note_offsets = {0};
  block.notes.text_offsets = {0};
  block.notes.token_offsets = {0};
  for (std::size_t i = 0; i < count; ++i) state_->append_record(order[static_cast<std::size_t>(first) + i], block);
  if (!schema.notes) block.notes = {};
  return block;
}

}  // namespace tributary
