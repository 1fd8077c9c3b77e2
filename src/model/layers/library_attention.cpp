#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "model/layers/device.h"
#include "model/layers/keep_mask.h"
#include "model/layers/library.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

constexpr std::int64_t most_scores = std::int64_t{1} << 28;  // of a group: bounds what one product makes

// Sequences that are padded to one length.
struct Group {
  std::int64_t windows, length;
};

// The sequences of a packed batch, sorted into groups. Padded, element [w, head, i] of a group is what the head has of position i of the group's w-th sequence;
// the groups stand behind each other.
struct Padding {
  std::vector<Group> groups;
  at::Tensor rows;     // [padded positions] packed row of each; past its sequence's end any
  at::Tensor past;     // [padded positions] bool: past its sequence's end
  at::Tensor element;  // [N] number of each row's padded element of head 0
  at::Tensor step;     // [N] from there to the same row's next head
};

// Longest first; a group's shortest has two thirds of the length of its longest, so that less than half of its scores are of padding.
std::vector<Group> groups_of(const std::vector<std::int64_t>& lengths, const std::vector<std::size_t>& order, std::int64_t heads) {
  std::vector<Group> groups;
  for (const std::size_t w : order) {
    const bool fits = !groups.empty() && 3 * lengths[w] >= 2 * groups.back().length &&
                      (groups.back().windows + 1) * heads * groups.back().length * groups.back().length <= most_scores;
    if (fits)
      ++groups.back().windows;
    else
      groups.push_back({1, lengths[w]});
  }
  return groups;
}

// On the host, then moved to the device of `like`.
Padding pad(const std::vector<std::int64_t>& lengths, std::int64_t heads, const at::Tensor& like) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](std::size_t w) { return lengths[w] == 0; });
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::int64_t> first(lengths.size());
  std::exclusive_scan(lengths.begin(), lengths.end(), first.begin(), std::int64_t{0});
  Padding padding{groups_of(lengths, order, heads), {}, {}, {}, {}};
  std::int64_t places = 0;
  for (const Group& group : padding.groups) places += group.windows * group.length;
  const at::TensorOptions whole(at::kLong);
  const at::Tensor rows = at::zeros({places}, whole), past = at::ones({places}, at::kBool), element = at::empty({like.size(0)}, whole),
                   step = at::empty({like.size(0)}, whole);
  std::int64_t place = 0;
  std::size_t next = 0;
  for (const Group& group : padding.groups)
    for (std::int64_t w = 0; w < group.windows; ++w, place += group.length) {
      const std::size_t window = order[next++];
      const std::int64_t from = first[window], count = lengths[window];
      std::iota(rows.data_ptr<std::int64_t>() + place, rows.data_ptr<std::int64_t>() + place + count, from);
      std::fill_n(past.data_ptr<bool>() + place, count, false);
      std::iota(element.data_ptr<std::int64_t>() + from, element.data_ptr<std::int64_t>() + from + count, place * heads);
      std::fill_n(step.data_ptr<std::int64_t>() + from, count, group.length);
    }
  padding.rows = moved_to(like, rows);
  padding.past = moved_to(like, past);
  padding.element = moved_to(like, element);
  padding.step = moved_to(like, step);
  return padding;
}

// What backward needs of the setting.
struct Setting {
  Padding padding;
  std::int64_t heads = 0, width = 0;  // of a head
  double p = 0;

  [[nodiscard]] double scale() const { return 1 / std::sqrt(static_cast<double>(width)); }

  // Calls work(number, group, first padded position) for each group.
  template <class Work>
  void for_each_group(const Work& work) const {
    std::int64_t place = 0;
    for (std::size_t g = 0; g < padding.groups.size(); place += padding.groups[g].windows * padding.groups[g].length, ++g) work(g, padding.groups[g], place);
  }

  // x [N, d] -> the group's part [windows * heads, length, width], 0 past the ends
  [[nodiscard]] at::Tensor spread(const at::Tensor& x, const Group& group, std::int64_t place) const {
    const std::int64_t count = group.windows * group.length;
    const at::Tensor rows = padding.rows.narrow(0, place, count).view({group.windows, 1, group.length});
    const at::Tensor index = (rows * heads + at::arange(heads, rows.options()).view({1, heads, 1})).view({-1});
    const at::Tensor past = padding.past.narrow(0, place, count).view({group.windows, 1, group.length, 1});
    return x.view({-1, width})
        .index_select(0, index)
        .view({group.windows, heads, group.length, width})
        .masked_fill_(past, 0)
        .view({group.windows * heads, group.length, width});
  }

  // The groups' parts -> [N, d]
  [[nodiscard]] at::Tensor gather(const std::vector<at::Tensor>& parts) const {
    std::vector<at::Tensor> flat;
    for (const at::Tensor& part : parts) flat.push_back(part.reshape({-1, width}));
    const at::Tensor head = at::arange(heads, padding.step.options());
    const at::Tensor index = (padding.element.unsqueeze(1) + padding.step.unsqueeze(1) * head).view({-1});
    return at::cat(flat).index_select(0, index).view({padding.element.size(0), heads * width});
  }

