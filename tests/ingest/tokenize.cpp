// Reads texts separated by NUL from stdin and prints one line a text: its token ids. The vocabulary is the file named first.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "ingest/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  std::istringstream lines(tributary::read_file(argv[1]));
  std::vector<std::string> vocabulary;
  for (std::string line; std::getline(lines, line);) vocabulary.push_back(line);
  const auto tokenizer = tributary::make_ascii_wordpiece(vocabulary);
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  for (std::size_t from = 0; from < input.size();) {
    const std::size_t to = input.find('\0', from);
    for (const std::int32_t id : tokenizer->encode(std::string_view(input).substr(from, to - from)).ids) std::printf("%d ", id);
    std::printf("\n");
    from = to == std::string::npos ? input.size() : to + 1;
  }
  return 0;
}
