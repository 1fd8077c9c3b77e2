// Tokenizes texts from stdin, each after its size in bytes (uint32); writes for each the number of tokens, then ids, begins and ends (int32).
// The tokenizer is the file or folder named first, as in the commands. With a second argument it is written there as an export writes it, and nothing is read.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "app/tokenizer_path.h"
#include "base/files.h"
#include "comm/communicator.h"

namespace {

void write(const std::vector<std::int32_t>& numbers) { std::fwrite(numbers.data(), sizeof(std::int32_t), numbers.size(), stdout); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return 64;
  const tributary::MpiRuntime runtime(argc, argv);
  const auto tokenizer = tributary::make_tokenizer(tributary::Communicator::self(), argv[1]);
  if (argc == 3) {
    const tributary::TokenizerSpec spec{tokenizer->vocabulary(), tokenizer->options()};
    tributary::write_file(std::filesystem::path(argv[2]) / "tokenizer.json", tributary::tokenizer_json(spec));
    tributary::write_file(std::filesystem::path(argv[2]) / "tokenizer_config.json", tributary::tokenizer_config_json(spec));
    return 0;
  }
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  tributary::Encoding encoding;
  for (std::size_t at = 0; at + sizeof(std::uint32_t) <= input.size();) {
    std::uint32_t size = 0;
    std::memcpy(&size, input.data() + at, sizeof size);
    at += sizeof size;
    tokenizer->encode(std::string_view(input).substr(at, size), encoding);
    write({static_cast<std::int32_t>(encoding.ids.size())});
    for (const auto* column : {&encoding.ids, &encoding.begin, &encoding.end}) write(*column);
    at += size;
  }
  return 0;
}
