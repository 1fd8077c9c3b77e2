#include "comm/progress_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <new>

#include "base/error.h"

namespace tributary {
namespace {

std::string host_name() {
  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  MPI_Get_processor_name(name.data(), &length);
  return {name.data(), static_cast<std::size_t>(length)};
}

}  // namespace

std::int64_t steady_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void ProgressTable::Text::write(std::string_view text) {
  const std::size_t next = 1 - current_.load(std::memory_order_relaxed), length = std::min(text.size(), room - 1);
  for (std::size_t i = 0; i < length; ++i) letters_[next][i].store(text[i], std::memory_order_relaxed);
  letters_[next][length].store(0, std::memory_order_relaxed);
  current_.store(next, std::memory_order_release);
}

std::string ProgressTable::Text::read() const {
  std::string text;
  for (const std::atomic<char>& letter : letters_[current_.load(std::memory_order_acquire)]) {
    const char found = letter.load(std::memory_order_relaxed);
    if (found == 0) break;
    text += found;
  }
  return text;
}

ProgressTable::ProgressTable(const Communicator& comm, Communicator node) : node_(std::move(node)) {
  find_nodes(comm);
  const auto ranks = static_cast<std::size_t>(comm.size());
  const std::size_t count = node_.rank() == 0 && nodes_.size() > 1 ? 1 + ranks : 1;
  const std::size_t bytes = count * sizeof(Line);
  void* own = nullptr;
  if (MPI_Win_allocate_shared(static_cast<MPI_Aint>(bytes), sizeof(Line), MPI_INFO_NULL, node_.handle(), &own, &window_) != MPI_SUCCESS)
    fail(ErrorKind::launch, "rank {}: no shared memory for the watchdog's {} bytes; is /dev/shm full?", comm.rank(), bytes);
  for (std::size_t i = 0; i < count; ++i) new (static_cast<Line*>(own) + i) Line{{0}, {steady_ms()}, {steady_ms()}, {}};
  const auto line_of = [&](int node_rank) {
    MPI_Aint size = 0;
    int unit = 0;
    void* base = nullptr;
    MPI_Win_shared_query(window_, node_rank, &size, &unit, &base);
    return static_cast<Line*>(base);
  };
  Line* const first = line_of(0);
  for (std::size_t rank = 0; rank < ranks; ++rank) lines_.push_back(nodes_.size() > 1 ? first + 1 + rank : nullptr);
  const std::vector<int>& near = nodes_[own_node_].ranks;
  for (std::size_t i = 0; i < near.size(); ++i) lines_[static_cast<std::size_t>(near[i])] = line_of(static_cast<int>(i));
  node_.barrier();
}

ProgressTable::~ProgressTable() {
  if (std::uncaught_exceptions() == 0) MPI_Win_free(&window_);  // collective: not when this rank alone leaves by an error
}

void ProgressTable::find_nodes(const Communicator& comm) {
  int first = comm.rank();
  node_.broadcast(std::as_writable_bytes(std::span(&first, 1)), 0);
  const std::vector<std::string> told = comm.all_gather(fmt::format("{} {}", first, host_name()));
  std::map<int, Node> nodes;
  for (int rank = 0; rank < comm.size(); ++rank) {
    const std::string& text = told[static_cast<std::size_t>(rank)];
    Node& node = nodes[std::stoi(text)];
    if (node.ranks.empty()) node.host = text.substr(text.find(' ') + 1);
    node.ranks.push_back(rank);
  }
  own_node_ = static_cast<std::size_t>(std::distance(nodes.begin(), nodes.find(first)));
  for (auto& [key, node] : nodes) nodes_.push_back(std::move(node));
}

}  // namespace tributary
