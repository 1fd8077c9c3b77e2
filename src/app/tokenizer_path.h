// A tokenizer named on the command line, read by rank 0 and known to all ranks.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.h"
#include "ingest/tokenizer.h"
#include "ingest/tokenizer_file.h"

namespace tributary {

inline constexpr const char* tokenizer_path_help = "tokenizer: vocab.txt, tokenizer.json, or a folder that holds one of them";

// Collective: all ranks of `comm`. A vocab.txt or tokenizer.json is read together with the tokenizer_config.json beside it, if there is one.
// Throws on all ranks together: Error{missing}, Error{data} naming the file and what it lacks.
[[nodiscard]] TokenizerSpec read_tokenizer(const Communicator& comm, const std::string& path);
[[nodiscard]] std::unique_ptr<Tokenizer> make_tokenizer(const Communicator& comm, const std::string& path);  // Throws: as above

}  // namespace tributary
