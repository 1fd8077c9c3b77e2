#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "gradients.h"
#include "model/families/encoder.h"
#include "model/layers/attention_kernel.h"
#include "model/layers/operators.h"
#include "support/model_run.h"

namespace tributary {
namespace {

using namespace testing_support;

at::Tensor drawn(std::vector<std::int64_t> shape, std::uint64_t number, double scale, at::ScalarType type = at::kDouble) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    tensor.data_ptr<double>()[i] = scale * (2 * uniform(derive_key(Draw::synth, {number}), static_cast<std::uint64_t>(i)) - 1);
  return tensor.to(type);
}

at::Tensor lengths_of(const std::vector<std::int64_t>& values) { return at::tensor(values, at::kLong); }

Tensors inputs(const std::vector<std::int64_t>& lengths, std::int64_t width, at::ScalarType type) {
  const std::int64_t rows = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  return {{"q", drawn({rows, width}, 1, 2, type)}, {"k", drawn({rows, width}, 2, 2, type)}, {"v", drawn({rows, width}, 3, 1, type)}};
}

Function attention(const std::vector<std::int64_t>& lengths, std::int64_t heads, double p) {
  return [=](const Tensors& in, WeightQueue*) {
    return ops::packed_attention(in.at("q"), in.at("k"), in.at("v"), lengths_of(lengths), heads, p, derive_key(Draw::dropout, {4}));
  };
}

// The same in single precision, between double inputs and a double result.
Function in_float(const Function& function) {
  return [function](const Tensors& in, WeightQueue* queue) {
    Tensors narrow;
    for (const auto& [name, tensor] : in) narrow[name] = tensor.to(at::kFloat);
    return function(narrow, queue).to(at::kDouble);
  };
}

// All sequences padded to one length, padding masked.
at::Tensor padded_attention(const Tensors& in, const std::vector<std::int64_t>& lengths, std::int64_t heads) {
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end()), width = in.at("q").size(1);
  const at::Tensor mask = at::arange(longest).lt(lengths_of(lengths).unsqueeze(1));  // [W, L]
  const at::Tensor places = mask.view({-1}).nonzero().squeeze(1);
  const auto spread = [&](const char* name) {
    return at::zeros({mask.numel(), width}, in.at(name).options().requires_grad(false))
        .index_copy(0, places, in.at(name))
        .view({-1, longest, heads, width / heads})
        .transpose(1, 2);
  };
  const at::Tensor scores = at::matmul(spread("q"), spread("k").transpose(2, 3)) / std::sqrt(static_cast<double>(width / heads));
  const at::Tensor context = at::matmul(ops::masked_softmax(scores, mask.unsqueeze(1).unsqueeze(1)), spread("v"));
  return context.transpose(1, 2).reshape({-1, width}).index_select(0, places);
}

const std::vector<std::vector<std::int64_t>> mixes = {{7}, {1, 2, 33}, {64, 31, 65}, {130, 5, 200}};

TEST(PackedAttention, equals_padded_attention_with_all_gradients_in_double) {
  for (const auto& lengths : mixes)
    for (const auto& [width, heads] : {std::pair{12, 3}, std::pair{64, 1}}) {
      const Tensors in = inputs(lengths, width, at::kDouble);
      const auto padded = [&](const Tensors& tensors, WeightQueue*) { return padded_attention(tensors, lengths, heads); };
      expect_close(evaluate(in, attention(lengths, heads, 0)), evaluate(in, padded), 1e-12);
    }
}

TEST(PackedAttention, in_single_precision_equals_double_with_the_same_weights_dropped) {
  for (const auto& lengths : mixes)
    for (const auto& [width, heads] : {std::pair{12, 3}, std::pair{128, 4}, std::pair{80, 1}})
      for (const double p : {0.0, 0.3}) {
        const Tensors in = inputs(lengths, width, at::kDouble);
        expect_close(evaluate(in, in_float(attention(lengths, heads, p))), evaluate(in, attention(lengths, heads, p)), 1e-5);
      }
}

TEST(PackedAttention, decides_two_weights_by_a_word_the_low_half_first) {
  const Key key = derive_key(Draw::dropout, {5});
  constexpr std::int64_t first = 3, rows = 5, padded = 64;
  for (const std::uint32_t threshold : {0U, 1U, 20000U, 65535U}) {
    std::vector<std::uint8_t> keep;
    ops::draw_attention_mask({key, threshold}, first, rows, padded, keep);
    for (std::uint64_t i = 0; i < rows * padded; ++i) {
      const std::uint64_t weight = first * padded + i;
      const std::uint32_t word = philox(key, weight / 8)[weight / 2 % 4], half = weight % 2 == 0 ? word & 0xFFFFU : word >> 16;
      ASSERT_EQ(keep[i] != 0, half >= threshold) << threshold << " and " << i;
    }
  }
}

