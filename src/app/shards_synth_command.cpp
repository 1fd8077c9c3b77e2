#include <fmt/core.h>

#include <memory>

#include "app/commands.h"
#include "base/clock.h"
#include "comm/agree.h"
#include "ingest/synth.h"
#include "shards/shard_writer.h"

namespace tributary {
namespace {

struct SynthCommand {
  SynthOptions content;
  std::string directory;
  std::int64_t chunk_rows = WriteOptions{}.chunk_rows;
};

void synthesize(const Session& session, const SynthCommand& command) {
  const Stopwatch watch;
  const auto source = agreed(session.world, [&] { return std::make_unique<SynthSource>(command.content); });
  WriteOptions options;
  options.chunk_rows = command.chunk_rows;
  options.split_salt = command.content.salt;
  options.origin = source->origin();
  if (source->schema().notes) {
    options.vocabulary = source->tokenizer().vocabulary();
    options.tokenizer_digest = source->tokenizer().digest();
    options.tokenizer = source->tokenizer().options();
  }
  const Catalogue catalogue = write_shards(session.world, *source, command.directory, options);
  const double elapsed_s = watch.elapsed_s();
  if (session.world.rank() != 0) return;
  const auto records = static_cast<double>(command.content.records);
  fmt::print("{}: {} records in {} parts ({} train, {} validation, {} test)\n", command.directory, catalogue.total_rows(), catalogue.parts.size(),
             catalogue.rows(Split::train), catalogue.rows(Split::validation), catalogue.rows(Split::test));
  fmt::print("content {}\n", catalogue.content_digest);
  fmt::print("{:.2f} s, {:.0f} records/s, {:.0f} a rank\n", elapsed_s, records / elapsed_s, records / elapsed_s / session.world.size());
}

}  // namespace

void add_shards_synth(CLI::App& shards, const Session& session) {
  CLI::App* command = shards.add_subcommand("synth", "Make a data set of synthetic records: notes, hourly series, static features, images, labels");
  command->footer(
      "The same options give the same records on any number of ranks and on any machine.\n"
      "Examples:\n"
      "  tributary shards synth --out runs/shards --records 6000\n"
      "  mpirun -n 4 tributary shards synth --out runs/shards --records 200000 --images 0.5 --notes 0.8");
  auto options = std::make_shared<SynthCommand>();
  SynthOptions& content = options->content;
  const auto rate = [command](const std::string& name, double& value, const std::string& what) {
    command->add_option(name, value, "chance that a record has " + what + "; 0: the data set has none")->capture_default_str();
  };
  command->add_option("--out", options->directory, "directory to make; must not exist or be empty")->required();
  command->add_option("--records", content.records, "number of records")->required();
  command->add_option("--seed", content.seed, "another seed gives other records")->capture_default_str();
  command->add_option("--parts", content.parts, "number of part files; 0: one a started 8192 records")->capture_default_str();
  rate("--notes", content.notes, "notes");
  rate("--series", content.series, "hourly series");
  rate("--images", content.images, "an image of 28 x 28");
  rate("--static", content.statics, "static features");
  command->add_option("--steps", content.steps, "hours of every series")->capture_default_str();
  command->add_option("--notes-per-record", content.notes_per_record, "notes of a record that has any")->capture_default_str();
  command->add_option("--note-words", content.note_words, "words of a note, on average")->capture_default_str();
  command->add_option("--chunk-rows", options->chunk_rows, "records a chunk of the files")->capture_default_str();
  command->add_option("--salt", content.salt, "another salt gives another split of the patients");
  command->callback([&session, options] { synthesize(session, *options); });
}

}  // namespace tributary
