// One job at a time in a run directory: a lock that the kernel gives back when its holder ends, however it ends.
#pragma once

#include <filesystem>
#include <string>

namespace tributary {

// Holds <run_dir>/.lock, in which host, process and job of the holder stand. Rank 0 makes one.
class RunLock {
 public:
  // `job`: the scheduler's name for this job; may be empty.
  // Throws: Error{launch} naming the holder when another job has the directory; Error{cannot_create, io}.
  RunLock(const std::filesystem::path& run_dir, const std::string& job);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  [[nodiscard]] bool held() const { return held_; }  // false where the file system knows no locks

 private:
  int descriptor_ = -1;
  bool held_ = false;
};

[[nodiscard]] std::string host_name();

}  // namespace tributary
