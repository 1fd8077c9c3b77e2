// From argv to one command: the tree of subcommands, its help, and what to say when a word is not known.
#pragma once

#include "app/commands.h"

namespace tributary {

// Adds every command that this build has to `root`.
void add_commands(CLI::App& root, const Session& session);

// `tributary shards`, made when first asked for.
[[nodiscard]] CLI::App& shards_group(CLI::App& root);

// Runs the command that argv names; returns the exit code. Help and usage errors are printed by rank 0.
// Throws: whatever the command throws.
[[nodiscard]] int run_command_line(int argc, const char* const* argv, const Session& session);

}  // namespace tributary
