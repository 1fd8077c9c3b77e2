// A folder of rank 0 that all ranks of a test use; gone when the last rank is done with it.
#pragma once

#include <optional>

#include "comm/communicator.h"
#include "support/folder.h"

namespace tributary::test {

class SharedFolder {
 public:
  explicit SharedFolder(const Communicator& comm) : comm_(comm) {  // Collective, as is the destructor
    if (comm.rank() == 0) own_.emplace();
    path_ = comm.broadcast(own_ ? own_->path().string() : std::string(), 0);
  }
  ~SharedFolder() { comm_.barrier(); }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  const Communicator& comm_;
  std::optional<Folder> own_;
  std::filesystem::path path_;
};

}  // namespace tributary::test
