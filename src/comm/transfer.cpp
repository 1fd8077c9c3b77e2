#include "comm/transfer.h"

#include <algorithm>
#include <utility>

#include "comm/mpi_error.h"
#include "comm/patience.h"

namespace tributary {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 30;
constexpr int tag = 11;

}  // namespace

Transfer Transfer::send(const Communicator& comm, std::span<const std::byte> bytes, int to) {
  Transfer transfer;
  transfer.rank_ = comm.rank();
  for (std::size_t begin = 0; begin < bytes.size(); begin += piece_bytes) {
    const auto count = static_cast<int>(std::min(piece_bytes, bytes.size() - begin));
    transfer.requests_.push_back(MPI_REQUEST_NULL);
    throw_on(MPI_Isend(bytes.data() + begin, count, MPI_BYTE, to, tag, comm.handle(), &transfer.requests_.back()), "MPI_Isend", comm.rank());
  }
  return transfer;
}

Transfer Transfer::receive(const Communicator& comm, std::span<std::byte> bytes, int from) {
  Transfer transfer;
  transfer.rank_ = comm.rank();
  transfer.receives_ = true;
  for (std::size_t begin = 0; begin < bytes.size(); begin += piece_bytes) {
    const auto count = static_cast<int>(std::min(piece_bytes, bytes.size() - begin));
    transfer.requests_.push_back(MPI_REQUEST_NULL);
    throw_on(MPI_Irecv(bytes.data() + begin, count, MPI_BYTE, from, tag, comm.handle(), &transfer.requests_.back()), "MPI_Irecv", comm.rank());
  }
  return transfer;
}

Transfer::~Transfer() {
  for (MPI_Request& request : requests_) {
    if (request == MPI_REQUEST_NULL) continue;
    if (receives_) MPI_Cancel(&request);
    MPI_Request_free(&request);
  }
}

Transfer::Transfer(Transfer&& other) noexcept : rank_(other.rank_), receives_(other.receives_), requests_(std::exchange(other.requests_, {})) {}

Transfer& Transfer::operator=(Transfer&& other) noexcept {
  std::swap(rank_, other.rank_);
  std::swap(receives_, other.receives_);
  std::swap(requests_, other.requests_);
  return *this;
}

bool Transfer::done() {
  int all = 1;
  throw_on(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &all, MPI_STATUSES_IGNORE), "MPI_Testall", rank_);
  return all != 0;
}

// MPI's own wait never gives the processor away: with more ranks than cores those that wait would take the time of those that compute.
void Transfer::wait() {
  for (Patience patience; !done(); patience.pause()) {
  }
}

}  // namespace tributary
