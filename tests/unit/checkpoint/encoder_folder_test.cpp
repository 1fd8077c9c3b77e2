#include "checkpoint/serving/encoder_folder.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/serving/safetensors.h"
#include "model/families/encoder.h"
#include "model/families/text_mlm.h"
#include "support/folder.h"

namespace tributary {
namespace {

using testing::HasSubstr;

TextConfig small_text() {
  TextConfig text;
  text.width = 4;
  text.intermediate = 6;
  text.positions = 9;
  return text;
}

const std::vector<std::string> words = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "pain"};

// An encoder with random weights and its folder.
class EncoderFolder : public testing::Test {
 protected:
  void SetUp() override {
    BlockList list;
    static_cast<void>(add_encoder(list, text, static_cast<std::int64_t>(words.size())));
    list.parameters.push_back({"head.weight", {3}, Init::ones});
    write(list);
  }
  void write(const BlockList& list) {
    layout = make_layout(list.parameters);
    arena = make_arena(layout, at::kFloat);
    initialise(layout, arena, 4);
    write_encoder(folder.path(), text, layout, arena, words);
  }
  // The folder's weights under other names, with other values or shapes.
  void rewrite(const std::function<void(std::map<std::string, LoadedTensor>&)>& change) const {
    auto tensors = read_safetensors(folder.path() / "model.safetensors");
    change(tensors);
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : tensors) views.push_back({name, tensor.shape, tensor.values.data()});
    write_safetensors(folder.path() / "model.safetensors", views, {});
  }
  [[nodiscard]] std::string refusal() const {
    try {
      const at::Tensor target = make_arena(layout, at::kFloat);
      static_cast<void>(read_encoder(folder.path(), layout, target));
    } catch (const Error& error) {
      return std::to_string(error.exit_code()) + " " + error.what();
    }
    return "accepted";
  }

  TextConfig text = small_text();
  ParameterLayout layout;
  at::Tensor arena;
  test::Folder folder;
};

TEST_F(EncoderFolder, comes_back_bit_for_bit_under_new_and_old_names) {
  const at::Tensor same = make_arena(layout, at::kFloat);
  initialise(layout, same, 5);
  EXPECT_TRUE(read_encoder(folder.path(), layout, same).empty());
  EXPECT_EQ(encoder_digest(text, layout, same), encoder_digest(text, layout, arena));
  rewrite([](auto& tensors) {
    std::map<std::string, LoadedTensor> old;
    for (auto& [name, tensor] : tensors) {
      std::string renamed = "bert." + name;
      if (const auto at = renamed.find("LayerNorm.weight"); at != std::string::npos) renamed.replace(at, 16, "LayerNorm.gamma");
      if (const auto at = renamed.find("LayerNorm.bias"); at != std::string::npos) renamed.replace(at, 14, "LayerNorm.beta");
      old[renamed] = tensor;
    }
    old["bert.pooler.dense.bias"] = {{4}, {1, 2, 3, 4}};
    old["cls.predictions.bias"] = {{1}, {NAN}};
    tensors = old;
  });
  const at::Tensor renamed = make_arena(layout, at::kFloat);
  EXPECT_EQ(read_encoder(folder.path(), layout, renamed), (std::vector<std::string>{"bert.pooler.dense.bias", "cls.predictions.bias"}));
  EXPECT_EQ(encoder_digest(text, layout, renamed), encoder_digest(text, layout, arena));
  TextConfig other = text;
  other.heads = 1;
  EXPECT_NE(encoder_digest(other, layout, arena), encoder_digest(text, layout, arena));
}

TEST_F(EncoderFolder, is_read_from_several_files_by_their_index) {
  const auto tensors = read_safetensors(folder.path() / "model.safetensors");
  std::array<std::vector<TensorView>, 2> halves;
  std::string map;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t half = halves[0].size() > halves[1].size() ? 1 : 0;
    halves[half].push_back({name, tensor.shape, tensor.values.data()});
    map += (map.empty() ? "\"" : ",\"") + name + "\":\"part-" + std::to_string(half) + ".safetensors\"";
  }
  ASSERT_FALSE(halves[0].empty() || halves[1].empty());
  for (const std::size_t half : {0, 1}) write_safetensors(folder.path() / ("part-" + std::to_string(half) + ".safetensors"), halves[half], {});
  std::filesystem::remove(folder.path() / "model.safetensors");
  const auto index = folder.path() / "model.safetensors.index.json";
  write_file(index, R"({"metadata":{},"weight_map":{)" + map + "}}");
  const at::Tensor target = make_arena(layout, at::kFloat);
  EXPECT_TRUE(read_encoder(folder.path(), layout, target).empty());
  EXPECT_EQ(encoder_digest(text, layout, target), encoder_digest(text, layout, arena));
  write_file(index, R"({"weight_map":{)" + map + R"(,"more":"part-0.safetensors"}})");
  EXPECT_THAT(refusal(), HasSubstr("'more' does not stand in part-0.safetensors"));
  write_file(index, R"({"weight_map":{)" + map.substr(map.find(',') + 1) + "}}");
  EXPECT_THAT(refusal(), HasSubstr("does not stand in the index"));
  write_file(index, R"({"weight_map":{"a":"../part-0.safetensors"}})");
  EXPECT_THAT(refusal(), HasSubstr("expected the name of a file in the same folder"));
}

