// gtest's main, with one addition: under CI=true a skipped test is a failure, because CI has all that tests may need.
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  const int result = RUN_ALL_TESTS();
  const char* ci = std::getenv("CI");
  const int skipped = testing::UnitTest::GetInstance()->skipped_test_count();
  if (result == 0 && skipped > 0 && ci != nullptr && std::string_view(ci) == "true") {
    std::fprintf(stderr, "%d test(s) skipped, which CI does not allow\n", skipped);
    return 1;
  }
  return result;
}
