#include "shards/token_rewrite.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "comm/agree.h"
#include "shards/entities.h"
#include "shards/part_set.h"
#include "shards/shard_reader.h"

namespace tributary {
namespace {

// The records of an existing data set with other tokens.
class RetokenizedRecords : public RecordSource {
 public:
  RetokenizedRecords(const std::filesystem::path& directory, const Catalogue& catalogue, const std::function<TokenizedText(std::string_view)>& tokenize)
      : catalogue_(catalogue), reader_(directory, catalogue, Verify::stamp), tokenize_(tokenize) {}

  [[nodiscard]] const Schema& schema() const override { return catalogue_.schema; }
  [[nodiscard]] std::vector<std::array<std::int64_t, split_count>> part_rows() const override {
    std::vector<std::array<std::int64_t, split_count>> rows;
    for (const PartInfo& part : catalogue_.parts) rows.push_back(part.rows);
    return rows;
  }

  [[nodiscard]] RecordBlock records(int part, std::int64_t first, std::int64_t rows) override {
    FieldSelection fields;
    fields.tokens = false;
    fields.text = true;
    RecordBlock block = reader_.read(part, first, rows, fields);
    NoteColumns& notes = block.notes;
    notes.token_offsets = {0};
    MentionTokens mentions(block);
    for (std::size_t note = 0; note < notes.hour.size(); ++note) {
      const auto begin = static_cast<std::size_t>(notes.text_offsets[note]), end = static_cast<std::size_t>(notes.text_offsets[note + 1]);
      const TokenizedText tokens = tokenize_(std::string_view(notes.text).substr(begin, end - begin));
      notes.token_ids.insert(notes.token_ids.end(), tokens.ids.begin(), tokens.ids.end());
      notes.token_marks.insert(notes.token_marks.end(), tokens.marks.begin(), tokens.marks.end());
      notes.token_offsets.push_back(static_cast<std::int64_t>(notes.token_ids.size()));
      mentions.next_note(tokens.begin, tokens.end);
    }
    return block;
  }

 private:
  const Catalogue& catalogue_;
  ShardReader reader_;
  const std::function<TokenizedText(std::string_view)>& tokenize_;
};

// Parts and vocabularies in the folder that `catalogue` does not name, with the stamps of such parts.
void remove_unnamed(const std::filesystem::path& directory, const Catalogue& catalogue) {
  std::set<std::string> named{catalogue.vocabulary_file};
  for (const PartInfo& part : catalogue.parts) named.insert({part.file, part.file + ".verified"});
  std::vector<std::filesystem::path> unnamed;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if ((name.starts_with("part-") || name.starts_with("vocab")) && !named.contains(name)) unnamed.push_back(entry.path());
  }
  std::error_code code;
  for (const auto& path : unnamed) std::filesystem::remove(path, code);
}

}  // namespace

Catalogue rewrite_tokens(const Communicator& comm, const std::filesystem::path& directory, const std::function<TokenizedText(std::string_view text)>& tokenize,
                         const std::vector<std::string>& vocabulary, const std::string& tokenizer_digest, const TokenizerOptions& tokenizer) {
  const bool first = comm.rank() == 0;
  const Catalogue old = agreed(comm, [&] {
    Catalogue catalogue = load_catalogue(directory);
    if (!catalogue.schema.notes) fail(ErrorKind::configuration, "{}: the data set has no notes, so it has no tokens to replace", directory.string());
    return catalogue;
  });
  if (old.tokenizer_digest == tokenizer_digest && old.vocabulary == vocabulary) return old;
  agreed(comm, [&] {
    if (first) remove_unnamed(directory, old);
  });
  const std::string tag = tokenizer_digest.substr(0, 16);
  std::vector<std::string> files;
  for (std::size_t p = 0; p < old.parts.size(); ++p) files.push_back(part_file_name(p, tag));
  for (const PartInfo& part : old.parts)
    check(std::find(files.begin(), files.end(), part.file) == files.end(), "{}: two vocabularies have the tokenizer digest {}", directory.string(), tag);
  RetokenizedRecords source(directory, old, tokenize);
  const WriteOptions options{old.chunk_rows, old.split_salt, old.origin, vocabulary, tokenizer_digest, &old.normalisation, tokenizer};
  Catalogue catalogue;
  try {
    catalogue = write_parts(comm, source, directory, files, options);
  } catch (...) {  // only here: once the catalogue is being replaced, which of the files count is no longer known
    if (first) remove_unnamed(directory, old);
    throw;
  }
  catalogue.vocabulary_file = "vocab-" + tag + ".txt";
  agreed(comm, [&] {
    if (!first) return;
    sync_path(directory);
    save_catalogue(directory, catalogue);
    remove_unnamed(directory, catalogue);
  });
  return catalogue;
}

}  // namespace tributary