TEST_F(EncoderFolder, is_refused_by_the_name_of_its_faulty_tensor) {
  const std::string name = "encoder.layer.1.output.dense.weight";
  rewrite([&](auto& tensors) { tensors.at(name).values[7] = NAN; });
  EXPECT_THAT(refusal(), testing::AllOf(testing::StartsWith("65"), HasSubstr(name), HasSubstr("not finite")));
  rewrite([&](auto& tensors) { tensors.at(name) = {{6, 4}, std::vector<float>(24)}; });
  EXPECT_THAT(refusal(), HasSubstr(name + "' has shape [6, 4], its config.json asks for [4, 6]"));
  rewrite([&](auto& tensors) { tensors.erase(name); });
  EXPECT_THAT(refusal(), HasSubstr("no tensor '" + name + "'"));
  rewrite([&](auto& tensors) {
    tensors[name] = {{4, 6}, std::vector<float>(24)};
    tensors["encoder.layer.2.output.dense.bias"] = {{4}, std::vector<float>(4)};
  });
  EXPECT_THAT(refusal(), HasSubstr("'encoder.layer.2.output.dense.bias' has no place"));
  std::filesystem::remove(folder.path() / "model.safetensors");
  EXPECT_THAT(refusal(), testing::AllOf(testing::StartsWith("66"), HasSubstr("neither model.safetensors")));
  write_file(folder.path() / "pytorch_model.bin", "\x80\x02");
  EXPECT_THAT(refusal(), testing::AllOf(testing::StartsWith("66"), HasSubstr("safe_serialization=True")));
}

// The same with the decoder of masked tokens.
class MaskedFolder : public EncoderFolder {
 protected:
  void SetUp() override {
    ModelSettings settings;
    settings.model.family = "text_mlm";
    settings.text = text;
    Schema schema;
    schema.notes = true;
    write(text_mlm(settings, schema, static_cast<std::int64_t>(words.size())));
  }
  [[nodiscard]] std::string decoder_refusal() const {
    try {
      const at::Tensor target = make_arena(layout, at::kFloat);
      static_cast<void>(read_encoder(folder.path(), layout, target));
      static_cast<void>(read_masked_decoder(folder.path(), layout, target));
    } catch (const Error& error) {
      return std::to_string(error.exit_code()) + " " + error.what();
    }
    return "accepted";
  }
};

