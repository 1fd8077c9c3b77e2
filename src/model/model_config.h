// [model] and its parts: the lm_hhda family (specification, section 1), and of [text] what text_mlm needs. Help texts cite its numbered paragraphs.
#pragma once

#include "base/fields.h"

namespace tributary {

struct ModelConfig {
  std::string family = "lm_hhda";
  std::string mode = "timeline";
  double dropout = 0.1;
};

struct TextConfig {  // a BERT encoder, built from configuration or from a folder of published weights
  std::string pretrained;
  std::int64_t layers = 2;
  std::int64_t width = 64;
  std::int64_t heads = 2;
  std::int64_t intermediate = 256;
  std::int64_t positions = 512;
  std::int64_t type_vocabulary = 2;
  double layer_norm_epsilon = 1e-12;
  double dropout = 0.1;
  std::string freeze = "none";
  std::string cache;
  std::string sentence = "mean";
  std::string paragraph = "mean";
  std::string document = "mean";
};

struct LstmConfig {
  std::int64_t layers = 3;
  std::int64_t width = 256;
  std::string transform = "fc";
  std::int64_t kernel = 3;
  bool temporal_attention = true;
  std::vector<std::vector<std::string>> layer_groups;
};

struct CnnConfig {
  std::vector<std::vector<std::int64_t>> pairs = {{3, 1}, {4, 2}, {5, 4}};
  std::int64_t filters = 32;
  std::int64_t windows = 4;
  std::string fusion = "concat";
};

struct AttentionConfig {
  std::string kind = "gate";
  std::int64_t heads = 8;
  std::int64_t head_width = 64;
};

struct AblationConfig {
  bool hr_lstm = true;
  bool dynamic_relu = true;
  bool global_attention = true;
  bool ms_cnn = true;
};

struct HeadsConfig {
  std::vector<std::string> tasks;
  std::map<std::string, double> weight;
  std::map<std::string, std::string> loss;
  std::map<std::string, double> positive_weight;
  std::map<std::string, std::string> class_weight;
  double focal_gamma = 2;
  double focal_alpha = 0.75;
  double gce_q = 0.7;
  std::vector<std::int64_t> relation_layers = {256, 128};
};

struct ModelSettings {
  ModelConfig model;
  TextConfig text;
  LstmConfig lstm;
  CnnConfig cnn;
  AttentionConfig attention;
  AblationConfig use;
  HeadsConfig heads;
};

[[nodiscard]] std::vector<Section> sections_of(ModelSettings& settings);

// How many encoder layers stay as they are, the embeddings with them; -1: nothing is frozen. Throws: Error{configuration} for another word in text.freeze.
[[nodiscard]] std::int64_t frozen_layers(const TextConfig& text);

// Throws: Error{configuration} with one line for each pair of fields that do not fit each other.
void check_settings(const ModelSettings& settings);

}  // namespace tributary
