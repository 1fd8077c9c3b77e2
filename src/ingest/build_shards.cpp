#include "ingest/build_shards.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "comm/agree.h"
#include "ingest/dictionary.h"
#include "ingest/event.h"
#include "ingest/label_map.h"
#include "ingest/record_assembler.h"
#include "ingest/record_layout.h"
#include "ingest/sample_index.h"
#include "ingest/source_files.h"
#include "ingest/split.h"
#include "ingest/table_events.h"
#include "ingest/text_lines.h"
#include "ingest/tokenizer.h"
#include "ingest/training_fit.h"
#include "shards/shard_writer.h"
#include "shards/staging.h"

namespace tributary {
namespace {

// The folder of the spilled events: beside the data set, gone at the end. It holds text of records; what a killed build leaves, the next one to the same
// place on this host removes.
class SpillFolder {
 public:
  SpillFolder(const Communicator& comm, const std::filesystem::path& out) : owner_(comm.rank() == 0) {
    const std::string made = agreed(comm, [&] {
      if (!owner_) return std::string();
      refuse_existing(out);
      return make_staging(out.string() + ".spill").string();
    });
    path_ = comm.broadcast(made, 0);
  }
  ~SpillFolder() {
    if (owner_) remove_quietly(path_);
  }
  SpillFolder(const SpillFolder&) = delete;
  SpillFolder& operator=(const SpillFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  bool owner_;
  std::filesystem::path path_;
};

// Gives the writer one part after the other; holds the events of one.
class SpilledRecords : public RecordSource {
 public:
  SpilledRecords(const Recipe& recipe, RecordLayout layout, const SampleIndex& samples, const Tokenizer* tokenizer, const Dictionary* dictionary,
                 std::filesystem::path folder, int ranks)
      : layout_(std::move(layout)), samples_(samples), folder_(std::move(folder)), ranks_(ranks), assembler_(recipe, layout_, tokenizer, dictionary) {}

  [[nodiscard]] const Schema& schema() const override { return layout_.schema; }
  [[nodiscard]] std::vector<std::array<std::int64_t, split_count>> part_rows() const override { return samples_.part_rows(); }
  [[nodiscard]] RecordBlock records(int part, std::int64_t first, std::int64_t rows) override {
    if (part != loaded_) {
      events_ = {};  // first, so that two parts are never held at once
      events_ = load_events(folder_, part, ranks_);
      loaded_ = part;
    }
    return assembler_.assemble(samples_.rows(part), events_, first, rows);
  }

