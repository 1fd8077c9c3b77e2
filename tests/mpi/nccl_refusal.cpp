// What asks for NCCL where no GPU is to be seen (the test's environment hides all), in builds with and without CUDA.
#include <gmock/gmock.h>

#include "base/error.h"
#include "comm/gpu.h"
#include "comm/nccl_wire.h"

namespace tributary {
namespace {

TEST(NcclWire, is_refused_on_all_ranks_with_the_cause_where_there_is_no_gpu) {
  const auto world = Communicator::world();
  const GpuSupport support = gpu_support();
  ASSERT_TRUE(support.devices.empty());
  try {
    static_cast<void>(make_nccl_wire(world, nullptr, nullptr));
    FAIL() << "a wire between no GPUs";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    EXPECT_EQ(error.exit_code(), 69);
    const std::string cause = support.built ? support.problem : "launch/setup --cuda";
    ASSERT_NE(cause, "");
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("rank "), testing::HasSubstr(cause)));
  }
}

}  // namespace
}  // namespace tributary
