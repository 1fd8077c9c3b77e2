#include "comm/gpu.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace tributary {
namespace {

using testing::HasSubstr;

template <class Work>
std::string refusal(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 69);
    return error.what();
  }
  return "taken";
}

GpuSupport support_of(std::vector<int> architectures, std::vector<int> capabilities) {
  GpuSupport support;
  support.built = true;
  support.architectures = std::move(architectures);
  for (const int capability : capabilities) support.devices.push_back({"a GPU, sm_" + std::to_string(capability), capability, std::to_string(capability)});
  return support;
}

std::vector<int> chosen(const std::vector<std::vector<std::string>>& visible, bool share) {
  std::vector<int> devices;
  for (int local = 0; local < static_cast<int>(visible.size()); ++local) devices.push_back(choose_gpu(local, visible, share));
  return devices;
}

TEST(Gpu, is_refused_with_the_remedy_when_the_build_has_none) {
  EXPECT_THAT(refusal([] { require_gpu(GpuSupport{}); }), HasSubstr("preset `cuda`"));
}

TEST(Gpu, is_refused_with_the_drivers_words_when_the_machine_has_none) {
  GpuSupport support;
  support.built = true;
  support.problem = "no CUDA-capable device is detected";
  EXPECT_THAT(refusal([&] { require_gpu(support); }), HasSubstr(support.problem));
}

TEST(Gpu, is_refused_when_LibTorch_has_no_kernels_for_it) {
  const std::vector<int> cuda13 = {75, 80, 86, 90, 100, 120};
  EXPECT_EQ(refusal([&] { require_gpu(support_of(cuda13, {75, 80, 86, 87, 89, 90, 100, 103, 120, 121})); }), "taken");
  EXPECT_EQ(refusal([&] { require_gpu(support_of({70, 75}, {70})); }), "taken");
  EXPECT_THAT(refusal([&] { require_gpu(support_of(cuda13, {90, 70})); }), HasSubstr("sm_75, sm_80, sm_86, sm_90, sm_100, sm_120, and none for a GPU, sm_70"));
  EXPECT_THAT(refusal([&] { require_gpu(support_of(cuda13, {70})); }), HasSubstr("`v100`"));
  EXPECT_FALSE(has_kernels({86}, 80)) << "a lower minor one";
  EXPECT_FALSE(has_kernels({90}, 100)) << "another major one";
  EXPECT_FALSE(has_kernels({}, 90));
}

TEST(Gpu, of_its_own_goes_to_each_rank_of_a_node_whichever_it_sees) {
  const std::vector<std::string> all = {"a", "b", "c"};
  EXPECT_EQ(chosen({all, all, all}, false), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(chosen({all, all}, false), (std::vector<int>{0, 1}));
  EXPECT_EQ(chosen({{"a"}, {"b"}, {"c"}}, false), (std::vector<int>{0, 0, 0})) << "a launcher that shows every rank its own";
  EXPECT_EQ(chosen({{"a", "b"}, {"b", "a"}}, false), (std::vector<int>{0, 0})) << "numbers are a process's own";
  EXPECT_EQ(chosen({{"a", "b"}, {"a", "b"}, {"c"}}, true), (std::vector<int>{0, 1, 0})) << "nothing is shared while there are enough";
}

TEST(Gpu, is_shared_evenly_where_that_is_asked_for_and_refused_with_both_numbers_otherwise) {
  const std::vector<std::string> one = {"a"}, two = {"a", "b"};
  EXPECT_EQ(chosen({one, one, one, one}, true), (std::vector<int>{0, 0, 0, 0}));
  EXPECT_EQ(chosen({two, two, two, two, two}, true), (std::vector<int>{0, 1, 0, 1, 0}));
  const std::string words = refusal([&] { static_cast<void>(chosen({two, two, two}, false)); });
  EXPECT_THAT(words, HasSubstr("3 rank(s) on this node, 2 GPU(s)"));
  for (const char* knob : {"fewer ranks a node", "--gres=gpu:3", "run.share_gpu = true"}) EXPECT_THAT(words, HasSubstr(knob));
  for (int local = 0; local < 3; ++local)
    EXPECT_EQ(refusal([&] { static_cast<void>(choose_gpu(local, {one, one, one}, false)); }) == "taken", local == 0) << "local rank " << local;
  EXPECT_THAT(refusal([&] { static_cast<void>(choose_gpu(0, {{}, one}, true)); }), HasSubstr("local rank 0"));
}

TEST(Gpu, support_names_devices_or_the_reason_why_there_are_none) {
  const GpuSupport support = gpu_support();
  if (support.built) {
    EXPECT_FALSE(support.nccl_version.empty());
    EXPECT_FALSE(support.architectures.empty());
    EXPECT_NE(support.devices.empty(), support.problem.empty());
  } else {
    EXPECT_TRUE(support.devices.empty());
    EXPECT_THAT(refusal([] { use_gpu(0); }), HasSubstr("built without CUDA"));
  }
}

}  // namespace
}  // namespace tributary