 private:
  RecordLayout layout_;
  const SampleIndex& samples_;
  std::filesystem::path folder_;
  int ranks_;
  RecordAssembler assembler_;
  EventList events_;
  int loaded_ = -1;
};

// Rank 0 reads the sample table; all get the list of records.
RecordList agree_records(const Communicator& comm, const Recipe& recipe, const std::filesystem::path& source, const std::vector<SourceFile>& files,
                         IngestReport& report) {
  RecordList records;
  agreed(comm, [&] {
    if (comm.rank() == 0) records = read_records(recipe, source, files, report);
    if (comm.rank() == 0 && records.rows.empty()) fail(ErrorKind::data, "{}: the recipe '{}' keeps no record of it", source.string(), recipe.name);
  });
  std::string bytes;
  for (const SampleRow& row : records.rows) bytes += fmt::format("{}\t{}\t{}\n", row.patient, static_cast<int>(row.split), row.id);
  bytes = comm.broadcast(bytes, 0);
  records.rows.clear();
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t tab = bytes.find('\t', at), id = bytes.find('\t', tab + 1) + 1, end = bytes.find('\n', id);
    records.rows.push_back({bytes.substr(id, end - id), std::stoull(bytes.substr(at, tab - at)), static_cast<Split>(bytes[tab + 1] - '0')});
    at = end + 1;
  }
  return records;
}

void spill_tables(const Communicator& comm, const Recipe& recipe, const std::filesystem::path& source, const std::vector<SourceFile>& files,
                  const SampleIndex& samples, const std::filesystem::path& folder, IngestReport& report) {
  agreed(comm, [&] {
    EventSpill spill(folder, comm.rank(), samples.parts());
    for (const std::size_t file : files_of_rank(files, comm.rank(), comm.size())) spill_file_events(recipe, source, files, file, samples, spill, report);
    spill.flush();
  });
  report = merged(comm, report);
  agreed(comm, [&] { check_bad_rows(report, recipe.max_bad_rows); });
}

// Label maps and word counts of the training records, parts dealt to ranks. Whole numbers: the sums do not depend on the order.
TrainingCounts fit(const Communicator& comm, const Recipe& recipe, const SampleIndex& samples, const std::filesystem::path& folder) {
  TrainingCounts counts;
  agreed(comm, [&] {
    counts.labels.resize(recipe.tasks.size());
    for (int part = comm.rank(); part < samples.parts(); part += comm.size())
      add(counts, count_training(recipe, samples.rows(part), load_events(folder, part, comm.size())));
  });
  return merged(comm, counts);
}

// What the fit decides: schema with label maps, and the vocabulary.
struct Fitted {
  Schema schema;
  TokenizerSpec tokenizer;
};

Fitted fitted_from(const Recipe& recipe, const TrainingCounts& counts) {
  Fitted fitted{schema_of(recipe), {}};
  for (std::size_t task = 0; task < recipe.tasks.size(); ++task)
    if (recipe.tasks[task].fitted) fitted.schema.tasks[task].classes = fit_label_map(recipe.tasks[task], counts.labels[task]);
  if (fitted.schema.notes) fitted.tokenizer.vocabulary = vocabulary_from_counts(counts.words, static_cast<std::size_t>(recipe.vocabulary_size));
  return fitted;
}

struct DictionaryFile {
  std::unique_ptr<Dictionary> terms;  // null: the recipe names none
  std::string digest;
};

DictionaryFile read_dictionary(const Communicator& comm, const Recipe& recipe, const std::filesystem::path& source) {
  return agreed(comm, [&]() -> DictionaryFile {
    if (recipe.dictionary.empty()) return {};
    const std::filesystem::path path = source / recipe.dictionary;  // an absolute path stays as it is
    const std::string text = read_text(path);
    auto terms = std::make_unique<Dictionary>(text, recipe.dictionary_types, path.string());
    if (terms->terms() == 0)
      fail(ErrorKind::data, "{}: no term of the types {}; expected lines of term, concept id and type, separated by tabs", path.string(),
           fmt::join(recipe.dictionary_types, ", "));
    return {std::move(terms), sha256_hex(text).substr(0, 16)};
  });
}

std::filesystem::path without_slash(const std::filesystem::path& path) {
  const std::filesystem::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

}  // namespace

BuildResult build_shards(const Communicator& comm, const Recipe& recipe, const std::filesystem::path& source, const std::filesystem::path& out_given,
                         const BuildOptions& options) {
  const std::filesystem::path out = without_slash(out_given);
  BuildResult result;
  std::optional<Catalogue> like;
  if (!options.like.empty()) like = agreed(comm, [&] { return load_catalogue(options.like); });
  const std::vector<SourceFile> files = agree_source_files(comm, recipe, source);
  const std::string salt = options.salt.empty() ? recipe.salt : options.salt;
  RecordList records = agree_records(comm, recipe, source, files, result.report);
  const std::int64_t parts = options.parts > 0 ? options.parts : default_parts(static_cast<std::int64_t>(records.rows.size()));
  const SampleIndex samples = agreed(comm, [&] { return SampleIndex(recipe, salt, std::move(records), parts); });

  const SpillFolder folder(comm, out);
  spill_tables(comm, recipe, source, files, samples, folder.path(), result.report);
  Fitted fitted;
  if (like) {
    fitted = {like->schema, {like->vocabulary, like->tokenizer}};
  } else {
    const TrainingCounts counts = fit(comm, recipe, samples, folder.path());
    fitted = agreed(comm, [&] { return fitted_from(recipe, counts); });
    if (!options.tokenizer.vocabulary.empty() && fitted.schema.notes) fitted.tokenizer = options.tokenizer;
  }
  RecordLayout layout = agreed(comm, [&] { return lay_out(recipe, fitted.schema); });
  result.differences = layout.differences;
  const auto tokenizer =
      agreed(comm, [&] { return fitted.schema.notes ? make_tokenizer(fitted.tokenizer.vocabulary, fitted.tokenizer.options) : std::unique_ptr<Tokenizer>(); });
  const DictionaryFile dictionary = read_dictionary(comm, recipe, source);
  SpilledRecords source_records(recipe, std::move(layout), samples, tokenizer.get(), dictionary.terms.get(), folder.path(), comm.size());

  WriteOptions write;
  write.split_salt = salt;
  write.origin = fmt::format("{} {}", recipe.name, recipe.digest) + (dictionary.digest.empty() ? "" : " dictionary " + dictionary.digest);
  write.vocabulary = fitted.tokenizer.vocabulary;
  write.tokenizer = fitted.tokenizer.options;
  if (tokenizer) write.tokenizer_digest = tokenizer->digest();
  if (like) write.normalisation = &like->normalisation;
  result.catalogue = write_shards(comm, source_records, out, write);
  return result;
}

}  // namespace tributary
