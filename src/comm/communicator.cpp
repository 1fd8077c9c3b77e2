#include "comm/communicator.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "comm/exit_soon.h"
#include "comm/mpi_error.h"

namespace tributary {
namespace {

constexpr std::size_t piece_limit = std::size_t{1} << 30;  // elements a call: below the 2^31 of MPI's int counts

template <class Value>
void reduce_in_place(MPI_Comm comm, int rank, std::span<Value> values, MPI_Datatype type, MPI_Op operation) {
  for (std::size_t begin = 0; begin < values.size(); begin += piece_limit) {
    const auto count = static_cast<int>(std::min(piece_limit, values.size() - begin));
    throw_on(MPI_Allreduce(MPI_IN_PLACE, values.data() + begin, count, type, operation, comm), "MPI_Allreduce", rank);
  }
}

// One message a pair, each split where its count is above the limit; MPI_Alltoallv's int displacements cannot address large arenas.
template <class Value>
void exchange(MPI_Comm comm, int rank, int size, MPI_Datatype type, const Value* send, std::span<const std::int64_t> send_counts,
              std::span<const std::int64_t> send_offsets, Value* receive, std::span<const std::int64_t> receive_counts,
              std::span<const std::int64_t> receive_offsets) {
  std::vector<MPI_Request> requests;
  const auto pieces = [&](std::int64_t count, auto&& call) {
    for (std::int64_t begin = 0; begin < count; begin += static_cast<std::int64_t>(piece_limit)) {
      MPI_Request request = MPI_REQUEST_NULL;
      call(begin, static_cast<int>(std::min<std::int64_t>(static_cast<std::int64_t>(piece_limit), count - begin)), &request);
      requests.push_back(request);
    }
  };
  constexpr int tag = 7;
  for (int step = 1; step < size; ++step) {
    const int source = (rank - step + size) % size;
    const auto from = static_cast<std::size_t>(source);
    pieces(receive_counts[from], [&](std::int64_t begin, int count, MPI_Request* request) {
      throw_on(MPI_Irecv(receive + receive_offsets[from] + begin, count, type, source, tag, comm, request), "MPI_Irecv", rank);
    });
  }
  for (int step = 1; step < size; ++step) {
    const int target = (rank + step) % size;
    const auto to = static_cast<std::size_t>(target);
    pieces(send_counts[to], [&](std::int64_t begin, int count, MPI_Request* request) {
      throw_on(MPI_Isend(send + send_offsets[to] + begin, count, type, target, tag, comm, request), "MPI_Isend", rank);
    });
  }
  throw_on(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE), "MPI_Waitall", rank);
}

template <class Value>
void gather_in_place(MPI_Comm comm, int rank, int size, MPI_Datatype type, std::span<Value> values, std::span<const std::int64_t> counts,
                     std::span<const std::int64_t> offsets) {
  const std::vector<std::int64_t> own_count(static_cast<std::size_t>(size), counts[static_cast<std::size_t>(rank)]);
  const std::vector<std::int64_t> own_offset(static_cast<std::size_t>(size), offsets[static_cast<std::size_t>(rank)]);
  exchange<Value>(comm, rank, size, type, values.data(), own_count, own_offset, values.data(), counts, offsets);
}

}  // namespace

MpiRuntime::MpiRuntime(int& argc, char**& argv) {
  int provided = MPI_THREAD_SINGLE;
  throw_on(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread", 0);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  if (provided >= MPI_THREAD_MULTIPLE) return;
  const std::string library = mpi_library_version();
  MPI_Finalize();  // every rank of the job leaves here: the library is the same
  fail(ErrorKind::launch,
       "{} offers thread level {}, MPI_THREAD_MULTIPLE ({}) is needed; load or build an Open MPI of which `ompi_info | grep 'Thread support'` says "
       "\"MPI_THREAD_MULTIPLE: yes\" (the default since 3.0), over a UCX built with --enable-mt if it uses one, and build this program with it",
       library, provided, MPI_THREAD_MULTIPLE);
}

MpiRuntime::~MpiRuntime() { MPI_Finalize(); }

std::string mpi_library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string version(text.data(), static_cast<std::size_t>(length));
  return version.substr(0, version.find(','));
}

