// How far every rank of a job is and what it does, readable while all of them wait: what the watchdog's reports are made of.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"

namespace tributary {

[[nodiscard]] std::int64_t steady_ms();  // one clock for all processes of a machine

// Owns: memory shared by the ranks of a node. Each writes its own line; the node's first rank also keeps there what it last heard of the ranks of other nodes
// (see NodeNews), for all of its node to read.
class ProgressTable {
 public:
  // A text of one writer. Two texts that take turns: the one that is read is written again only after the next one, so a hung rank's is whole.
  class Text {
   public:
    static constexpr std::size_t room = 240;
    void write(std::string_view text);
    [[nodiscard]] std::string read() const;

   private:
    std::array<std::array<std::atomic<char>, room>, 2> letters_;
    std::atomic<std::size_t> current_;
  };
  struct alignas(64) Line {
    std::atomic<std::int64_t> steps;     // operations begun
    std::atomic<std::int64_t> beat_ms;   // last sign of life of the rank's watchdog thread: a stopped process gives none
    std::atomic<std::int64_t> heard_ms;  // of ranks of other nodes: when their node was last heard from
    Text where;
  };
  struct Node {
    std::string host;
    std::vector<int> ranks;  // ascending; the first one speaks for the node
  };

  // `node`: those of `comm` with which this rank shares memory, in the same order. Collective: all ranks of `comm`.
  ProgressTable(const Communicator& comm, Communicator node);
  ~ProgressTable();  // Collective: all ranks of the node; not while an exception leaves
  ProgressTable(const ProgressTable&) = delete;
  ProgressTable& operator=(const ProgressTable&) = delete;

  [[nodiscard]] Line& of(int rank) const { return *lines_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }  // by their first ranks
  [[nodiscard]] std::size_t own_node() const { return own_node_; }

 private:
  void find_nodes(const Communicator& comm);

  Communicator node_;
  std::vector<Node> nodes_;
  std::size_t own_node_ = 0;
  MPI_Win window_ = MPI_WIN_NULL;
  std::vector<Line*> lines_;  // by rank
};

}  // namespace tributary
