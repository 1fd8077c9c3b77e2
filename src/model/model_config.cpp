#include "model/model_config.h"

#include <fmt/core.h>

#include <charconv>

#include "base/error.h"

namespace tributary {

namespace {

Section text_section(TextConfig& text) {
  return {
      "text",
      {{"pretrained", &text.pretrained,
        "folder of a published BERT encoder (config.json, model.safetensors), which then decides layers to layer_norm_epsilon below; empty: random weights"},
       {"layers", &text.layers, "encoder layers", {}, 1, 128},
       {"width", &text.width, "encoder width d, a multiple of heads", {}, 1, 65536},
       {"heads", &text.heads, "encoder attention heads", {}, 1, 1024},
       {"intermediate", &text.intermediate, "encoder feed-forward width", {}, 1, 262144},
       {"positions", &text.positions, "learned positions; at least data.window_tokens", {}, 8, 65536},
       {"type_vocabulary", &text.type_vocabulary, "token types (all tokens are of type 0)", {}, 1, 65536},
       {"layer_norm_epsilon", &text.layer_norm_epsilon, "epsilon of the encoder's layer norms", {}, 1e-20, 1},
       {"dropout", &text.dropout, "inside the encoder", {}, 0, 0.95},
       {"freeze", &text.freeze,
        "what of the encoder stays as it is, in evaluation mode: none, all, or a number such as \"4\" for the embeddings and the first 4 layers; frozen "
        "embeddings are a frozen decoder of text_mlm, too"},
       {"cache", &text.cache,
        "folder in which a frozen encoder's embeddings of all notes, or of all marked pairs, are kept and from which they are read; empty: the encoder runs"},
       {"sentence", &text.sentence, "sentence embedding from tokens (eq 5)", {"mean"}},
       {"paragraph", &text.paragraph, "paragraph embedding from sentences", {"mean", "attention"}},
       {"document", &text.document, "document embedding from paragraphs", {"mean", "attention"}}}};
}

}  // namespace

std::vector<Section> sections_of(ModelSettings& s) {
  return {
      {"model",
       {{"family",
         &s.model.family,
         "model family; text_bert: relations alone, one marked sequence a pair; text_mlm: the text encoder alone, masked language modelling on the notes",
         {"lm_hhda", "text_bert", "text_mlm"}},
        {"mode",
         &s.model.mode,
         "the sequence of lm_hhda: hourly timeline of series, notes and static features; or tokens: those of the notes, with entities and relations",
         {"timeline", "tokens"}},
        {"dropout", &s.model.dropout, "after every LSTM layer and before the heads", {}, 0, 0.95}}},
      text_section(s.text),
      {"lstm",
       {{"layers", &s.lstm.layers, "hierarchical residual LSTM layers", {}, 1, 64},
        {"width", &s.lstm.width, "recurrent width h", {}, 1, 65536},
        {"transform", &s.lstm.transform, "residual transform of each layer (eq 6, 9, 10)", {"fc", "conv1d", "self_attention"}},
        {"kernel", &s.lstm.kernel, "kernel of transform conv1d, odd", {}, 1, 63},
        {"temporal_attention", &s.lstm.temporal_attention, "add the attention-pooled state to every position"},
        {"layer_groups", &s.lstm.layer_groups, "sensor groups fed to each layer; empty: all to layer 1"}}},
      {"cnn",
       {{"pairs", &s.cnn.pairs, "(kernel, dilation) of each branch (eq 11)"},
        {"filters", &s.cnn.filters, "filters of each branch", {}, 1, 65536},
        {"windows", &s.cnn.windows, "max-pooling windows P (eq 12)", {}, 1, 1024},
        {"fusion", &s.cnn.fusion, "how the branches join the sequence (eq 14)", {"concat", "add"}}}},
      {"attention",
       {{"kind", &s.attention.kind, "global attention (eq 23-27)", {"gate", "context", "gate+context"}},
        {"heads", &s.attention.heads, "heads", {}, 1, 1024},
        {"head_width", &s.attention.head_width, "width of a head", {}, 1, 65536}}},
      {"use",
       {{"hr_lstm", &s.use.hr_lstm, "false: plain stacked LSTM layers (ablation)"},
        {"dynamic_relu", &s.use.dynamic_relu, "false: plain ReLU (ablation)"},
        {"global_attention", &s.use.global_attention, "false: none, record heads on the masked mean (ablation)"},
        {"ms_cnn", &s.use.ms_cnn, "false: no convolution branches (ablation)"}}},
      {"heads",
       {{"tasks", &s.heads.tasks, "tasks to train; empty: all of the data set"},
        {"weight", &s.heads.weight, "weight of a task's loss, default 1"},
        {"loss", &s.heads.loss,
         "loss of a task: cross_entropy (default), focal, generalised_cross_entropy, squared_error (regression, default), squared_log_error (regression: on "
         "log(1 + value), values below 0 as 0)"},
        {"positive_weight", &s.heads.positive_weight, "weight on positives of a binary or multi-label task's cross entropy, default 1"},
        {"class_weight", &s.heads.class_weight,
         "weights of a multi-class or relation task's classes in cross entropy and focal, one a class: \"1, 2.5, 1\"; default all 1"},
        {"focal_gamma", &s.heads.focal_gamma, "gamma of the focal loss", {}, 0, 100},
        {"focal_alpha", &s.heads.focal_alpha, "alpha of the focal loss (weight of positives)", {}, 0, 1},
        {"gce_q", &s.heads.gce_q, "q of the generalised cross entropy", {}, 1e-3, 1},
        {"relation_layers", &s.heads.relation_layers, "widths of the hidden layers of the relation head (eq 29-32)"}}},
  };
}

std::int64_t frozen_layers(const TextConfig& text) {
  if (text.freeze == "none") return -1;
  if (text.freeze == "all") return text.layers;
  std::int64_t layers = 0;
  const char* end = text.freeze.data() + text.freeze.size();
  const auto [after, error] = std::from_chars(text.freeze.data(), end, layers);
  if (error != std::errc() || after != end || layers < 0 || layers > text.layers)
    fail(ErrorKind::configuration, "text.freeze: expected \"none\", \"all\" or a number of layers from 0 to text.layers = {}, found \"{}\"", text.layers,
         text.freeze);
  return layers;
}

void check_settings(const ModelSettings& s) {
  std::string faults;
  const auto demand = [&](bool holds, const std::string& fault) {
    if (!holds) faults += (faults.empty() ? "" : "\n") + fault;
  };
  demand(s.text.width % s.text.heads == 0, fmt::format("text.width = {} must be a multiple of text.heads = {}", s.text.width, s.text.heads));
  demand(s.lstm.kernel % 2 == 1, fmt::format("lstm.kernel = {} must be odd", s.lstm.kernel));
  demand(!s.use.ms_cnn || !s.cnn.pairs.empty(), "cnn.pairs: expected at least one [kernel, dilation]; set use.ms_cnn = false for a model without branches");
  for (const auto& pair : s.cnn.pairs) demand(pair.size() == 2 && pair[0] >= 1 && pair[1] >= 1, "cnn.pairs: each pair is [kernel, dilation], both at least 1");
  demand(s.text.cache.empty() || s.text.freeze == "all",
         fmt::format("text.cache needs text.freeze = \"all\", found \"{}\": an encoder that is trained gives other embeddings after each step", s.text.freeze));
  demand(s.text.cache.empty() || s.model.family != "text_mlm",
         "text.cache is of no use to model.family = \"text_mlm\": other tokens of a note are hidden in each epoch, so its embeddings change; leave text.cache "
         "out");
  try {
    static_cast<void>(frozen_layers(s.text));
  } catch (const Error& fault) {
    demand(false, fault.what());
  }
  for (const std::int64_t width : s.heads.relation_layers)
    demand(width >= 1, fmt::format("heads.relation_layers: expected widths of at least 1, found {}", width));
  if (!faults.empty()) throw Error(ErrorKind::configuration, faults);
}

}  // namespace tributary
