#include <fmt/core.h>

#include <filesystem>
#include <memory>

#include "app/commands.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "comm/agree.h"
#include "ingest/tokenizer_file.h"
#include "ingest/vocabulary_trainer.h"
#include "ingest/word_counts.h"

namespace tributary {
namespace {

struct VocabularyCommand {
  std::string shards, out;
  std::vector<std::string> texts;
  VocabularyTraining training;
  bool cased = false;
};

CorpusWords count_corpus(const Session& session, const VocabularyCommand& command) {
  const TokenizerOptions& options = command.training.options;
  if (command.shards.empty()) return count_words(session.world, std::vector<std::filesystem::path>(command.texts.begin(), command.texts.end()), options);
  const Catalogue catalogue = agreed(session.world, [&] {
    Catalogue loaded = load_catalogue(command.shards);
    if (!loaded.schema.notes) fail(ErrorKind::configuration, "{}: the data set has no notes, so it has no words", command.shards);
    return loaded;
  });
  return count_words(session.world, command.shards, catalogue, options);
}

void train(const Session& session, VocabularyCommand command) {
  const Stopwatch watch;
  command.training.options.lowercase = command.training.options.strip_accents = !command.cased;
  const std::filesystem::path out = command.out, config = out.parent_path() / "tokenizer_config.json";
  agreed(session.world, [&] {
    std::error_code code;
    for (const auto& path : {out, config})
      if (session.world.rank() == 0 && std::filesystem::exists(path, code))
        fail(ErrorKind::cannot_create, "{}: exists already; name a place for the vocabulary where it does not", path.string());
  });
  const CorpusWords corpus = count_corpus(session, command);
  agreed(session.world, [&] {
    if (session.world.rank() != 0) return;
    if (corpus.counts.empty()) fail(ErrorKind::data, "no words in the corpus");
    const TokenizerSpec spec{train_vocabulary(corpus.counts, command.training), command.training.options};
    std::string lines;
    for (const std::string& piece : spec.vocabulary) lines += piece + "\n";
    if (out.has_parent_path()) make_directories(out.parent_path());
    write_file(out, lines);
    write_file(config, tokenizer_config_json(spec));
    if (corpus.replaced_bytes > 0) session.log.once("{} bytes are not UTF-8 and were taken as U+FFFD", corpus.replaced_bytes);
    fmt::print("{}: {} tokens from {} words, {} of them different, {:.2f} s\n", out.string(), spec.vocabulary.size(), corpus.words, corpus.counts.size(),
               watch.elapsed_s());
  });
}

}  // namespace

void add_shards_vocab(CLI::App& shards, const Session& session) {
  CLI::App* group = shards.add_subcommand("vocab", "Vocabularies for the notes' tokens");
  group->require_subcommand(1);
  CLI::App* command = group->add_subcommand("train", "Make a WordPiece vocabulary from the training notes of a data set or from text files");
  command->footer(
      "The same corpus gives the same vocabulary on any number of ranks. Beside it stands tokenizer_config.json, so that --tokenizer takes both.\n"
      "Examples:\n"
      "  tributary shards vocab train --shards runs/shards --out runs/tokenizer/vocab.txt --size 8000\n"
      "  mpirun -n 4 tributary shards vocab train --text notes-*.txt --out clinical/vocab.txt --size 30522");
  auto options = std::make_shared<VocabularyCommand>();
  options->training.unused = 4;
  CLI::App* corpus = command->add_option_group("Corpus", "one of");
  corpus->require_option(1);
  corpus->add_option("--shards", options->shards, "data set; its training records' notes are read");
  corpus->add_option("--text", options->texts, "text files, UTF-8");
  command->add_option("--out", options->out, "vocab.txt to write")->required();
  command->add_option("--size", options->training.size, "tokens, special tokens and characters among them")->required();
  command->add_option("--min-count", options->training.min_count, "a pair of pieces seen less often is not merged")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--unused", options->training.unused, "tokens [unused1], [unused2], ... that no text gives; model.family = \"text_bert\" marks with four")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--cased", options->cased, "keep capitals and accents");
  command->callback([&session, options] { train(session, *options); });
}

}  // namespace tributary
