#include "model/families/hr_lstm.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/families/draft.h"

namespace tributary {
namespace {

struct LstmLayer {
  std::size_t weight_ih = 0, weight_hh = 0, bias_ih = 0, bias_hh = 0;
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const BlockInput& in) const {
    return ops::lstm(x, {in.parameters[weight_ih], in.parameters[weight_hh], in.parameters[bias_ih], in.parameters[bias_hh]}, in.weights);
  }
};

LstmLayer add_lstm(BlockDraft& draft, const std::string& prefix, std::int64_t in, std::int64_t width) {
  const auto spec = [&](const char* name, std::vector<std::int64_t> shape, bool decay) {
    return draft.parameter({prefix + ".lstm." + name, std::move(shape), Init::uniform_fan_in, static_cast<double>(width), decay, true});
  };
  LstmLayer layer;
  layer.weight_ih = spec("weight_ih_l0", {4 * width, in}, true);
  layer.weight_hh = spec("weight_hh_l0", {4 * width, width}, true);
  layer.bias_ih = spec("bias_ih_l0", {4 * width}, false);
  layer.bias_hh = spec("bias_hh_l0", {4 * width}, false);
  return layer;
}

// The residual r of o [B, T, h] (eq 6, 9, 10).
using Transform = std::function<at::Tensor(const at::Tensor& o, const at::Tensor& valid, const BlockInput& in)>;

Transform add_convolution(BlockDraft& draft, const std::string& prefix, const LstmConfig& lstm) {
  const double fan_in = static_cast<double>(lstm.width * lstm.kernel);
  const std::size_t weight = draft.parameter({prefix + ".conv.weight", {lstm.width, lstm.width, lstm.kernel}, Init::uniform_fan_in, fan_in, true, true});
  const std::size_t bias = draft.parameter({prefix + ".conv.bias", {lstm.width}, Init::uniform_fan_in, fan_in, false, true});
  return [=, side = lstm.kernel / 2](const at::Tensor& o, const at::Tensor& valid, const BlockInput& in) {
    const at::Tensor own = ops::select_valid(o, valid.unsqueeze(2));  // the state runs on past the record's end
    return at::relu(ops::conv1d(own, in.parameters[weight], in.parameters[bias], 1, side, side, in.weights));
  };
}

Transform add_self_attention(BlockDraft& draft, const std::string& prefix, std::int64_t width) {
  const LinearLayer q = add_linear(draft, prefix + ".q", width, width, Bias::no);
  const LinearLayer k = add_linear(draft, prefix + ".k", width, width, Bias::no);
  const LinearLayer v = add_linear(draft, prefix + ".v", width, width, Bias::no);
  const double scale = 1.0 / std::sqrt(static_cast<double>(width));
  return [=](const at::Tensor& o, const at::Tensor& valid, const BlockInput& in) {
    const at::Tensor scores = at::bmm(q(o, in) * scale, k(o, in).transpose(1, 2));
    return at::bmm(ops::masked_softmax(scores, valid.unsqueeze(1)), v(o, in));
  };
}

Transform add_transform(BlockDraft& draft, const std::string& prefix, const LstmConfig& lstm) {
  if (lstm.transform == "conv1d") return add_convolution(draft, prefix, lstm);
  if (lstm.transform == "self_attention") return add_self_attention(draft, prefix, lstm.width);
  check(lstm.transform == "fc", "lstm.transform '{}'", lstm.transform);
  const LinearLayer fc = add_linear(draft, prefix + ".fc", lstm.width, lstm.width);
  return [fc](const at::Tensor& o, const at::Tensor&, const BlockInput& in) { return at::relu(fc(o, in)); };
}

// What a layer receives: [previous layer ; z of its groups ; notes or tokens ; statics], each part where the layer has it.
struct LayerInput {
  std::vector<std::size_t> groups;
  std::int64_t width = 0;
  bool taken = false;    // previous layer, or in layer 1 the notes or tokens
  bool statics = false;  // layer 1
  bool first = false;

  [[nodiscard]] at::Tensor operator()(const BlockInput& in, const at::Tensor& valid) const {
    std::vector<at::Tensor> parts;
    if (!first) parts.push_back(in.taken[0]);
    for (const std::size_t group : groups) parts.push_back(sensor_input(in.batch, group, valid));
    if (first && taken) parts.push_back(in.taken[0]);
    if (statics) parts.push_back(static_input(in.batch, valid));
    return parts.size() == 1 ? parts[0] : at::cat(parts, 2);
  }
};

LayerInput layer_input(BlockDraft& draft, const std::vector<std::size_t>& groups, const SequenceLayout& layout, bool first, const SequenceTensor& takes) {
  draft.spec.reads = fields_of_positions(layout);
  LayerInput input;
  input.groups = groups;
  input.first = first;
  input.taken = !takes.name.empty();
  if (input.taken) {
    draft.take(takes.name);
    input.width = takes.width;
  }
  for (const std::size_t group : groups) input.width += 3 * layout.channels[group];
  if (!groups.empty()) draft.spec.reads.push_back(BatchField::series);
  if (first && layout.statics > 0) {
    input.statics = true;
    input.width += 2 * layout.statics;
    draft.spec.reads.push_back(BatchField::statics);
  }
  return input;
}

}  // namespace

