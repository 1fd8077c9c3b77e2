#include "app/tokenizer_path.h"

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "comm/agree.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;

std::string read_if_there(const fs::path& path) {
  std::error_code code;
  return fs::exists(path, code) ? read_file(path) : std::string();
}

TokenizerFiles read_files(const fs::path& path) {
  TokenizerFiles files;
  std::error_code code;
  const bool folder = fs::is_directory(path, code);
  files.where = path.string();
  files.config = read_if_there((folder ? path : path.parent_path()) / "tokenizer_config.json");
  if (!folder) {
    (path.extension() == ".json" ? files.tokenizer : files.vocabulary) = read_file(path);
    return files;
  }
  files.tokenizer = read_if_there(path / "tokenizer.json");
  files.vocabulary = read_if_there(path / "vocab.txt");
  if (files.tokenizer.empty() && files.vocabulary.empty())
    fail(ErrorKind::missing, "{}: neither tokenizer.json nor vocab.txt in this folder; name a tokenizer's file or its folder", path.string());
  return files;
}

}  // namespace

TokenizerSpec read_tokenizer(const Communicator& comm, const std::string& path) {
  TokenizerFiles files = agreed(comm, [&] { return comm.rank() == 0 ? read_files(path) : TokenizerFiles{}; });
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
