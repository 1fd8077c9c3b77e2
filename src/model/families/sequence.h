// The sequence that the recurrent layers, the convolutions and the attention run over, and what stands at its positions. Specification, paragraph 5.
// In timeline mode it is the hours of a record; in tokens mode the tokens of its notes, one note after the other.
#pragma once

#include <string>

#include "model/block.h"

namespace tributary {

enum class SequenceMode { timeline, tokens };

// What of the data set the sequence is made of.
struct SequenceLayout {
  SequenceMode mode = SequenceMode::timeline;
  std::int64_t steps = 0;              // hours T where no sensor group says otherwise
  std::vector<std::int64_t> channels;  // C of each sensor group; tokens mode: none
  std::int64_t statics = 0;            // tokens mode: 0
  bool notes = false;
};

// A tensor [B, T, width] that travels between blocks.
struct SequenceTensor {
  std::string name;  // empty: there is none
  std::int64_t width = 0;
};

[[nodiscard]] SequenceLayout sequence_layout(SequenceMode mode, const Schema& schema);

// What a block reads that asks for the positions.
[[nodiscard]] std::vector<BatchField> fields_of_positions(const SequenceLayout& layout);

// T of the leaf's tensors; at least 1 in tokens mode. `host`: the leaf in host memory.
[[nodiscard]] std::int64_t positions(const Batch& host, const SequenceLayout& layout);

// Lets the block give one tensor [B, T, width], or [B, T] with a width of 0.
void give_positions(BlockSpec& spec, const std::string& name, const SequenceLayout& layout, std::int64_t width);

// Lets the block give one tensor [B, width].
void give_records(BlockSpec& spec, const std::string& name, std::int64_t width);

// [B, T] bool: the record's own positions, a prefix. Timeline: none for a record without any modality of the timeline.
[[nodiscard]] at::Tensor valid_positions(const BlockInput& in, const SequenceLayout& layout);

// [B] int64 in host memory: how many these are.
[[nodiscard]] at::Tensor valid_lengths(const Batch& host, const SequenceLayout& layout);

// [B, T] bool: valid hours of the records that have notes.
[[nodiscard]] at::Tensor note_hours(const BlockInput& in, const SequenceLayout& layout);

// z^g = [x ; m ; delta] of one group: [B, T, 3 C]; an absent series is one never measured (0, 0, 1); 0 where `valid` is false.
[[nodiscard]] at::Tensor sensor_input(const Batch& batch, std::size_t group, const at::Tensor& valid);

// [static values ; observed bits] at every hour: [B, T, 2 S]; 0 where absent or not valid.
[[nodiscard]] at::Tensor static_input(const Batch& batch, const at::Tensor& valid);

}  // namespace tributary
