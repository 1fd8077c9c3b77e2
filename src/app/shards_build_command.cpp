#include <memory>

#include "app/commands.h"
#include "app/tokenizer_path.h"
#include "base/clock.h"
#include "base/files.h"
#include "comm/agree.h"
#include "ingest/build_shards.h"

namespace tributary {
namespace {

struct ShardsBuildOptions {
  std::string recipe, source, out, like, salt, tokenizer;
  std::int64_t parts = 0;
};

Recipe read_recipe(const Session& session, const std::string& path) {
  const std::string own = agreed(session.world, [&] { return session.world.rank() == 0 ? read_file(path) : std::string(); });
  const std::string text = session.world.broadcast(own, 0);
  return agreed(session.world, [&] { return parse_recipe(text, path); });
}

void build(const Session& session, const ShardsBuildOptions& options) {
  const Stopwatch watch;
  const Recipe recipe = read_recipe(session, options.recipe);
  BuildOptions build_options;
  build_options.parts = options.parts;
  build_options.salt = options.salt;
  build_options.like = options.like;
  if (!options.tokenizer.empty()) build_options.tokenizer = read_tokenizer(session.world, options.tokenizer);
  const BuildResult result = build_shards(session.world, recipe, options.source, options.out, build_options);
  tell(result.report, session.log);
  for (const std::string& difference : result.differences) session.log.once("{}", difference);
  const Catalogue& catalogue = result.catalogue;
  if (session.world.rank() == 0)
    fmt::print("{}: {} records (train {}, validation {}, test {}) in {} parts, content {}, {:.1f} s\n", options.out, catalogue.total_rows(),
               catalogue.rows(Split::train), catalogue.rows(Split::validation), catalogue.rows(Split::test), catalogue.parts.size(), catalogue.content_digest,
               watch.elapsed_s());
}

}  // namespace

void add_shards_build(CLI::App& shards, const Session& session) {
  CLI::App* command = shards.add_subcommand("build", "Make a data set from source tables, as a recipe says");
  command->footer(
      "Recipes stand in shards/recipes. The result is the same for any number of ranks.\n"
      "Examples:\n"
      "  mpirun -n 2 tributary shards build shards/recipes/eicu-demo.toml --source /data/eicu-demo --out runs/eicu\n"
      "  tributary shards build shards/recipes/physionet2012.toml --source /data/physionet2012 --out runs/physionet --salt 2\n"
      "  tributary shards build RECIPE.toml --source /data/new --out runs/new --like runs/eicu   (to apply a model trained on runs/eicu)");
  auto options = std::make_shared<ShardsBuildOptions>();
  command->add_option("RECIPE", options->recipe, "recipe (TOML)")->required();
  command->add_option("--source", options->source, "folder with the source tables")->required();
  command->add_option("--out", options->out, "folder of the data set; must not exist or be empty")->required();
  command->add_option("--parts", options->parts, "number of part files; without it one for each 1024 records, at least 4")->check(CLI::Range(1, 1000000));
  CLI::Option* like =
      command->add_option("--like", options->like, "data set whose vocabulary, channel order, label maps and normalisation are taken instead of fitted");
  command->add_option("--tokenizer", options->tokenizer, std::string(tokenizer_path_help) + "; without it a vocabulary is made from the training notes")
      ->excludes(like);
  command->add_option("--salt", options->salt, "salt of the split in place of the recipe's");
  command->callback([&session, options] { build(session, *options); });
}

}  // namespace tributary
