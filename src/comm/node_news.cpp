#include "comm/node_news.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <vector>

#include "comm/start_thread.h"

namespace tributary {
namespace {

constexpr int news_tag = 13;

}  // namespace

struct NodeNews::Post {
  struct ToldLine {
    std::int64_t steps, silent_ms;  // an age, since each machine has a clock of its own
    std::array<char, ProgressTable::Text::room> where;
  };

  Post(Communicator first_ranks, const std::vector<ProgressTable::Node>& nodes)
      : comm(std::move(first_ranks)),
        incoming(nodes.size()),
        outgoing(nodes.size()),
        receives(nodes.size(), MPI_REQUEST_NULL),
        sends(nodes.size(), MPI_REQUEST_NULL),
        taken(nodes.size()) {
    for (std::size_t node = 0; node < nodes.size(); ++node) incoming[node].resize(nodes[node].ranks.size());
  }

  void expect(std::size_t node) {
    MPI_Irecv(incoming[node].data(), bytes(incoming[node]), MPI_BYTE, static_cast<int>(node), news_tag, comm.handle(), &receives[node]);
  }
  // Synchronous, so that nothing piles up at a node that does not listen.
  void send(std::size_t node, const std::vector<ToldLine>& lines) {
    outgoing[node] = lines;
    MPI_Issend(outgoing[node].data(), bytes(outgoing[node]), MPI_BYTE, static_cast<int>(node), news_tag, comm.handle(), &sends[node]);
  }
  static int bytes(const std::vector<ToldLine>& lines) { return static_cast<int>(lines.size() * sizeof(ToldLine)); }

  Communicator comm;                                      // of the nodes' first ranks; the ranks in it number the nodes
  std::vector<std::vector<ToldLine>> incoming, outgoing;  // by node
  std::vector<MPI_Request> receives, sends;               // by node; null for the own one
  std::vector<int> taken;                                 // nodes whose message has come
};

NodeNews::NodeNews(const Communicator& comm, ProgressTable& table, std::chrono::steady_clock::duration interval) : table_(table), interval_(interval) {
  const std::vector<ProgressTable::Node>& nodes = table.nodes();
  if (nodes.size() == 1) return;
  const bool speaks = nodes[table.own_node()].ranks.front() == comm.rank();
  Communicator first_ranks = comm.split(speaks ? 0 : 1, comm.rank());
  if (!speaks) return;
  post_ = std::make_unique<Post>(std::move(first_ranks), nodes);
  thread_ = start_thread("what the nodes tell each other for the watchdog", [this](const std::stop_token& stop) { run(stop); });
}

NodeNews::~NodeNews() {
  if (!post_) return;
  thread_.request_stop();
  thread_.join();
  if (std::uncaught_exceptions() > 0 || !end()) static_cast<void>(post_.release());  // other nodes may still write into it, and take nothing any more
}

void NodeNews::run(const std::stop_token& stop) {
  for (std::size_t node = 0; node < post_->receives.size(); ++node)
    if (node != table_.own_node()) post_->expect(node);
  std::mutex mutex;
  std::condition_variable_any stopping;
  std::unique_lock lock(mutex);
  do {
    take();
    give();
  } while (!stopping.wait_for(lock, stop, interval_, [&stop] { return stop.stop_requested(); }));
}

void NodeNews::take() {
  for (;;) {
    int count = 0;
    const int code = MPI_Testsome(static_cast<int>(post_->receives.size()), post_->receives.data(), &count, post_->taken.data(), MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS || count == MPI_UNDEFINED || count == 0) return;  // an error leaves the node unheard, which is what a report says then
    const std::int64_t now = steady_ms();
    for (int i = 0; i < count; ++i) {
      const auto node = static_cast<std::size_t>(post_->taken[static_cast<std::size_t>(i)]);
      const std::vector<int>& ranks = table_.nodes()[node].ranks;
      for (std::size_t r = 0; r < ranks.size(); ++r) {
        const Post::ToldLine& told = post_->incoming[node][r];
        ProgressTable::Line& line = table_.of(ranks[r]);
        line.steps.store(told.steps);
        line.beat_ms.store(now - told.silent_ms);
        line.heard_ms.store(now);
        line.where.write(told.where.data());
      }
      post_->expect(node);
    }
  }
}

void NodeNews::give() {
  std::vector<Post::ToldLine> lines;
  for (const int rank : table_.nodes()[table_.own_node()].ranks) {
    const ProgressTable::Line& line = table_.of(rank);
    Post::ToldLine& told = lines.emplace_back(Post::ToldLine{line.steps.load(), steady_ms() - line.beat_ms.load(), {}});
    const std::string where = line.where.read();
    std::copy_n(where.begin(), std::min(where.size(), told.where.size() - 1), told.where.begin());
  }
  for (std::size_t node = 0; node < post_->sends.size(); ++node) {
    int done = 0;
    if (node != table_.own_node() && MPI_Test(&post_->sends[node], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done != 0) post_->send(node, lines);
  }
}

// Takes what others have sent until they say that all of theirs was taken too.
bool NodeNews::end() {
  MPI_Request all_taken = MPI_REQUEST_NULL;
  for (int begun = 0, done = 0; done == 0; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    take();
    if (begun == 0) {
      if (MPI_Testall(static_cast<int>(post_->sends.size()), post_->sends.data(), &begun, MPI_STATUSES_IGNORE) != MPI_SUCCESS) return false;
      if (begun != 0 && MPI_Ibarrier(post_->comm.handle(), &all_taken) != MPI_SUCCESS) return false;
    } else if (MPI_Test(&all_taken, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) {
      return false;
    }
  }
  for (MPI_Request& receive : post_->receives) {
    if (receive == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&receive);
    MPI_Wait(&receive, MPI_STATUS_IGNORE);
  }
  return true;
}

}  // namespace tributary
