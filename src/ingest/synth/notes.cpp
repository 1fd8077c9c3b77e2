#include "ingest/synth/notes.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "ingest/synth/grammar_tables.h"

namespace tributary::synth {
namespace {

constexpr double slot_noise = 0.6;  // of a mention against the factor it shows, which has variance 1
constexpr std::uint64_t sentences_a_paragraph = 3;

}  // namespace

std::vector<std::string> grammar_vocabulary() {
  std::map<std::string, std::int64_t> counts;
  const auto count = [&counts](std::string_view text) {
    for (const std::string& word : split_words(text))
      if (word.front() < '0' || word.front() > '9') ++counts[word];
  };
  for (const SlotTable& slot : slot_tables)
    for (const Words level : slot.levels) std::for_each(level.begin(), level.end(), count);
  for (const Words paragraph : paragraphs) {
    for (std::string_view sentence : paragraph) {
      for (std::size_t open = sentence.find('{'); open != std::string_view::npos; open = sentence.find('{')) {
        count(sentence.substr(0, open));
        sentence.remove_prefix(sentence.find('}') + 1);
      }
      count(sentence);
    }
  }
  return vocabulary_from_counts(counts, 4096);
}

NoteWriter::NoteWriter(const Tokenizer& tokenizer) {
  for (const SlotTable& table : slot_tables) {
    Slot slot{table.factor, {}};
    for (const Words level : table.levels) {
      slot.levels.emplace_back();
      for (const std::string_view text : level) slot.levels.back().push_back(fragment(tokenizer, text));
    }
    slots_.push_back(std::move(slot));
  }
  for (const Words paragraph : paragraphs) {
    paragraphs_.emplace_back();
    for (const std::string_view pattern : paragraph) paragraphs_.back().push_back(parse(tokenizer, pattern));
  }
}

NoteWriter::Fragment NoteWriter::fragment(const Tokenizer& tokenizer, std::string_view text) {
  return {std::string(text), tokenizer.encode(text).ids, std::count(text.begin(), text.end(), ' ')};
}

// Slots stand between spaces or punctuation, so that no word reaches over a border and the ids of the pieces are those of the whole.
NoteWriter::Sentence NoteWriter::parse(const Tokenizer& tokenizer, std::string_view pattern) {
  Sentence sentence;
  while (!pattern.empty()) {
    const std::size_t open = std::min(pattern.find('{'), pattern.size());
    if (open > 0) sentence.push_back({fragment(tokenizer, pattern.substr(0, open)), -1});
    pattern.remove_prefix(open);
    if (pattern.empty()) break;
    const std::size_t close = pattern.find('}');
    const std::string_view name = pattern.substr(1, close - 1);
    const auto table = std::find_if(slot_tables.begin(), slot_tables.end(), [name](const SlotTable& slot) { return slot.name == name; });
    check(table != slot_tables.end(), "grammar: no slot '{}'", name);
    sentence.push_back({{}, table - slot_tables.begin()});
    pattern.remove_prefix(close + 1);
  }
  return sentence;
}

const NoteWriter::Fragment& NoteWriter::fill(const Slot& slot, Draws& draws, const Factors& factors) const {
  const auto levels = static_cast<double>(slot.levels.size());
  std::size_t level = 0;
  if (slot.factor >= 0) {
    const double seen = factors[static_cast<std::size_t>(slot.factor)] + slot_noise * draws.normal();
    level = static_cast<std::size_t>(clamp(levels * (0.5 + 0.25 * seen), 0, levels - 1));
  }
  const auto& choices = slot.levels[level];
  return choices[draws.below(choices.size())];
}

std::int64_t NoteWriter::append_sentence(const Sentence& sentence, std::uint8_t marks, Draws& draws, const Factors& factors, NoteColumns& notes) const {
  const std::size_t first = notes.token_ids.size();
  std::int64_t words = 1;
  for (const Piece& piece : sentence) {
    const Fragment& part = piece.slot < 0 ? piece.fixed : fill(slots_[static_cast<std::size_t>(piece.slot)], draws, factors);
    notes.text += part.text;
    notes.token_ids.insert(notes.token_ids.end(), part.ids.begin(), part.ids.end());
    words += part.spaces;
  }
  notes.token_marks.resize(notes.token_ids.size(), 0);
  notes.token_marks[first] = marks;
  return words;
}

void NoteWriter::append_note(Draws& draws, const Factors& factors, std::int64_t words, NoteColumns& notes) const {
  // Between 0.6 and 1.4 times as long as asked for; sentences have about eight words, so the last one overshoots by some of that.
  const double wanted = static_cast<double>(words) * (0.6 + 0.8 * draws.uniform()) - 2.0;
  std::int64_t written = 0;
  for (std::size_t paragraph = draws.below(paragraphs_.size()); written == 0 || static_cast<double>(written) < wanted; ++paragraph) {
    const auto& sentences = paragraphs_[paragraph % paragraphs_.size()];
    const std::uint64_t start = draws.below(sentences.size()), stride = 1 + 2 * draws.below(2);  // odd, and the lists have even sizes: no sentence twice
    for (std::uint64_t s = 0; s < sentences_a_paragraph && (written == 0 || static_cast<double>(written) < wanted); ++s) {
      if (written > 0) notes.text += s == 0 ? "\n\n" : " ";
      const std::uint8_t marks = s == 0 ? starts_sentence | starts_paragraph : starts_sentence;
      written += append_sentence(sentences[(start + s * stride) % sentences.size()], marks, draws, factors, notes);
    }
  }
}

}  // namespace tributary::synth
