#include "train/pretrained.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/directory.h"
#include "comm/agree.h"
#include "ingest/tokenizer_file.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;

// The checkpoint that a run would go on from, if there is one.
std::optional<fs::path> checkpoint_of(const RunSettings& settings, const std::string& resume) {
  if (resume == "never") return std::nullopt;
  if (resume != "auto") return resolve_checkpoint(resume);
  if (!fs::is_directory(settings.run.dir)) return std::nullopt;
  const RunListing listing = list_run(settings.run.dir);
  return listing.checkpoints.empty() ? std::nullopt : std::optional(listing.checkpoints.front().path);
}

struct Found {
  std::string where, config_json;
};

Found find_config(const RunSettings& settings, const std::string& resume) {
  const fs::path file = fs::path(settings.model.text.pretrained) / "config.json";
  if (fs::exists(file)) return {file.string(), read_file(file)};
  const std::optional<fs::path> checkpoint = checkpoint_of(settings, resume);
  if (!checkpoint)
    fail(ErrorKind::missing, "text.pretrained: {} does not exist; expected a folder with config.json, model.safetensors and a vocabulary", file.string());
  const fs::path saved = *checkpoint / config_file;
  const TextConfig text = parse_run_settings(read_file(saved), saved.string(), {}).settings.model.text;
  return {saved.string(), encoder_config_json(text, static_cast<std::int64_t>(load_catalogue(*checkpoint).vocabulary.size()), 0)};
}

// Equal vocabularies alone do not make equal tokens: one tokenizer may lower-case what the other leaves.
void require_tokenizer(const std::string& folder, const Catalogue& catalogue, const std::string& shards) {
  if (!fs::exists(fs::path(folder) / "vocab.txt") && !fs::exists(fs::path(folder) / "tokenizer.json")) return;
  const std::string expected = to_json(parse_tokenizer(tokenizer_files(folder)).options), found = to_json(catalogue.tokenizer);
  if (expected == found) return;
  fail(ErrorKind::data,
       "text.pretrained: the encoder of {} was made for texts tokenized with\n  {}\nthe texts of {} were tokenized with\n  {}\n"
       "replace the tokens of the data set: tributary shards retokenize {} --tokenizer {}",
       folder, expected, shards, found, shards, folder);
}

// What a folder may hold: the encoder, and the decoder of masked tokens.
ParameterLayout layout_of_folder(const ParameterLayout& whole) {
  std::vector<ParameterSpec> specs;
  for (const ParameterEntry& entry : whole.entries)
    if (entry.spec.name.starts_with("encoder.") || entry.spec.name.starts_with("cls.predictions.")) specs.push_back(entry.spec);
  return make_layout(std::move(specs));
}

// Tensor by tensor, so that no rank but the first needs more memory than its stages and the largest tensor. arena: of `layout`, on rank 0.
void hand_out(const Communicator& comm, const ParameterLayout& layout, const at::Tensor& arena, const HeldStages& held) {
  for (std::size_t e = 0; e < layout.entries.size(); ++e) {
    const ParameterSpec& spec = layout.entries[e].spec;
    const at::Tensor values = comm.rank() == 0 ? view_of(layout, arena, e) : at::empty(spec.shape, at::kFloat);
    comm.broadcast(std::as_writable_bytes(std::span(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()))), 0);
    for (std::size_t i = 0; i < held.own.size(); ++i) {
      const ParameterLayout& stage = held.layout.stages[static_cast<std::size_t>(held.own[i])].parameters;
      for (std::size_t p = 0; p < stage.entries.size(); ++p)
        if (stage.entries[p].spec.name == spec.name) view_of(stage, held.arenas[i], p).copy_(values);
    }
  }
}

}  // namespace

std::optional<EncoderArchitecture> pretrained_architecture(const Communicator& comm, const RunSettings& settings, const std::string& resume) {
  if (settings.model.text.pretrained.empty()) return std::nullopt;
  const Found own = agreed(comm, [&] { return comm.rank() == 0 ? find_config(settings, resume) : Found(); });
  const std::string where = comm.broadcast(own.where, 0), text = comm.broadcast(own.config_json, 0);
  return agreed(comm, [&] { return encoder_architecture(text, where); });
}

void apply_architecture(const Configuration& configuration, const EncoderArchitecture& found, TextConfig& text) {
  std::string faults;
  const auto take = [&](const char* key, auto& value, auto told) {
    const std::string& origin = configuration.origin(std::string("text.") + key);
    if (origin != "default" && value != told)
      faults += fmt::format("{}text.{} = {} ({}) contradicts {}, whose config.json says {}; leave the key out", faults.empty() ? "" : "\n", key, value, origin,
                            text.pretrained, told);
    value = told;
  };
  take("layers", text.layers, found.layers);
  take("width", text.width, found.width);
  take("heads", text.heads, found.heads);
  take("intermediate", text.intermediate, found.intermediate);
  take("positions", text.positions, found.positions);
  take("type_vocabulary", text.type_vocabulary, found.type_vocabulary);
  take("layer_norm_epsilon", text.layer_norm_epsilon, found.layer_norm_epsilon);
  if (!faults.empty()) throw Error(ErrorKind::configuration, faults);
}

std::string load_pretrained(const Communicator& comm, const Log& log, const RunSettings& settings, const Catalogue& catalogue, const HeldStages& held) {
  const TextConfig& text = settings.model.text;
  const ParameterLayout layout = layout_of_folder(held.layout.whole);
  at::Tensor read;  // on rank 0
  const std::string digest = agreed(comm, [&]() -> std::string {
    if (comm.rank() != 0) return {};
    require_vocabulary(text.pretrained, catalogue.vocabulary, settings.data.shards);
    require_tokenizer(text.pretrained, catalogue, settings.data.shards);
    read = make_arena(layout, at::kFloat);
    initialise(layout, read, static_cast<std::uint64_t>(settings.train.seed));  // of the decoder, which may not be there
    std::vector<std::string> left_out = read_encoder(text.pretrained, layout, read);
    if (settings.model.model.family == "text_mlm") {
      const std::vector<std::string> decoder = read_masked_decoder(text.pretrained, layout, read);
      if (decoder.empty()) log.info("{}: no decoder of masked tokens (cls.predictions); it begins with random weights", text.pretrained);
      std::erase_if(left_out, [&](const std::string& name) { return std::find(decoder.begin(), decoder.end(), name) != decoder.end(); });
    }
    if (!left_out.empty())
      log.info("{}: {} tensors are no part of the encoder and are left out: {}", text.pretrained, left_out.size(), fmt::join(left_out, ", "));
    return encoder_digest(text, layout, read);
  });
  hand_out(comm, layout, read, held);
  log.once("encoder {} from {}", comm.rank() == 0 ? digest.substr(0, 16) : "", text.pretrained);
  return comm.broadcast(digest, 0);
}

}  // namespace tributary
