// gtest's main for tests that run on several ranks: every rank runs every test; a failure on any rank is the exit code of all.
#include <gmock/gmock.h>

#include <array>
#include <cstdint>
#include <cstdio>

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
  world.maximum(verdict);
  return static_cast<int>(verdict[0]);
}