TEST_F(MaskedFolder, has_the_stock_names_and_comes_back_bit_for_bit) {
  const auto tensors = read_safetensors(folder.path() / "model.safetensors");
  EXPECT_EQ(tensors.size(), layout.entries.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(name.starts_with("bert.e") || name.starts_with("cls.predictions.")) << name;
  EXPECT_THAT(read_file(folder.path() / "config.json"), HasSubstr("BertForMaskedLM"));
  const at::Tensor same = make_arena(layout, at::kFloat);
  initialise(layout, same, 5);
  ASSERT_FALSE(at::equal(same, arena));
  const std::vector<std::string> left_out = read_encoder(folder.path(), layout, same);
  EXPECT_EQ(left_out.size(), 5U);
  EXPECT_EQ(read_masked_decoder(folder.path(), layout, same), left_out);
  EXPECT_TRUE(at::equal(same, arena));
}

TEST_F(MaskedFolder, may_repeat_what_is_tied_and_use_old_names) {
  rewrite([](auto& tensors) {
    tensors["cls.predictions.decoder.weight"] = tensors.at("bert.embeddings.word_embeddings.weight");
    tensors["cls.predictions.decoder.bias"] = tensors.at("cls.predictions.bias");
    tensors["cls.predictions.transform.LayerNorm.gamma"] = tensors.at("cls.predictions.transform.LayerNorm.weight");
    tensors.erase("cls.predictions.transform.LayerNorm.weight");
  });
  const at::Tensor same = make_arena(layout, at::kFloat);
  const std::vector<std::string> left_out = read_encoder(folder.path(), layout, same);
  EXPECT_THAT(read_masked_decoder(folder.path(), layout, same), testing::UnorderedElementsAreArray(left_out));
  EXPECT_EQ(left_out.size(), 7U);
  EXPECT_TRUE(at::equal(same, arena));
  rewrite([](auto& tensors) { tensors.erase("cls.predictions.bias"); });
  EXPECT_EQ(decoder_refusal(), "accepted");  // the decoder's own bias is it
}

TEST_F(MaskedFolder, without_a_decoder_gives_none_and_half_a_decoder_is_refused) {
  rewrite([](auto& tensors) { tensors["cls.predictions.decoder.weight"] = {{6, 4}, std::vector<float>(24, 1)}; });
  EXPECT_THAT(decoder_refusal(), testing::AllOf(testing::StartsWith("65"), HasSubstr("'cls.predictions.decoder.weight' is not the word embeddings")));
  rewrite([](auto& tensors) {
    tensors.erase("cls.predictions.decoder.weight");
    tensors.erase("cls.predictions.transform.dense.bias");
  });
  EXPECT_THAT(decoder_refusal(), HasSubstr("no tensor 'cls.predictions.transform.dense.bias'"));
  rewrite([](auto& tensors) { std::erase_if(tensors, [](const auto& entry) { return entry.first.starts_with("cls."); }); });
  const at::Tensor target = make_arena(layout, at::kFloat);
  EXPECT_TRUE(read_masked_decoder(folder.path(), layout, target).empty());
}

TEST_F(EncoderFolder, has_the_vocabulary_of_the_shards_or_is_refused_with_both_sizes) {
  const auto complaint = [&](const std::vector<std::string>& vocabulary) -> std::string {
    try {
      require_vocabulary(folder.path(), vocabulary, "runs/shards");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(complaint(words), "");
  std::vector<std::string> other = words;
  other[5] = "ache";
  EXPECT_THAT(complaint(other), testing::AllOf(HasSubstr("token 5 differs"), HasSubstr("retokenize runs/shards --tokenizer"), testing::Not(HasSubstr("ache"))));
  other.push_back("pain");
  EXPECT_THAT(complaint(other), testing::AllOf(HasSubstr("embeds 6 tokens"), HasSubstr("has 7")));
  std::filesystem::remove(folder.path() / "vocab.txt");
  EXPECT_THAT(complaint(other), HasSubstr("has 7"));
  write_file(folder.path() / "tokenizer.json", R"({"model":{"vocab":{"pain":5,"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"[MASK]":4}}})");
  EXPECT_EQ(complaint(words), "");
}

TEST(EncoderArchitecture, is_read_back_from_what_is_written_and_refuses_what_is_not_computed) {
  TextConfig text = small_text();
  text.layer_norm_epsilon = 1e-7;
  text.type_vocabulary = 3;
  const std::string good = encoder_config_json(text, 50, 0);
  const EncoderArchitecture found = encoder_architecture(good, "c");
  EXPECT_EQ(found.layers, text.layers);
  EXPECT_EQ(found.intermediate, 6);
  EXPECT_EQ(found.vocabulary, 50);
  EXPECT_EQ(found.type_vocabulary, 3);
  EXPECT_EQ(found.layer_norm_epsilon, 1e-7);
  const auto complaint = [&](const std::string& from, const std::string& to) -> std::string {
    std::string json = good;
    json.replace(json.find(from), from.size(), to);
    try {
      static_cast<void>(encoder_architecture(json, "c"));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(complaint("\"gelu\"", "\"gelu_new\""), HasSubstr("'hidden_act' is \"gelu_new\"; the encoder computes \"gelu\" (with erf) only"));
  EXPECT_THAT(complaint("\"absolute\"", "\"relative_key\""), HasSubstr("'position_embedding_type'"));
  EXPECT_THAT(complaint("\"model_type\": \"bert\"", "\"model_type\": \"roberta\""), HasSubstr("'model_type'"));
  EXPECT_THAT(complaint("\"hidden_size\": 4", "\"hidden_size\": \"4\""), HasSubstr("'hidden_size'"));
  EXPECT_THAT(complaint("\"hidden_size\"", "\"size\""), HasSubstr("'hidden_size': expected a whole number of at least 1, found nothing"));
  EXPECT_THAT(complaint("\"layer_norm_eps\": 1e-07", "\"layer_norm_eps\": 0"), HasSubstr("'layer_norm_eps'"));
  EXPECT_THAT(complaint("{", "["), HasSubstr("expected a JSON object"));
}

}  // namespace
}  // namespace tributary
