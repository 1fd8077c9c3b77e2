// What family text_mlm says of places in token windows, on the weights of a folder, for a comparison with other programs.
// Usage: run_masked FOLDER INPUTS OUTPUTS. INPUTS (safetensors, int64): ids [W, L], lengths [W], positions [M] flat places, tokens [M]. OUTPUTS: `told`
// [M, 2], minus the logarithm of each token's probability, and whether it is the most probable one.
#include <ATen/ATen.h>

#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/serving/encoder_folder.h"
#include "model/families/text_mlm.h"
#include "pipeline/engine.h"
#include "support/golden.h"

namespace tributary {
namespace {

void run(const std::string& folder, const std::string& inputs, const std::string& outputs) {
  const EncoderArchitecture found = encoder_architecture(read_file(folder + "/config.json"), folder);
  ModelSettings settings;
  settings.model.family = "text_mlm";
  settings.text.layers = found.layers;
  settings.text.width = found.width;
  settings.text.heads = found.heads;
  settings.text.intermediate = found.intermediate;
  settings.text.positions = found.positions;
  settings.text.type_vocabulary = found.type_vocabulary;
  settings.text.layer_norm_epsilon = found.layer_norm_epsilon;
  Schema schema;
  schema.notes = true;
  const BlockList list = text_mlm(settings, schema, found.vocabulary);
  const ModelLayout cut = lay_out(list, {0});
  const ParameterLayout& layout = cut.whole;
  const at::Tensor weights = make_arena(layout, at::kFloat);
  static_cast<void>(read_encoder(folder, layout, weights));
  check(!read_masked_decoder(folder, layout, weights).empty(), "{}: no decoder", folder);
  const auto given = testing_support::read_tensors(inputs);
  Batch batch;
  batch.notes.window_ids = given.at("ids");
  batch.notes.window_lengths = given.at("lengths");
  batch.notes.masked_position = given.at("positions");
  batch.notes.masked_token = given.at("tokens");
  batch.labels = {{batch.notes.masked_token.to(at::kFloat).unsqueeze(1), at::ones({batch.notes.masked_token.size(0)}, at::kBool)}};
  const LeafOutput output = Engine(list, cut).evaluate(weights, {LeafContext{}, &batch});
  testing_support::write_doubles(outputs, {{"told", output.outputs.at(1)}});
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  try {
    tributary::run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "run_masked: %s\n", error.what());
    return 1;
  }
}
