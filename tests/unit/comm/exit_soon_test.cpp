#include "comm/exit_soon.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "support/no_threads.h"

namespace tributary {
namespace {

using testing::AllOf;
using testing::ExitedWithCode;
using testing::HasSubstr;

TEST(ExitSoonDeathTest, ends_a_process_that_hangs) {
  const auto hang = [] {
    exit_soon(65);
    std::this_thread::sleep_for(std::chrono::minutes(1));
    std::_Exit(0);
  };
  EXPECT_EXIT(hang(), ExitedWithCode(65), "");
}

TEST(ExitSoonDeathTest, leaves_at_once_with_the_code_and_all_that_was_said_where_no_thread_is_to_be_had) {
  const auto leave = [] {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    std::setvbuf(stdout, nullptr, _IOFBF, BUFSIZ);
    std::fputs("said before; ", stdout);
    const testing_support::NoThreads none;
    exit_soon(76, "last words; ");
    std::_Exit(0);
  };
  EXPECT_EXIT(leave(), ExitedWithCode(76), AllOf(HasSubstr("said before; "), HasSubstr("last words; ")));
}

}  // namespace
}  // namespace tributary
