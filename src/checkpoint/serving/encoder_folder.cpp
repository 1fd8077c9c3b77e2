#include "checkpoint/serving/encoder_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "checkpoint/serving/safetensors.h"

namespace tributary {
namespace {

using Json = nlohmann::json;

constexpr const char* encoder_prefix = "encoder.";
constexpr const char* decoder_prefix = "cls.predictions.";

Json parse_json(std::string_view text, const std::string& where) {
  Json document = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object()) fail(ErrorKind::data, "{}: expected a JSON object", where);
  return document;
}

std::int64_t size_of(const Json& config, const char* key, std::int64_t otherwise, const std::string& where) {
  const auto found = config.find(key);
  if (found == config.end() && otherwise > 0) return otherwise;
  if (found == config.end() || !found->is_number_unsigned() || *found < 1 || *found > 1'000'000'000)
    fail(ErrorKind::data, "{}: '{}': expected a whole number of at least 1, found {}", where, key,
         found == config.end() ? std::string("nothing") : found->dump());
  return found->get<std::int64_t>();
}

// A key that may be absent, but if it stands must say `expected`.
void require_value(const Json& config, const char* key, const Json& expected, const char* computed, const std::string& where) {
  const auto found = config.find(key);
  if (found != config.end() && !found->is_null() && *found != expected)
    fail(ErrorKind::data, "{}: '{}' is {}; the encoder computes {} only", where, key, found->dump(), computed);
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string> words_of_tokenizer(const std::filesystem::path& file) {
  const Json document = parse_json(read_file(file), file.string());
  const auto model = document.find("model");
  if (model == document.end() || !model->is_object() || !model->contains("vocab") || !(*model)["vocab"].is_object())
    fail(ErrorKind::data, "{}: expected an object 'model.vocab' of tokens and their numbers", file.string());
  const Json& vocabulary = (*model)["vocab"];
  std::vector<std::string> words(vocabulary.size());
  for (const auto& [word, number] : vocabulary.items()) {
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() >= words.size() || !words[number.get<std::size_t>()].empty())
      fail(ErrorKind::data, "{}: 'model.vocab' does not number its tokens from 0 on without holes", file.string());
    words[number.get<std::size_t>()] = word;
  }
  return words;
}

// The folder's name of a parameter, or null: of the encoder with and without `bert.`, with today's and the old names of LayerNorm.
const StoredTensor* find_tensor(const SafetensorsFolder& weights, const std::string& parameter, std::string& name) {
  const bool encoder = parameter.starts_with(encoder_prefix);
  std::vector<std::string> names{encoder ? parameter.substr(std::string_view(encoder_prefix).size()) : parameter};
  if (parameter == "cls.predictions.bias") names.emplace_back("cls.predictions.decoder.bias");
  for (const auto& [now, once] : {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, std::pair{"LayerNorm.bias", "LayerNorm.beta"}})
    if (names[0].ends_with(now)) names.push_back(names[0].substr(0, names[0].size() - std::string_view(now).size()) + once);
  for (std::size_t i = 0, plain = names.size(); encoder && i < plain; ++i) names.push_back("bert." + names[i]);
  for (const std::string& candidate : names)
    if (const StoredTensor* found = weights.find(candidate)) {
      name = candidate;
      return found;
    }
  return nullptr;
}

// Fills parameter `entry` from the folder's tensor `name`.
void take_tensor(const std::filesystem::path& folder, const SafetensorsFolder& weights, const std::string& name, const ParameterLayout& layout,
                 const at::Tensor& arena, std::size_t entry) {
  const ParameterSpec& spec = layout.entries[entry].spec;
  const StoredTensor* found = weights.find(name);
  if (found->shape != spec.shape) {
    fail(ErrorKind::data, "{}: tensor '{}' has shape [{}], its config.json asks for [{}]", folder.string(), name, fmt::join(found->shape, ", "),
         fmt::join(spec.shape, ", "));
  }
  const std::span<float> values(view_of(layout, arena, entry).data_ptr<float>(), static_cast<std::size_t>(spec.count()));
  weights.read(name, values);
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
    fail(ErrorKind::data, "{}: tensor '{}' holds values that are not finite (NaN or infinite); take another copy of the weights", folder.string(), name);
}

// A stored decoder weight is allowed beside the word embeddings, which are the decoder, only as their copy.
void require_tied(const std::filesystem::path& folder, const SafetensorsFolder& weights, const ParameterLayout& layout, const at::Tensor& arena) {
  const char* const name = "cls.predictions.decoder.weight";
  const StoredTensor* stored = weights.find(name);
  if (stored == nullptr) return;
  const std::size_t entry = layout.find("encoder.embeddings.word_embeddings.weight");
  const ParameterSpec& spec = layout.entries[entry].spec;
  std::vector<float> values(static_cast<std::size_t>(stored->count()));
  weights.read(name, values);
  const float* embeddings = view_of(layout, arena, entry).data_ptr<float>();
  if (stored->shape != spec.shape || !std::equal(values.begin(), values.end(), embeddings))
    fail(ErrorKind::data, "{}: tensor '{}' is not the word embeddings; expected a decoder tied to them (tie_word_embeddings)", folder.string(), name);
}

// What the folder holds beside the encoder; a layer that the architecture does not know is no such thing.
std::vector<std::string> beside(const std::filesystem::path& folder, const SafetensorsFolder& weights, const std::set<std::string>& used) {
  std::vector<std::string> left_out;
  for (const std::string& name : weights.names()) {
    if (used.contains(name)) continue;
    const std::string plain = name.starts_with("bert.") ? name.substr(5) : name;
    if (plain.starts_with("encoder.") || (plain.starts_with("embeddings.") && plain != "embeddings.position_ids"))
      fail(ErrorKind::data, "{}: tensor '{}' has no place in an encoder of its config.json", folder.string(), name);
    left_out.push_back(name);
  }
  return left_out;
}

}  // namespace

EncoderArchitecture encoder_architecture(std::string_view config_json, const std::string& where) {
  const Json config = parse_json(config_json, where);
  require_value(config, "model_type", "bert", "BERT encoders (model_type \"bert\")", where);
  require_value(config, "hidden_act", "gelu", "\"gelu\" (with erf)", where);
  require_value(config, "position_embedding_type", "absolute", "\"absolute\" positions", where);
  require_value(config, "is_decoder", false, "encoders", where);
  require_value(config, "add_cross_attention", false, "encoders", where);
  require_value(config, "pruned_heads", Json::object(), "unpruned heads", where);
  EncoderArchitecture found;
  found.layers = size_of(config, "num_hidden_layers", 0, where);
  found.width = size_of(config, "hidden_size", 0, where);
  found.heads = size_of(config, "num_attention_heads", 0, where);
  found.intermediate = size_of(config, "intermediate_size", 0, where);
  found.positions = size_of(config, "max_position_embeddings", 0, where);
  found.vocabulary = size_of(config, "vocab_size", 0, where);
  found.type_vocabulary = size_of(config, "type_vocab_size", 2, where);
  const auto epsilon = config.find("layer_norm_eps");
  if (epsilon != config.end()) {
    if (!epsilon->is_number() || !(epsilon->get<double>() > 0) || epsilon->get<double>() > 1)
      fail(ErrorKind::data, "{}: 'layer_norm_eps': expected a number above 0 and at most 1, found {}", where, epsilon->dump());
    found.layer_norm_epsilon = epsilon->get<double>();
  }
  return found;
}

std::string encoder_config_json(const TextConfig& text, std::int64_t vocabulary_size, std::int64_t padding_token, EncoderKind kind) {
  const nlohmann::ordered_json config = {{"architectures", {kind == EncoderKind::plain ? "BertModel" : "BertForMaskedLM"}},
                                         {"model_type", "bert"},
                                         {"attention_probs_dropout_prob", text.dropout},
                                         {"hidden_act", "gelu"},
                                         {"hidden_dropout_prob", text.dropout},
                                         {"hidden_size", text.width},
                                         {"initializer_range", 0.02},
                                         {"intermediate_size", text.intermediate},
                                         {"layer_norm_eps", text.layer_norm_epsilon},
                                         {"max_position_embeddings", text.positions},
                                         {"num_attention_heads", text.heads},
                                         {"num_hidden_layers", text.layers},
                                         {"pad_token_id", padding_token},
                                         {"position_embedding_type", "absolute"},
                                         {"tie_word_embeddings", true},
                                         {"torch_dtype", "float32"},
                                         {"type_vocab_size", text.type_vocabulary},
                                         {"vocab_size", vocabulary_size}};
  return config.dump(2) + "\n";
}

void require_vocabulary(const std::filesystem::path& folder, const std::vector<std::string>& vocabulary, const std::string& shards) {
  const auto advice = [&] { return fmt::format("replace the tokens of the data set: tributary shards retokenize {} --tokenizer {}", shards, folder.string()); };
  const auto config = folder / "config.json";
  const std::int64_t rows = encoder_architecture(read_file(config), config.string()).vocabulary;
  std::vector<std::string> words;
  if (std::filesystem::exists(folder / "vocab.txt")) {
    words = lines_of(read_file(folder / "vocab.txt"));
  } else if (std::filesystem::exists(folder / "tokenizer.json")) {
    words = words_of_tokenizer(folder / "tokenizer.json");
  }
  const std::size_t size = words.empty() ? static_cast<std::size_t>(rows) : words.size();
  if (vocabulary.size() != size || rows != static_cast<std::int64_t>(size)) {
    fail(ErrorKind::data, "text.pretrained: {} embeds {} tokens and names {}, the vocabulary of {} has {}; {}", folder.string(), rows, size, shards,
         vocabulary.size(), advice());
  }
  for (std::size_t i = 0; i < words.size(); ++i)
    if (words[i] != vocabulary[i]) {
      fail(ErrorKind::data, "text.pretrained: the vocabularies of {} and of {} have {} tokens both, but token {} differs; {}", folder.string(), shards, size, i,
           advice());
    }
}

std::vector<std::string> read_encoder(const std::filesystem::path& folder, const ParameterLayout& layout, const at::Tensor& arena) {
  const SafetensorsFolder weights(folder);
  std::set<std::string> used;
  for (std::size_t e = 0; e < layout.entries.size(); ++e) {
    const ParameterSpec& spec = layout.entries[e].spec;
    if (!spec.name.starts_with(encoder_prefix)) continue;
    std::string name;
    if (find_tensor(weights, spec.name, name) == nullptr)
      fail(ErrorKind::data, "{}: no tensor '{}', with or without 'bert.' in front", folder.string(), spec.name.substr(std::string_view(encoder_prefix).size()));
    take_tensor(folder, weights, name, layout, arena, e);
    used.insert(name);
  }
  check(!used.empty(), "read_encoder: the model has no encoder");
  return beside(folder, weights, used);
}

std::vector<std::string> read_masked_decoder(const std::filesystem::path& folder, const ParameterLayout& layout, const at::Tensor& arena) {
  const SafetensorsFolder weights(folder);
  std::vector<std::string> used;
  std::string lacks;
  for (std::size_t e = 0; e < layout.entries.size(); ++e) {
    const std::string& parameter = layout.entries[e].spec.name;
    if (!parameter.starts_with(decoder_prefix)) continue;
    std::string name;
    if (find_tensor(weights, parameter, name) == nullptr) {
      lacks = parameter;
      continue;
    }
    take_tensor(folder, weights, name, layout, arena, e);
    used.push_back(name);
  }
  if (used.empty()) return used;
  if (!lacks.empty())
    fail(ErrorKind::data, "{}: tensor '{}' is there, but no tensor '{}'; expected the whole decoder or none", folder.string(), used[0], lacks);
  require_tied(folder, weights, layout, arena);
  for (const std::string& name : weights.names())
    if (name == "cls.predictions.decoder.weight" || (name == "cls.predictions.decoder.bias" && std::find(used.begin(), used.end(), name) == used.end()))
      used.push_back(name);
  return used;
}

std::string encoder_digest(const TextConfig& text, const ParameterLayout& layout, const at::Tensor& arena) {
  Sha256 digest;
  digest.update(fmt::format("bert {} {} {} {} {} {} {}\n", text.layers, text.width, text.heads, text.intermediate, text.positions, text.type_vocabulary,
                            text.layer_norm_epsilon));
  for (std::size_t e = 0; e < layout.entries.size(); ++e) {
    const ParameterSpec& spec = layout.entries[e].spec;
    if (!spec.name.starts_with(encoder_prefix)) continue;
    const at::Tensor values = view_of(layout, arena, e);
    digest.update(fmt::format("{} {}\n", spec.name, hex(Sha256().update(values.data_ptr(), values.nbytes()).finish())));
  }
  return hex(digest.finish());
}

void write_encoder(const std::filesystem::path& folder, const TextConfig& text, const ParameterLayout& layout, const at::Tensor& arena,
                   const std::vector<std::string>& vocabulary) {
  const bool decoder = std::any_of(layout.entries.begin(), layout.entries.end(), [](const auto& entry) { return entry.spec.name.starts_with(decoder_prefix); });
  std::vector<TensorView> views;
  for (std::size_t e = 0; e < layout.entries.size(); ++e) {
    const ParameterSpec& spec = layout.entries[e].spec;
    const float* values = view_of(layout, arena, e).data_ptr<float>();
    if (spec.name.starts_with(encoder_prefix))
      views.push_back({(decoder ? "bert." : "") + spec.name.substr(std::string_view(encoder_prefix).size()), spec.shape, values});
    if (spec.name.starts_with(decoder_prefix)) views.push_back({spec.name, spec.shape, values});
  }
  const auto padding = std::find(vocabulary.begin(), vocabulary.end(), "[PAD]") - vocabulary.begin();
  write_safetensors(folder / "model.safetensors", views, {{"format", "pt"}});
  write_file(folder / "config.json", encoder_config_json(text, static_cast<std::int64_t>(vocabulary.size()), padding,
                                                         decoder ? EncoderKind::masked_language_model : EncoderKind::plain));
  std::string lines;
  for (const std::string& token : vocabulary) lines += token + "\n";
  write_file(folder / "vocab.txt", lines);
}

}  // namespace tributary
