// What the nodes of a job tell each other of their ranks' progress, so that a watchdog can name a missing rank of another node.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <thread>

#include "comm/progress_table.h"

namespace tributary {

// On the first rank of each node a thread which tells those of all other nodes the lines of its node, and writes down in the table what they tell. Nobody waits
// for anybody: a node that stands still has at most one message of each other one to take, and what is not told goes stale, with `heard_ms` as its age. A
// thread of its own, apart from the watchdog's, since a call of MPI may wait for a lock that a hung call holds. Needs MPI_THREAD_MULTIPLE.
class NodeNews {
 public:
  // Keeps a reference to the table. Collective: all ranks of `comm`.
  NodeNews(const Communicator& comm, ProgressTable& table, std::chrono::steady_clock::duration interval);
  ~NodeNews();  // Collective: all ranks; not while an exception leaves, which abandons messages under way
  NodeNews(const NodeNews&) = delete;
  NodeNews& operator=(const NodeNews&) = delete;

 private:
  struct Post;  // messages under way
  void run(const std::stop_token& stop);
  void take();
  void give();
  [[nodiscard]] bool end();  // false: MPI failed

  ProgressTable& table_;
  std::chrono::steady_clock::duration interval_;
  std::unique_ptr<Post> post_;  // null where nothing is told
  std::jthread thread_;         // last: it uses all of the above
};

}  // namespace tributary
