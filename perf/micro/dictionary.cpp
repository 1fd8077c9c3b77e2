// Megabytes of text a second in which a dictionary of many terms is found, on one thread: perf_dictionary TEXT_FILE [terms]. The terms are the text's own
// sequences of one to four words, as many as it has, and made-up words: half of the terms share their first word with the text.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/key.h"
#include "ingest/dictionary.h"
#include "ingest/text_lines.h"

namespace {

using namespace tributary;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) word += c;
    if (!letter && word.size() > 3) words.push_back(word);
    if (!letter) word.clear();
  }
  return words;
}

std::string made_up(const Key& key, std::uint64_t& at) {
  std::string word;
  for (int n = 4 + static_cast<int>(uniform(key, at++) * 8); n > 0; --n) word += static_cast<char>('a' + static_cast<int>(uniform(key, at++) * 26));
  return word;
}

std::string make_terms(const std::vector<std::string>& words, std::size_t count) {
  const Key key{1, 2};
  std::uint64_t at = 0;
  std::set<std::string> terms;
  while (terms.size() < count) {
    const auto place = static_cast<std::size_t>(uniform(key, at++) * static_cast<double>(words.size() - 4));
    const int size = 1 + static_cast<int>(uniform(key, at++) * 4);
    std::string term = terms.size() % 2 == 0 ? words[place] : made_up(key, at);
    for (int k = 1; k < size; ++k) term += ' ' + (terms.size() % 4 == 0 ? words[place + static_cast<std::size_t>(k)] : made_up(key, at));
    terms.insert(term + ' ' + made_up(key, at).substr(0, terms.size() % 4 == 0 ? 0 : 3));
  }
  std::string tsv;
  for (const std::string& term : terms) tsv += term + "\tC1\tany\n";
  return tsv;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print("usage: perf_dictionary TEXT_FILE [terms]\n");
    return 64;
  }
  std::string text = read_text(argv[1]);
  const std::size_t terms = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000000;
  const std::vector<std::string> words = words_of(text);
  if (words.size() < 100) {
    fmt::print("{}: too few words\n", argv[1]);
    return 65;
  }
  const Stopwatch build;
  const Dictionary dictionary(make_terms(words, terms), {"any"}, "made up");
  fmt::print("{} terms made and read in {:.1f} s; text of {:.1f} MB\n", dictionary.terms(), build.elapsed_s(), static_cast<double>(text.size()) / 1e6);
  std::vector<double> speeds;
  std::size_t matches = 0;
  for (int run = 0; run < 7; ++run) {
    const Stopwatch watch;
    matches = 0;
    for (std::size_t begin = 0; begin < text.size(); begin += 4096) matches += dictionary.find(std::string_view(text).substr(begin, 4096)).size();
    speeds.push_back(static_cast<double>(text.size()) / 1e6 / watch.elapsed_s());
  }
  std::sort(speeds.begin(), speeds.end());
  fmt::print("{} matches; MB/s: median {:.1f}, least {:.1f}, most {:.1f}\n", matches, speeds[3], speeds.front(), speeds.back());
  return 0;
}