int job_rank() {
  int rank = 0;
  throw_on(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank", 0);
  return rank;
}

int job_size() {
  int size = 1;
  throw_on(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size", 0);
  return size;
}

void abort_all(int exit_code) {
  exit_soon(exit_code);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

Communicator::Communicator(MPI_Comm comm) : comm_(comm) {
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
}

Communicator::~Communicator() {
  if (comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
}

Communicator::Communicator(Communicator&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)), rank_(other.rank_), size_(other.size_) {}

Communicator& Communicator::operator=(Communicator&& other) noexcept {
  std::swap(comm_, other.comm_);
  std::swap(rank_, other.rank_);
  std::swap(size_, other.size_);
  return *this;
}

Communicator Communicator::world() {
  MPI_Comm copy = MPI_COMM_NULL;
  throw_on(MPI_Comm_dup(MPI_COMM_WORLD, &copy), "MPI_Comm_dup", 0);
  return Communicator(copy);
}

Communicator Communicator::self() {
  MPI_Comm copy = MPI_COMM_NULL;
  throw_on(MPI_Comm_dup(MPI_COMM_SELF, &copy), "MPI_Comm_dup", 0);
  return Communicator(copy);
}

Communicator Communicator::split(int color, int key) const {
  MPI_Comm part = MPI_COMM_NULL;
  throw_on(MPI_Comm_split(comm_, color, key, &part), "MPI_Comm_split", rank_);
  return Communicator(part);
}

Communicator Communicator::split_by_node() const {
  MPI_Comm part = MPI_COMM_NULL;
  throw_on(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part), "MPI_Comm_split_type", rank_);
  return Communicator(part);
}

void Communicator::barrier() const { throw_on(MPI_Barrier(comm_), "MPI_Barrier", rank_); }

void Communicator::broadcast(std::span<std::byte> bytes, int root) const {
  for (std::size_t begin = 0; begin < bytes.size(); begin += piece_limit) {
    const auto count = static_cast<int>(std::min(piece_limit, bytes.size() - begin));
    throw_on(MPI_Bcast(bytes.data() + begin, count, MPI_BYTE, root, comm_), "MPI_Bcast", rank_);
  }
}

std::string Communicator::broadcast(std::string_view bytes, int root) const {
  std::uint64_t size = bytes.size();
  broadcast(std::as_writable_bytes(std::span(&size, 1)), root);
  std::string result = rank_ == root ? std::string(bytes) : std::string(size, '\0');
  broadcast(std::as_writable_bytes(std::span(result.data(), result.size())), root);
  return result;
}

void Communicator::sum(std::span<std::int64_t> values) const { reduce_in_place(comm_, rank_, values, MPI_INT64_T, MPI_SUM); }
void Communicator::maximum(std::span<std::int64_t> values) const { reduce_in_place(comm_, rank_, values, MPI_INT64_T, MPI_MAX); }

std::vector<std::string> Communicator::all_gather(std::string_view bytes) const {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(size_), 0), offsets(counts.size(), 0);
  counts[static_cast<std::size_t>(rank_)] = static_cast<std::int64_t>(bytes.size());
  sum(counts);
  std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), std::int64_t{0});
  std::string joined(static_cast<std::size_t>(offsets.back() + counts.back()), '\0');
  std::copy(bytes.begin(), bytes.end(), joined.begin() + offsets[static_cast<std::size_t>(rank_)]);
  gather_in_place<char>(comm_, rank_, size_, MPI_BYTE, std::span(joined.data(), joined.size()), counts, offsets);
  std::vector<std::string> parts;
  for (std::size_t r = 0; r < counts.size(); ++r) parts.push_back(joined.substr(static_cast<std::size_t>(offsets[r]), static_cast<std::size_t>(counts[r])));
  return parts;
}

std::vector<std::string> Communicator::gather(std::string_view bytes, int root) const {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(size_), 0), offsets(counts.size(), 0);
  counts[static_cast<std::size_t>(rank_)] = static_cast<std::int64_t>(bytes.size());
  sum(counts);
  std::vector<std::int64_t> send(counts.size(), 0), receive(counts.size(), 0);
  send[static_cast<std::size_t>(root)] = rank_ == root ? 0 : static_cast<std::int64_t>(bytes.size());
  std::string joined;
  if (rank_ == root) {
    std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), std::int64_t{0});
    joined.resize(static_cast<std::size_t>(offsets.back() + counts.back()));
    std::copy(bytes.begin(), bytes.end(), joined.begin() + offsets[static_cast<std::size_t>(rank_)]);
    receive = counts;
  }
  const std::vector<std::int64_t> from_start(counts.size(), 0);
  exchange<char>(comm_, rank_, size_, MPI_BYTE, bytes.data(), send, from_start, joined.data(), receive, offsets);
  std::vector<std::string> parts;
  if (rank_ == root)
    for (std::size_t r = 0; r < counts.size(); ++r) parts.push_back(joined.substr(static_cast<std::size_t>(offsets[r]), static_cast<std::size_t>(counts[r])));
  return parts;
}

void Communicator::all_to_all(std::span<const float> send, std::span<const std::int64_t> send_counts, std::span<const std::int64_t> send_offsets,
                              std::span<float> receive, std::span<const std::int64_t> receive_counts, std::span<const std::int64_t> receive_offsets) const {
  const auto own = static_cast<std::size_t>(rank_);
  check(send_counts[own] == receive_counts[own], "all_to_all: rank {} sends itself {} elements but expects {}", rank_, send_counts[own], receive_counts[own]);
  std::copy_n(send.data() + send_offsets[own], send_counts[own], receive.data() + receive_offsets[own]);
  exchange<float>(comm_, rank_, size_, MPI_FLOAT, send.data(), send_counts, send_offsets, receive.data(), receive_counts, receive_offsets);
}

void Communicator::all_gather_in_place(std::span<float> values, std::span<const std::int64_t> counts, std::span<const std::int64_t> offsets) const {
  gather_in_place(comm_, rank_, size_, MPI_FLOAT, values, counts, offsets);
}

void Communicator::all_gather_in_place(std::span<double> values, std::span<const std::int64_t> counts, std::span<const std::int64_t> offsets) const {
  gather_in_place(comm_, rank_, size_, MPI_DOUBLE, values, counts, offsets);
}

}  // namespace tributary
