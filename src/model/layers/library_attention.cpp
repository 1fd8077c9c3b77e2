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

constexpr std::int64_t most_of_group = std::int64_t{1} << 28;  // of a group: bounds what one product makes

// Sequences that are padded to one length.
struct Group {
  std::int64_t windows, length;
  bool full;  // all have that length
};

// The sequences of a packed batch, sorted into groups which stand behind each other: padded position `place` belongs to a group, a sequence of it, and a token.
struct Padding {
  std::vector<Group> groups;
  // Undefined where the padded positions are the packed rows themselves: all sequences have one length.
  at::Tensor rows;      // [padded positions] packed row of each; past its sequence's end any
  at::Tensor past;      // [padded positions, 1] bool: past its sequence's end
  at::Tensor position;  // [N] padded position of each packed row
  [[nodiscard]] bool in_order() const { return !rows.defined(); }
};

// Longest first; a group's shortest has two thirds of the length of its longest, so that less than half of its scores are of padding.
std::vector<Group> groups_of(const std::vector<std::int64_t>& lengths, const std::vector<std::size_t>& order, std::int64_t heads) {
  std::vector<Group> groups;
  for (const std::size_t w : order) {
    const bool fits = !groups.empty() && 3 * lengths[w] >= 2 * groups.back().length &&
                      (groups.back().windows + 1) * heads * groups.back().length * groups.back().length <= most_of_group;
    if (fits) {
      ++groups.back().windows;
      groups.back().full = groups.back().full && lengths[w] == groups.back().length;
    } else {
      groups.push_back({1, lengths[w], true});
    }
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
  Padding padding{groups_of(lengths, order, heads), {}, {}, {}};
  if (std::all_of(order.begin(), order.end(), [&](std::size_t w) { return lengths[w] == lengths[order.front()]; })) return padding;
  std::int64_t places = 0;
  for (const Group& group : padding.groups) places += group.windows * group.length;
  const at::Tensor rows = at::zeros({places}, at::kLong), past = at::ones({places, 1}, at::kBool), position = at::empty({like.size(0)}, at::kLong);
  std::int64_t place = 0;
  std::size_t next = 0;
  for (const Group& group : padding.groups)
    for (std::int64_t w = 0; w < group.windows; ++w, place += group.length) {
      const std::size_t window = order[next++];
      const std::int64_t from = first[window], count = lengths[window];
      std::iota(rows.data_ptr<std::int64_t>() + place, rows.data_ptr<std::int64_t>() + place + count, from);
      std::fill_n(past.data_ptr<bool>() + place, count, false);
      std::iota(position.data_ptr<std::int64_t>() + from, position.data_ptr<std::int64_t>() + from + count, place);
    }
  padding.rows = moved_to(like, rows);
  padding.past = moved_to(like, past);
  padding.position = moved_to(like, position);
  return padding;
}

// a b scaled, the scale inside the product's accumulation.
at::Tensor scaled_product(const at::Tensor& a, const at::Tensor& b, double scale) { return at::baddbmm(at::empty({1, 1, 1}, a.options()), a, b, 0, scale); }

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
    at::Tensor part = padding.in_order() ? x.narrow(0, place, count) : x.index_select(0, padding.rows.narrow(0, place, count));
    if (!group.full) part.masked_fill_(padding.past.narrow(0, place, count), 0);
    return part.view({group.windows, group.length, heads, width}).transpose(1, 2).reshape({group.windows * heads, group.length, width});
  }

  // The groups' parts -> [N, d]
  [[nodiscard]] at::Tensor gather(const std::vector<at::Tensor>& parts) const {
    std::vector<at::Tensor> flat;
    for (std::size_t g = 0; g < parts.size(); ++g) {
      const Group& group = padding.groups[g];
      flat.push_back(parts[g].view({group.windows, heads, group.length, width}).transpose(1, 2).reshape({group.windows * group.length, heads * width}));
    }
    const at::Tensor padded = flat.size() == 1 ? flat.front() : at::cat(flat);
    return padding.in_order() ? padded : padded.index_select(0, padding.position);
  }

  [[nodiscard]] at::Tensor dropped(const at::Tensor& weights, const at::Tensor& keep) const { return at::native_dropout_backward(weights, keep, 1 / (1 - p)); }
};

struct LibraryAttended {
  at::Tensor out;                                   // [N, d]
  std::vector<at::Tensor> q, k, v, weights, masks;  // of each group: as spread() gives them; [windows * heads, length, length], masks: none without dropout
};

