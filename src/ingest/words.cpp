#include "ingest/words.h"

#include <array>
#include <limits>

#include "base/error.h"
#include "shards/record_block.h"

namespace tributary {
namespace {

enum class Kind : std::uint8_t { word, space, punctuation, control };

constexpr std::array<Kind, 256> kinds() {
  std::array<Kind, 256> table{};
  for (std::size_t c = 0; c < 128; ++c) {
    const bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
      table[c] = Kind::space;
    else if (c < 32 || c == 127)
      table[c] = Kind::control;
    else
      table[c] = letter_or_digit ? Kind::word : Kind::punctuation;
  }
  return table;
}
constexpr std::array<Kind, 256> kind_table = kinds();

Kind kind_of(char c) { return kind_table[static_cast<unsigned char>(c)]; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

WordScanner::WordScanner(std::string_view source) : source_(source), pending_marks_(starts_sentence | starts_paragraph) {
  if (source.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    fail(ErrorKind::data, "a text of {} bytes cannot be tokenized; 2147483647 at most: cut the note", source.size());
}

void WordScanner::skip_spaces() {
  int newlines = 0;
  bool spaces = false;
  for (; position_ < source_.size(); ++position_) {
    const Kind kind = kind_of(source_[position_]);
    if (kind == Kind::space) {
      spaces = true;
      newlines += source_[position_] == '\n';
    } else if (kind != Kind::control) {
      break;
    }
  }
  if ((spaces && after_stop_) || newlines > 0) pending_marks_ |= starts_sentence;
  if (newlines > 1) pending_marks_ |= starts_paragraph;
}

bool WordScanner::next(Word& word) {
  skip_spaces();
  if (position_ == source_.size()) return false;
  text_.clear();
  at_.clear();
  after_stop_ = false;
  for (; position_ < source_.size(); ++position_) {
    const char c = source_[position_];
    const Kind kind = kind_of(c);
    if (kind == Kind::control) continue;
    const bool alone = kind == Kind::punctuation;
    if (kind == Kind::space || (alone && !text_.empty())) break;
    text_.push_back(lower(c));
    at_.push_back(static_cast<std::int32_t>(position_));
    if (alone) {
      after_stop_ = c == '.' || c == '!' || c == '?';
      ++position_;
      break;
    }
  }
  word = {text_, at_.data(), pending_marks_};
  pending_marks_ = 0;
  return true;
}

}  // namespace tributary
