#include <fmt/core.h>

#include <memory>

#include "app/commands.h"
#include "app/tokenizer_path.h"
#include "base/clock.h"
#include "ingest/tokenizer.h"
#include "shards/token_rewrite.h"

namespace tributary {
namespace {

struct RetokenizeCommand {
  std::string directory;
  std::string tokenizer;
};

void retokenize(const Session& session, const RetokenizeCommand& command) {
  const Stopwatch watch;
  const auto tokenizer = make_tokenizer(session.world, command.tokenizer);
  const auto tokenize = [&tokenizer](std::string_view text) {
    Encoding encoding = tokenizer->encode(text);
    return TokenizedText{std::move(encoding.ids), std::move(encoding.marks), std::move(encoding.begin), std::move(encoding.end)};
  };
  const Catalogue catalogue = rewrite_tokens(session.world, command.directory, tokenize, tokenizer->vocabulary(), tokenizer->digest(), tokenizer->options());
  if (session.world.rank() != 0) return;
  fmt::print("{}: tokens of {} with {} tokens in the vocabulary\n", command.directory, catalogue.tokenizer_digest, catalogue.vocabulary.size());
  fmt::print("content {}\n{:.2f} s\n", catalogue.content_digest, watch.elapsed_s());
}

}  // namespace

void add_shards_retokenize(CLI::App& shards, const Session& session) {
  CLI::App* command = shards.add_subcommand("retokenize", "Replace the tokens of a data set by those of another tokenizer");
  command->footer("Example:\n  tributary shards retokenize runs/shards --tokenizer bert-base-uncased");
  auto options = std::make_shared<RetokenizeCommand>();
  command->add_option("DIR", options->directory, "data set")->required();
  command->add_option("--tokenizer", options->tokenizer, tokenizer_path_help)->required();
  command->callback([&session, options] { retokenize(session, *options); });
}

}  // namespace tributary