std::vector<std::vector<std::size_t>> groups_of_layers(const ModelSettings& settings, const Schema& schema, SequenceMode mode) {
  std::vector<std::vector<std::size_t>> layers(static_cast<std::size_t>(settings.lstm.layers));
  if (mode == SequenceMode::tokens) {
    if (!settings.lstm.layer_groups.empty())
      fail(ErrorKind::configuration, "lstm.layer_groups: the sequence of model.mode = \"tokens\" has no sensors; leave it out, or take the timeline");
    return layers;
  }
  if (settings.lstm.layer_groups.empty() || !settings.use.hr_lstm) {
    for (std::size_t group = 0; group < schema.series.size(); ++group) layers[0].push_back(group);
    return layers;
  }
  if (settings.lstm.layer_groups.size() > layers.size()) {
    fail(ErrorKind::configuration, "lstm.layer_groups: expected at most lstm.layers = {} lists, found {}", layers.size(), settings.lstm.layer_groups.size());
  }
  std::vector<std::string> known;
  for (const SeriesGroup& group : schema.series) known.push_back(group.name);
  std::vector<int> uses(known.size(), 0);
  for (std::size_t layer = 0; layer < settings.lstm.layer_groups.size(); ++layer) {
    for (const std::string& name : settings.lstm.layer_groups[layer]) {
      const auto place = std::find(known.begin(), known.end(), name);
      if (place == known.end()) {
        fail(ErrorKind::configuration, "lstm.layer_groups: expected sensor groups of the data set ({}), found '{}'", fmt::join(known, ", "), name);
      }
      const auto group = static_cast<std::size_t>(place - known.begin());
      ++uses[group];
      layers[layer].push_back(group);
    }
    std::sort(layers[layer].begin(), layers[layer].end());
  }
  for (std::size_t group = 0; group < known.size(); ++group) {
    if (uses[group] != 1) {
      fail(ErrorKind::configuration, "lstm.layer_groups: expected every sensor group in exactly one layer, found '{}' in {}", known[group], uses[group]);
    }
  }
  return layers;
}

std::string add_lstm_layers(BlockList& list, const ModelSettings& settings, const std::vector<std::vector<std::size_t>>& groups, const SequenceLayout& layout,
                            const SequenceTensor& first) {
  SequenceTensor previous = first;
  for (std::size_t number = 0; number < groups.size(); ++number) {
    const std::string prefix = "lstm." + std::to_string(number);
    BlockDraft draft(prefix);
    give_positions(draft.spec, prefix, layout, settings.lstm.width);
    const LayerInput input = layer_input(draft, groups[number], layout, number == 0, previous);
    const LstmLayer lstm = add_lstm(draft, prefix, input.width, settings.lstm.width);
    Transform transform;  // none: the plain LSTM of the ablation
    DynamicReluLayer activation;
    if (settings.use.hr_lstm) {
      transform = add_transform(draft, prefix, settings.lstm);
      const std::string set = groups[number].size() == 1 ? group_set(groups[number][0]) : "all";
      activation = add_dynamic_relu(draft, set, settings.lstm.width, settings.use.dynamic_relu);
    }
    add_block(list, std::move(draft), [=, dropout = settings.model.dropout](const BlockInput& in) -> std::vector<at::Tensor> {
      const at::Tensor valid = valid_positions(in, layout);
      const at::Tensor o = lstm(input(in, valid), in);
      const at::Tensor h = transform ? activation(o + transform(o, valid, in), in) : o;
      return {ops::dropout(h, dropout, in.draw_key(0), in.context.training)};
    });
    previous = {prefix, settings.lstm.width};
  }
  return previous.name;
}

std::string add_temporal_attention(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, const std::string& takes) {
  BlockDraft draft("temporal");
  draft.spec.reads = fields_of_positions(layout);
  give_positions(draft.spec, "temporal", layout, settings.lstm.width);
  draft.take(takes);
  const PoolingLayer pool = add_pooling(draft, "temporal", settings.lstm.width);
  add_block(list, std::move(draft), [=](const BlockInput& in) -> std::vector<at::Tensor> {
    const at::Tensor& h = in.taken[0];
    const at::Tensor beta = ops::pooling_weights(h, valid_positions(in, layout), pool.weights(in), in.weights);
    return {h + at::bmm(beta.unsqueeze(1), h)};
  });
  return "temporal";
}

}  // namespace tributary
