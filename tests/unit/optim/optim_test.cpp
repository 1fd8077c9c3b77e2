#include <gmock/gmock.h>

#include <cmath>

#include "base/error.h"
#include "optim/adamw.h"
#include "optim/adamw_kernel.h"
#include "optim/lr_schedule.h"
#include "optim/norm.h"

namespace tributary {
namespace {

at::Tensor random(std::int64_t count, std::uint64_t seed, double low, double high) {
  at::Tensor values = at::empty({count}, at::kFloat);
  const Key key = derive_key(Draw::synth, {seed});
  for (std::int64_t i = 0; i < count; ++i) values.data_ptr<float>()[i] = static_cast<float>(low + (high - low) * uniform(key, static_cast<std::uint64_t>(i)));
  return values;
}

struct Vectors {
  explicit Vectors(std::int64_t count) : g(random(count, 1, -2, 2)), m(random(count, 2, -1, 1)), v(random(count, 3, 0, 1)), p(random(count, 4, -1, 1)) {}
  at::Tensor g, m, v, p;
  void update(const AdamScalars& s, std::int64_t first, std::int64_t last) {
    adamw_elements(last - first, s, g.data_ptr<float>() + first, m.data_ptr<float>() + first, v.data_ptr<float>() + first, p.data_ptr<float>() + first);
  }
};

TEST(AdamW, gives_an_element_the_same_bits_in_any_slice_at_any_alignment) {
  const AdamScalars s{0.9F, 0.1F, 0.999F, 0.001F, 0.9999F, 1.3e-3F, 2.1F, 1e-8F, 0.7F};
  constexpr std::int64_t count = 517;
  Vectors whole(count);
  whole.update(s, 0, count);
  for (std::int64_t size : {1, 2, 3, 5, 7, 8, 13, 64, 101}) {
    Vectors sliced(count);
    for (std::int64_t begin = 0; begin < count; begin += size) sliced.update(s, begin, std::min(begin + size, count));
    EXPECT_TRUE(at::equal(whole.p, sliced.p) && at::equal(whole.m, sliced.m) && at::equal(whole.v, sliced.v)) << "slices of " << size;
  }
  EXPECT_FALSE(at::equal(whole.p, Vectors(count).p));
}

TEST(AdamW, follows_the_published_update_with_decay_factors_and_frozen_entries) {
  const ParameterLayout layout = make_layout({{"encoder.w", {1500}, Init::zeros},
                                              {"head.b", {5}, Init::zeros, 0, false},
                                              {"head.w", {1100}, Init::zeros},
                                              {"ice", {40}, Init::zeros, 0, true, false}});
  OptimConfig config;
  config.weight_decay = 0.1;
  config.factor = {{"encoder", 0.5}};
  at::Tensor parameters = random(layout.total, 8, -1, 1), before = parameters.clone();
  AdamState state{at::zeros({layout.total}), at::zeros({layout.total}), 0};
  at::Tensor p = before.to(at::kDouble), m = at::zeros_like(p), v = at::zeros_like(p);
  for (int t = 1; t <= 3; ++t) {
    const at::Tensor gradient = random(layout.total, 10 + static_cast<std::uint64_t>(t), -1, 1);
    update_slice(layout, config, {0.01, 0.5}, 0, gradient, state, parameters);
    const at::Tensor g = gradient.to(at::kDouble) * 0.5;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    for (const auto& [name, rate, decay] : {std::tuple{"encoder.w", 0.005, 0.1}, std::tuple{"head.b", 0.01, 0.0}, std::tuple{"head.w", 0.01, 0.1}}) {
      const auto e = layout.find(name);
      const auto part = [&](const at::Tensor& t1) { return view_of(layout, t1, e); };
      part(p).copy_(part(p) * (1 - rate * decay) - rate * (part(m) / (1 - std::pow(0.9, t))) / ((part(v) / (1 - std::pow(0.999, t))).sqrt() + 1e-8));
    }
  }
  EXPECT_EQ(state.updates, 3);
  int compared = 0;
  for (std::size_t e = 0; e < layout.entries.size(); ++e, ++compared) {
    const at::Tensor now = view_of(layout, parameters, e);
    EXPECT_TRUE(at::allclose(now.to(at::kDouble), view_of(layout, p, e), 1e-5, 1e-6)) << layout.entries[e].spec.name;
    EXPECT_EQ(at::equal(now, view_of(layout, before, e)), !layout.entries[e].spec.trainable);
    const auto& entry = layout.entries[e];  // padding stays as it was
    EXPECT_TRUE(at::equal(parameters.narrow(0, entry.offset + entry.spec.count(), entry.padded - entry.spec.count()),
                          before.narrow(0, entry.offset + entry.spec.count(), entry.padded - entry.spec.count())));
  }
  EXPECT_EQ(compared, 4);
}

TEST(AdamW, by_the_library_is_the_same_update_for_any_slices_up_to_rounding) {
  const ParameterLayout layout = make_layout({{"encoder.w", {1500}, Init::zeros}, {"head.b", {5}, Init::zeros, 0, false}, {"head.w", {1100}, Init::zeros}});
  OptimConfig config;
  config.weight_decay = 0.1;
  config.factor = {{"encoder", 0.5}};
  const at::Tensor own = random(layout.total, 8, -1, 1), library = own.clone();
  AdamState of_own = make_adam_state(layout.total);
  std::vector<AdamState> of_library;
  const ArenaSlices slices = slice_arena(layout.total, 2);
  for (const std::int64_t count : slices.counts) of_library.push_back(make_adam_state(count));
  for (std::uint64_t t = 1; t <= 3; ++t) {
    const at::Tensor gradient = random(layout.total, 10 + t, -1, 1);
    update_slice(layout, config, {0.01, 0.5}, 0, gradient, of_own, own);
    for (std::size_t r = 0; r < of_library.size(); ++r) {
      ++of_library[r].updates;
      update_by_library(layout, config, {0.01, 0.5}, slices.offsets[r], gradient.narrow(0, slices.offsets[r], slices.counts[r]), of_library[r], library);
    }
  }
  EXPECT_TRUE(at::allclose(own, library, 1e-5, 1e-7));
  EXPECT_FALSE(at::allclose(own, random(layout.total, 8, -1, 1), 1e-3, 1e-3)) << "nothing moved";
}

TEST(Slices, are_whole_blocks_that_cover_the_arena_for_any_number_of_ranks) {
  for (int ranks = 1; ranks <= 9; ++ranks) {
    const ArenaSlices slices = slice_arena(7 * arena_block, ranks);
    std::int64_t next = 0;
    for (std::size_t r = 0; r < slices.counts.size(); ++r) {
      EXPECT_EQ(slices.offsets[r], next);
      EXPECT_EQ(slices.counts[r] % arena_block, 0);
      next += slices.counts[r];
    }
    EXPECT_EQ(next, 7 * arena_block);
  }
}

TEST(LearningRate, warms_up_linearly_and_ends_the_cosine_at_its_fraction) {
  OptimConfig config;
  config.learning_rate = 2;
  config.warmup_steps = 4;
  config.final_fraction = 0.1;
  EXPECT_DOUBLE_EQ(learning_rate(config, 0, 104), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 3, 104), 2);
  EXPECT_DOUBLE_EQ(learning_rate(config, 4, 104), 2);
  EXPECT_NEAR(learning_rate(config, 54, 104), 1.1, 1e-12);
  EXPECT_NEAR(learning_rate(config, 104, 104), 0.2, 1e-12);
  EXPECT_NEAR(learning_rate(config, 9999, 104), 0.2, 1e-12);
  config.schedule = "constant";
  EXPECT_DOUBLE_EQ(learning_rate(config, 90, 104), 2);
}

TEST(Clip, scales_only_what_is_too_long) {
  EXPECT_EQ(clip_factor(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_factor(4.0, 1.0), 0.25);
  EXPECT_EQ(clip_factor(4.0, 0.0), 1.0);
}

}  // namespace
}  // namespace tributary
