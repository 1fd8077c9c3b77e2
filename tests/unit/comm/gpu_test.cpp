#include "comm/gpu.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tributary {
namespace {

TEST(Gpu, is_refused_with_the_remedy_when_the_build_has_none) {
  try {
    require_gpu(GpuSupport{});
    FAIL() << "accepted a build without CUDA";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 69);
    EXPECT_NE(std::string(error.what()).find("preset `cuda`"), std::string::npos);
  }
}

TEST(Gpu, is_refused_with_the_drivers_words_when_the_machine_has_none) {
  GpuSupport support;
  support.built = true;
  support.problem = "no CUDA-capable device is detected";
  try {
    require_gpu(support);
    FAIL() << "accepted a machine without a GPU";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 69);
    EXPECT_NE(std::string(error.what()).find(support.problem), std::string::npos);
  }
}

TEST(Gpu, support_names_devices_or_the_reason_why_there_are_none) {
  const GpuSupport support = gpu_support();
  if (support.built) {
    EXPECT_FALSE(support.nccl_version.empty());
    EXPECT_NE(support.devices.empty(), support.problem.empty());
  } else {
    EXPECT_TRUE(support.devices.empty());
  }
}

}  // namespace
}  // namespace tributary
