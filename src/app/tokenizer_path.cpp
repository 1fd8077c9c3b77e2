#include "app/tokenizer_path.h"

#include "base/error.h"
#include "comm/agree.h"

namespace tributary {
TokenizerSpec read_tokenizer(const Communicator& comm, const std::string& path) {
  TokenizerFiles files = agreed(comm, [&] { return comm.rank() == 0 ? tokenizer_files(path) : TokenizerFiles{}; });
  for (std::string* text : {&files.vocabulary, &files.tokenizer, &files.config, &files.where}) *text = comm.broadcast(*text, 0);
  return agreed(comm, [&] { return parse_tokenizer(files); });
}

std::unique_ptr<Tokenizer> make_tokenizer(const Communicator& comm, const std::string& path) {
  TokenizerSpec spec = read_tokenizer(comm, path);
  return agreed(comm, [&] {
    try {
      return make_tokenizer(std::move(spec.vocabulary), spec.options);
    } catch (const Error& error) {
      throw Error(error.kind(), error.what(), path);
    }
  });
}

}  // namespace tributary
