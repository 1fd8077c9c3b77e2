// perf_tokenizer VOCAB TEXTS: for each line on stdin one pass over all texts (TEXTS: each after its size in bytes, uint32); prints seconds and tokens.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "ingest/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const auto tokenizer = tributary::make_tokenizer(tributary::vocabulary_from_lines(tributary::read_file(argv[1])));
  const std::string input = tributary::read_file(argv[2]);
  std::vector<std::string_view> texts;
  for (std::size_t at = 0; at < input.size(); at += texts.back().size()) {
    std::uint32_t size = 0;
    std::memcpy(&size, input.data() + at, sizeof size);
    at += sizeof size;
    texts.push_back(std::string_view(input).substr(at, size));
  }
  for (std::string line; std::getline(std::cin, line);) {
    const tributary::Stopwatch watch;
    std::size_t tokens = 0;
    for (const std::string_view text : texts) tokens += tokenizer->encode(text).ids.size();  // a new encoding for each text, as the peer makes one
    std::printf("%.6f %zu\n", watch.elapsed_s(), tokens);
    std::fflush(stdout);
  }
  return 0;
}
