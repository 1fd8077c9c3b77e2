// The program's subcommands. Each function adds one command (options, help with examples, callback) to its parent; callbacks run on every rank and throw Error.
#pragma once

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "comm/communicator.h"

namespace tributary {

struct Session {
  const Communicator& world;
  Log log;
  Stopwatch started{};  // with the program
};

// Thrown by a command, on all ranks together, to leave with a code that is no error: 75 (saved; requeue me), 1 (`checkpoint diff` found differences).
struct ExitCode {
  int code;
};

// tributary shards ...
void add_shards_synth(CLI::App& shards, const Session& session);
void add_shards_build(CLI::App& shards, const Session& session);
void add_shards_inspect(CLI::App& shards, const Session& session);
void add_shards_verify(CLI::App& shards, const Session& session);
void add_shards_retokenize(CLI::App& shards, const Session& session);
void add_shards_vocab(CLI::App& shards, const Session& session);  // train
// tributary ...
void add_train(CLI::App& root, const Session& session);
void add_plan(CLI::App& root, const Session& session);
void add_evaluate(CLI::App& root, const Session& session);
void add_export(CLI::App& root, const Session& session);
void add_checkpoint(CLI::App& root, const Session& session);  // ls, verify, diff
void add_config(CLI::App& root, const Session& session);      // check, show, schema
void add_version(CLI::App& root, const Session& session);

}  // namespace tributary
