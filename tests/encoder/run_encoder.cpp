// Runs the encoder's blocks through the engine on given weights and token windows: outputs and gradients for a comparison with other programs.
// Usage: run_encoder FOLDER INPUTS OUTPUTS float|double. INPUTS (safetensors): ids [W, L] and lengths [W] int64, upstream [tokens, d] float64, the gradient
// of the packed last hidden state. OUTPUTS: `hidden` [tokens, d] and the gradient of every parameter, float64, under the stock names.
#include <ATen/ATen.h>

#include <cstdio>
#include <map>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/serving/encoder_folder.h"
#include "model/families/encoder.h"
#include "support/encoder_text.h"
#include "support/golden.h"
#include "support/one_leaf.h"

namespace tributary {
namespace {

void run(const std::string& folder, const std::string& inputs, const std::string& outputs, at::ScalarType type) {
  const EncoderArchitecture architecture = encoder_architecture(read_file(folder + "/config.json"), folder);
  const TextConfig text = testing_support::text_of(architecture);
  const auto given = testing_support::read_tensors(inputs);
  BlockList list;
  const std::string hidden = add_encoder(list, text, architecture.vocabulary);
  const at::Tensor upstream = given.at("upstream").to(type);
  list.blocks.push_back(
      {"loss", {}, {hidden}, {loss_name}, {}, [&](const BlockInput& in) -> std::vector<at::Tensor> { return {(in.taken[0] * upstream).sum()}; }});
  list.outputs = {hidden};
  const ModelLayout cut = lay_out(list, {0});
  const ParameterLayout& layout = cut.whole;
  const at::Tensor weights = make_arena(layout, at::kFloat);
  static_cast<void>(read_encoder(folder, layout, weights));
  const at::Tensor parameters = weights.to(type);
  Batch batch;
  batch.notes.window_ids = given.at("ids");
  batch.notes.window_lengths = given.at("lengths");
  const testing_support::LeafResult result = testing_support::run_leaf(list, cut, parameters, {LeafContext{}, &batch});
  std::map<std::string, at::Tensor> found{{"hidden", result.outputs.at(0)}};
  for (std::size_t e = 0; e < layout.entries.size(); ++e) found[layout.entries[e].spec.name.substr(8)] = view_of(layout, result.gradient, e);
  testing_support::write_doubles(outputs, found);
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  try {
    tributary::run(argv[1], argv[2], argv[3], std::string(argv[4]) == "double" ? at::kDouble : at::kFloat);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "run_encoder: %s\n", error.what());
    return 1;
  }
}