TEST(PackedAttention, drops_weights_at_its_rate_anew_for_every_key) {
  const std::vector<std::int64_t> lengths = {100, 60};
  const at::Tensor zeros = at::zeros({160, 4}), ones = at::ones({160, 4});  // equal weights: a row's sum tells how many were kept
  const auto run = [&](std::uint64_t key) { return ops::packed_attention(zeros, zeros, ones, lengths_of(lengths), 4, 0.2, derive_key(Draw::dropout, {key})); };
  const at::Tensor once = run(1);
  EXPECT_TRUE(at::equal(once, run(1)));
  EXPECT_FALSE(at::equal(once, run(2)));
  EXPECT_NEAR(once.mean().item<double>(), 1, 0.01);
  EXPECT_NEAR(once.narrow(0, 0, 100).std().item<double>(), std::sqrt(0.2 / 0.8 / 100), 0.01);
  EXPECT_FALSE(at::equal(once.select(1, 0), once.select(1, 1))) << "heads";
  EXPECT_TRUE(at::equal(run(1), ops::packed_attention(zeros, zeros, ones, lengths_of(lengths), 4, 0.2, derive_key(Draw::dropout, {1}))));
}

TEST(PackedAttention, stays_finite_for_large_scores_and_passes_nan_on) {
  const std::vector<std::int64_t> lengths = {40};
  const at::Tensor large = drawn({40, 32}, 1, 300, at::kFloat), v = drawn({40, 32}, 3, 1, at::kFloat);
  EXPECT_TRUE(at::isfinite(ops::packed_attention(large, large, v, lengths_of(lengths), 1, 0, Key{})).all().item<bool>());
  at::Tensor broken = large.clone();
  broken[3][5].fill_(std::nan(""));
  EXPECT_TRUE(at::isnan(ops::packed_attention(broken, large, v, lengths_of(lengths), 1, 0, Key{})[3]).all().item<bool>());
}

TEST(Gelu, equals_the_library_with_its_gradient_and_gives_an_element_the_same_bits_anywhere) {
  const at::Tensor x = at::cat({at::linspace(-14, 14, 4001, at::kFloat), at::tensor({0.0, -0.0, 1e-30, -60.0, 60.0}, at::kFloat)});
  const auto ours = [](const Tensors& in, WeightQueue*) { return ops::gelu(in.at("x")); };
  const auto library = [](const Tensors& in, WeightQueue*) { return at::gelu(in.at("x"), "none"); };
  const Evaluation found = evaluate({{"x", x.to(at::kDouble)}}, in_float(ours)), wanted = evaluate({{"x", x.to(at::kDouble)}}, library);
  EXPECT_LE((found.value - wanted.value).abs().max().item<double>(), 2e-6);
  EXPECT_LE((found.gradients.at("x") - wanted.gradients.at("x")).abs().max().item<double>(), 4e-6);
  const at::Tensor small = x.abs() < 3;
  EXPECT_LE(((found.value - wanted.value) / wanted.value.abs().clamp_min(1e-30)).masked_select(small).nan_to_num(0).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(at::equal(evaluate({{"x", x.to(at::kDouble)}}, ours).value, wanted.value));
  for (const std::int64_t from : {1, 5, 17}) EXPECT_TRUE(at::equal(ops::gelu(x.narrow(0, from, 101)), ops::gelu(x).narrow(0, from, 101)));
}

// A sequence's hidden states are the same bits alone and packed with others: what a cache of them rests on.
TEST(Encoder, gives_a_window_the_same_bits_alone_and_in_any_pack) {
  TextConfig text;
  text.width = 40;
  text.heads = 4;
  text.intermediate = 72;
  text.positions = 200;
  BlockList list;
  list.outputs = {add_encoder(list, text, 50)};
  const ModelLayout layout = lay_out(list, {0});
  const at::Tensor arena = make_arena(layout.whole, at::kFloat);
  initialise(layout.whole, arena, 3);
  const Engine engine(list, layout);
  const std::vector<std::int64_t> lengths = {3, 200, 17, 64, 2, 133};
  const auto hidden = [&](const std::vector<std::size_t>& windows) {
    Batch batch;
    std::int64_t longest = 0;
    for (const std::size_t w : windows) longest = std::max(longest, lengths[w]);
    batch.notes.window_ids = at::zeros({static_cast<std::int64_t>(windows.size()), longest}, at::kLong);
    std::vector<std::int64_t> own;
    for (std::size_t i = 0; i < windows.size(); ++i) {
      own.push_back(lengths[windows[i]]);
      for (std::int64_t t = 0; t < own.back(); ++t)
        batch.notes.window_ids[static_cast<std::int64_t>(i)][t].fill_(
            static_cast<std::int64_t>(uniform(derive_key(Draw::synth, {windows[i]}), static_cast<std::uint64_t>(t)) * 50));
    }
    batch.notes.window_lengths = lengths_of(own);
    return engine.evaluate(arena, {LeafContext{}, &batch}).outputs.at(0);
  };
  const at::Tensor all = hidden({0, 1, 2, 3, 4, 5}), turned = hidden({5, 1, 0});
  std::int64_t row = 0, compared = 0;
  for (std::size_t w = 0; w < lengths.size(); row += lengths[w++], ++compared)
    EXPECT_TRUE(at::equal(hidden({w}), all.narrow(0, row, lengths[w]))) << lengths[w];
  EXPECT_EQ(compared, 6);
  EXPECT_TRUE(at::equal(turned.narrow(0, 0, 133), all.narrow(0, 286, 133)));
  EXPECT_TRUE(at::equal(turned.narrow(0, 133, 200), all.narrow(0, 3, 200)));
}

}  // namespace
}  // namespace tributary
