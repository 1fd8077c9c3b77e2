// Notes of a leaf cut into token windows for the encoder, with the place of every token, sentence, paragraph and document.
#pragma once

#include <cstdint>
#include <vector>

#include "batches/batch.h"
#include "ingest/tokenizer.h"

namespace tributary {

struct NoteSpan {
  const std::int32_t* ids = nullptr;    // [tokens], without [CLS] and [SEP]
  const std::uint8_t* marks = nullptr;  // [tokens], TokenMark bits
  std::int64_t tokens = 0;              // at least 1
  std::int64_t row = 0;                 // in the leaf
  std::int64_t hour = 0;
};

struct WindowShape {
  std::int64_t tokens = 512;  // with [CLS] and [SEP]
  std::int64_t stride = 384;  // at most tokens - 2, or tokens between windows would be lost
};

// Window k of a note holds its tokens [k stride, k stride + tokens - 2); the last window is the first that reaches the end. A token takes its position in
// the window in which the nearer edge of the window's text is furthest away; equally far: the earlier window. Windows are padded to the longest one of the
// leaf. Without notes every tensor is defined and empty.
[[nodiscard]] NoteTensors make_note_tensors(const std::vector<NoteSpan>& notes, const WindowShape& shape, const SpecialTokens& special);

}  // namespace tributary