LibraryAttended attend(const Setting& setting, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Key& key) {
  LibraryAttended result;
  std::vector<at::Tensor> parts;
  setting.for_each_group([&](std::size_t number, const Group& group, std::int64_t place) {
    result.q.push_back(setting.spread(q, group, place));
    result.k.push_back(setting.spread(k, group, place));
    result.v.push_back(setting.spread(v, group, place));
    const at::Tensor scores = scaled_product(result.q.back(), result.k.back().transpose(1, 2), setting.scale());
    if (!group.full) {
      const at::Tensor past = setting.padding.past.narrow(0, place, group.windows * group.length).view({group.windows, 1, 1, group.length});
      scores.view({group.windows, setting.heads, group.length, group.length}).masked_fill_(past, -std::numeric_limits<double>::infinity());
    }
    result.weights.push_back(at::softmax(scores, -1));
    at::Tensor used = result.weights.back();
    if (setting.p > 0) {
      result.masks.push_back(keep_mask(used.sizes(), setting.p, derive_key(Draw::dropout, {key.low, key.high, number}), q.device()));
      used = setting.dropped(used, result.masks.back());
    }
    parts.push_back(at::bmm(used, result.v.back()));
  });
  result.out = setting.gather(parts);
  return result;
}

struct LibraryAttention : torch::autograd::Function<LibraryAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Setting& setting, const Key& key) {
    const LibraryAttended result = attend(setting, q, k, v, key);
    const Padding& padding = setting.padding;
    std::vector<std::int64_t> groups;
    for (const Group& group : padding.groups) groups.insert(groups.end(), {group.windows, group.length, static_cast<std::int64_t>(group.full)});
    ctx->saved_data["q"] = result.q;
    ctx->saved_data["k"] = result.k;
    ctx->saved_data["v"] = result.v;
    ctx->saved_data["weights"] = result.weights;
    ctx->saved_data["masks"] = result.masks;
    ctx->saved_data["groups"] = groups;
    if (!padding.in_order()) ctx->saved_data["padding"] = std::vector<at::Tensor>{padding.rows, padding.past, padding.position};
    ctx->saved_data["heads"] = setting.heads;
    ctx->saved_data["p"] = setting.p;
    return result.out;
  }

  static Setting setting_of(AutogradContext* ctx, std::int64_t width) {
    const std::vector<std::int64_t> sizes = ctx->saved_data.at("groups").toIntVector();
    const std::int64_t heads = ctx->saved_data.at("heads").toInt();
    Setting setting{{}, heads, width / heads, ctx->saved_data.at("p").toDouble()};
    for (std::size_t i = 0; i < sizes.size(); i += 3) setting.padding.groups.push_back({sizes[i], sizes[i + 1], sizes[i + 2] != 0});
    if (const auto kept = ctx->saved_data.find("padding"); kept != ctx->saved_data.end()) {
      const std::vector<at::Tensor> tensors = kept->second.toTensorVector();
      setting.padding.rows = tensors[0];
      setting.padding.past = tensors[1];
      setting.padding.position = tensors[2];
    }
    return setting;
  }

  // Gathers and products alone: no sum whose order a device is free to choose.
  static variable_list backward(AutogradContext* ctx, const variable_list& given) {
    const at::Tensor dy = given[0].contiguous();
    const auto kept = [&](const char* name) { return ctx->saved_data.at(name).toTensorVector(); };
    const std::vector<at::Tensor> q = kept("q"), k = kept("k"), v = kept("v"), all_weights = kept("weights"), masks = kept("masks");
    const Setting setting = setting_of(ctx, dy.size(1));
    std::vector<at::Tensor> to_q, to_k, to_v;
    setting.for_each_group([&](std::size_t g, const Group& group, std::int64_t place) {
      const at::Tensor &weights = all_weights[g], of_out = setting.spread(dy, group, place);
      const bool drops = !masks.empty();
      to_v.push_back(at::bmm((drops ? setting.dropped(weights, masks[g]) : weights).transpose(1, 2), of_out));
      at::Tensor of_weights = at::bmm(of_out, v[g].transpose(1, 2));
      if (drops) of_weights = setting.dropped(of_weights, masks[g]);
      const at::Tensor of_scores = at::_softmax_backward_data(of_weights, weights, -1, weights.scalar_type());
      to_q.push_back(scaled_product(of_scores, k[g], setting.scale()));
      to_k.push_back(scaled_product(of_scores.transpose(1, 2), q[g], setting.scale()));
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
