// A machine that gives no thread.
#pragma once

#include <gtest/gtest.h>
#include <pthread.h>

#include <cstddef>
#include <string>

#include "base/error.h"

namespace tributary::testing_support {

// As long as it lives none starts. A stack that no machine has room for stands for the limits of processes, which root may pass.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge = before_;
    pthread_attr_setstacksize(&huge, std::size_t{1} << 47);
    pthread_setattr_default_np(&huge);
  }
  ~NoThreads() { pthread_setattr_default_np(&before_); }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t before_{};
};

// That `make` is refused for want of a thread for `purpose`, with the limits to look at.
template <class Make>
void expect_no_thread_for(const std::string& purpose, const Make& make) {
  const NoThreads none;
  try {
    make();
    ADD_FAILURE() << "a thread has started";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::launch);
    EXPECT_EQ(std::string(error.what()).find("no thread for " + purpose), 0) << error.what();
    EXPECT_NE(std::string(error.what()).find("ulimit -u"), std::string::npos) << error.what();
  }
}

}  // namespace tributary::testing_support
