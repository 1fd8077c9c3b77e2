// gtest's main for tests that run on several ranks: every rank runs every test; a failure on any rank is the exit code of all.
#include <gmock/gmock.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "comm/communicator.h"

int main(int argc, char** argv) {
  const tributary::MpiRuntime runtime(argc, argv);
  testing::InitGoogleMock(&argc, argv);
  const auto world = tributary::Communicator::world();
  if (world.rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    class FailuresOnly : public testing::EmptyTestEventListener {
      void OnTestPartResult(const testing::TestPartResult& result) override {
        if (result.failed()) std::fprintf(stderr, "%s:%d: %s\n", result.file_name(), result.line_number(), result.message());
      }
    };
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOnly);
  }
  std::array<std::int64_t, 1> verdict{RUN_ALL_TESTS()};
  const char* ci = std::getenv("CI");
  if (verdict[0] == 0 && testing::UnitTest::GetInstance()->skipped_test_count() > 0 && ci != nullptr && std::string_view(ci) == "true") {
    std::fprintf(stderr, "rank %d skipped a test, which CI does not allow\n", world.rank());
    verdict[0] = 1;
  }
  world.maximum(verdict);
  return static_cast<int>(verdict[0]);
}
