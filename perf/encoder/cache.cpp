// An epoch's embeddings of a frozen encoder: the encoder's forward against reading them from the files of the note cache. One thread, 512 tokens a note,
// 6 layers of width 768. Usage: perf_encoder_cache FOLDER [notes]; FOLDER must be empty and is left empty.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/clock.h"
#include "model/families/encoder.h"
#include "pipeline/engine.h"
#include "train/note_segment.h"

namespace {

using namespace tributary;

constexpr std::int64_t tokens = 512, notes_in_segment = 8, vocabulary = 1000;

TextConfig encoder_of_the_measurement() {
  TextConfig text;
  text.layers = 6;
  text.width = 768;
  text.heads = 12;
  text.intermediate = 3072;
  return text;
}

Batch notes_of(std::int64_t segment) {
  Batch batch;
  batch.notes.window_ids = (at::arange(notes_in_segment * tokens, at::kLong) * 7 + segment).remainder(vocabulary).view({notes_in_segment, tokens});
  batch.notes.window_lengths = at::full({notes_in_segment}, tokens, at::kLong);
  return batch;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  at::set_num_threads(1);
  const std::filesystem::path folder = argv[1];
  const std::int64_t segments = (argc > 2 ? std::atoll(argv[2]) : 64) / notes_in_segment;
  const TextConfig text = encoder_of_the_measurement();
  BlockList list;
  list.outputs = {add_encoder(list, text, vocabulary)};
  const ModelLayout layout = lay_out(list, {0});
  const at::Tensor parameters = make_arena(layout.whole, at::kFloat);
  initialise(layout.whole, parameters, 1);
  const Engine engine(list, layout);
  const auto file = [&](std::int64_t s) { return folder / ("segment-" + std::to_string(s)); };

  std::vector<double> computed, read;
  for (std::int64_t s = 0; s < segments; ++s) {
    const Batch batch = notes_of(s);
    const Stopwatch watch;
    const at::Tensor hidden = engine.evaluate(parameters, {LeafContext{}, &batch}).outputs.at(0).contiguous();
    computed.push_back(watch.elapsed_s());
    NoteSegment segment{text.width, s * notes_in_segment, {0}, {}};
    for (std::int64_t n = 1; n <= notes_in_segment; ++n) segment.offsets.push_back(n * tokens);
    segment.values.assign(hidden.const_data_ptr<float>(), hidden.const_data_ptr<float>() + hidden.numel());
    write_segment(file(s), segment);
  }
  for (int round = 0; round < 3; ++round)
    for (std::int64_t s = 0; s < segments; ++s) {
      const Stopwatch watch;
      const MappedSegment segment(file(s));
      const at::Tensor hidden = at::empty({notes_in_segment * tokens, text.width}, at::kFloat);
      for (std::int64_t n = 0; n < notes_in_segment; ++n)
        std::memcpy(hidden.data_ptr<float>() + n * tokens * text.width, segment.values(n), static_cast<std::size_t>(tokens * text.width) * sizeof(float));
      read.push_back(watch.elapsed_s());
    }
  for (std::int64_t s = 0; s < segments; ++s) std::filesystem::remove(file(s));
  const double forward_s = median(computed) / notes_in_segment, read_s = median(read) / notes_in_segment;
  std::printf("a note of 512 tokens: forward %.1f ms, read %.3f ms: %.0f times\n", forward_s * 1e3, read_s * 1e3, forward_s / read_s);
  return 0;
}