  [[nodiscard]] at::Tensor dropped(const at::Tensor& weights, const at::Tensor& keep) const { return at::where(keep, weights * (1 / (1 - p)), 0); }
};

struct Attended {
  at::Tensor out;                          // [N, d]
  std::vector<at::Tensor> weights, masks;  // of each group [windows * heads, length, length]; masks: none without dropout
};

Attended attend(const Setting& setting, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Key& key) {
  Attended result;
  std::vector<at::Tensor> parts;
  setting.for_each_group([&](std::size_t number, const Group& group, std::int64_t place) {
    const auto part = [&](const at::Tensor& x) { return setting.spread(x, group, place); };
    const at::Tensor scores = at::bmm(part(q) * setting.scale(), part(k).transpose(1, 2));
    const at::Tensor past = setting.padding.past.narrow(0, place, group.windows * group.length).view({group.windows, 1, 1, group.length});
    scores.view({group.windows, setting.heads, group.length, group.length}).masked_fill_(past, -std::numeric_limits<double>::infinity());
    result.weights.push_back(at::softmax(scores, -1));
    at::Tensor used = result.weights.back();
    if (setting.p > 0) {
      result.masks.push_back(keep_mask(used.sizes(), setting.p, derive_key(Draw::dropout, {key.low, key.high, number}), q.device()));
      used = setting.dropped(used, result.masks.back());
    }
    parts.push_back(at::bmm(used, part(v)));
  });
  result.out = setting.gather(parts);
  return result;
}

struct LibraryAttention : torch::autograd::Function<LibraryAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Setting& setting, const Key& key) {
    const Attended result = attend(setting, q, k, v, key);
    const Padding& padding = setting.padding;
    std::vector<std::int64_t> groups;
    for (const Group& group : padding.groups) groups.insert(groups.end(), {group.windows, group.length});
    ctx->save_for_backward({q, k, v});
    ctx->saved_data["weights"] = result.weights;
    ctx->saved_data["masks"] = result.masks;
    ctx->saved_data["groups"] = groups;
    ctx->saved_data["padding"] = std::vector<at::Tensor>{padding.rows, padding.past, padding.element, padding.step};
    ctx->saved_data["heads"] = setting.heads;
    ctx->saved_data["p"] = setting.p;
    return result.out;
  }

  static Setting setting_of(AutogradContext* ctx, std::int64_t width) {
    const std::vector<at::Tensor> kept = ctx->saved_data.at("padding").toTensorVector();
    const std::vector<std::int64_t> sizes = ctx->saved_data.at("groups").toIntVector();
    const std::int64_t heads = ctx->saved_data.at("heads").toInt();
    Setting setting{{{}, kept[0], kept[1], kept[2], kept[3]}, heads, width / heads, ctx->saved_data.at("p").toDouble()};
    for (std::size_t i = 0; i < sizes.size(); i += 2) setting.padding.groups.push_back({sizes[i], sizes[i + 1]});
    return setting;
  }

  // Gathers and products alone: no sum whose order a device is free to choose.
  static variable_list backward(AutogradContext* ctx, const variable_list& given) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], dy = given[0].contiguous();
    const std::vector<at::Tensor> all_weights = ctx->saved_data.at("weights").toTensorVector(), masks = ctx->saved_data.at("masks").toTensorVector();
    const Setting setting = setting_of(ctx, q.size(1));
    std::vector<at::Tensor> to_q, to_k, to_v;
    setting.for_each_group([&](std::size_t number, const Group& group, std::int64_t place) {
      const auto part = [&](const at::Tensor& x) { return setting.spread(x, group, place); };
      const at::Tensor &weights = all_weights[number], of_out = part(dy);
      const bool drops = !masks.empty();
      to_v.push_back(at::bmm((drops ? setting.dropped(weights, masks[number]) : weights).transpose(1, 2), of_out));
      at::Tensor of_weights = at::bmm(of_out, part(v).transpose(1, 2));
      if (drops) of_weights = setting.dropped(of_weights, masks[number]);
      const at::Tensor of_scores = at::_softmax_backward_data(of_weights, weights, -1, weights.scalar_type());
      to_q.push_back(at::bmm(of_scores, part(k)) * setting.scale());
      to_k.push_back(at::bmm(of_scores.transpose(1, 2), part(q) * setting.scale()));
    });
    return {setting.gather(to_q), setting.gather(to_k), setting.gather(to_v), {}, {}};
  }
};

}  // namespace

at::Tensor library::packed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& lengths, std::int64_t heads, double p,
                                     const Key& key) {
  check(lengths.is_cpu(), "packed_attention: the lengths are not in host memory");
  if (q.size(0) == 0) return q.clone();
  const at::Tensor counted = lengths.contiguous();
  const auto* first = counted.const_data_ptr<std::int64_t>();
  const Setting setting{pad({first, first + counted.numel()}, heads, q), heads, q.size(1) / heads, p};
  const bool wanted = at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  const at::Tensor dense_q = q.contiguous(), dense_k = k.contiguous(), dense_v = v.contiguous();
  return wanted ? LibraryAttention::apply(dense_q, dense_k, dense_v, setting, key) : attend(setting, dense_q, dense_k, dense_v, key).out;
}

}  // namespace tributary::ops
