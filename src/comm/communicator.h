// A group of ranks and the collectives Tributary needs, on spans; errors are thrown, counts above 2^31 are split.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

// Initialises MPI with MPI_THREAD_MULTIPLE and finalises it; one object, in main.
// Throws: Error{launch} when the library cannot give that thread level.
class MpiRuntime {
 public:
  MpiRuntime(int& argc, char**& argv);
  ~MpiRuntime();  // when an exception is under way and other ranks may not follow, main calls abort_all first
  MpiRuntime(const MpiRuntime&) = delete;
  MpiRuntime& operator=(const MpiRuntime&) = delete;
};

[[nodiscard]] std::string mpi_library_version();
[[nodiscard]] int job_size();  // ranks that were started together, whatever communicators were made of them
[[nodiscard]] int job_rank();  // this one among them

// Ends every rank of the job with `exit_code`; does not return.
[[noreturn]] void abort_all(int exit_code);

// Owns: its MPI_Comm (a duplicate; freed in the destructor). One thread talks on a communicator at a time.
class Communicator {
 public:
  [[nodiscard]] static Communicator world();  // duplicate of MPI_COMM_WORLD; Collective: all ranks
  [[nodiscard]] static Communicator self();   // this rank alone
  ~Communicator();
  Communicator(Communicator&& other) noexcept;
  Communicator& operator=(Communicator&& other) noexcept;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] MPI_Comm handle() const { return comm_; }  // for parallel HDF5 only

  // Collective: all ranks of this communicator call each of the following, in the same order.
  [[nodiscard]] Communicator split(int color, int key) const;
  [[nodiscard]] Communicator split_by_node() const;  // ranks that share memory
  void barrier() const;

  void broadcast(std::span<std::byte> bytes, int root) const;
  [[nodiscard]] std::string broadcast(std::string_view bytes, int root) const;  // any length; other ranks' argument is ignored

  void sum(std::span<std::int64_t> values) const;  // in place, every rank gets the sums
  void maximum(std::span<std::int64_t> values) const;

  // What every rank gave, in rank order, on every rank (gather: on `root` only, empty elsewhere). Lengths may differ.
  [[nodiscard]] std::vector<std::string> all_gather(std::string_view bytes) const;
  [[nodiscard]] std::vector<std::string> gather(std::string_view bytes, int root) const;

  // Equal-type exchange in elements. counts_* and offsets_* have size() entries.
  void all_to_all(std::span<const float> send, std::span<const std::int64_t> send_counts, std::span<const std::int64_t> send_offsets, std::span<float> receive,
                  std::span<const std::int64_t> receive_counts, std::span<const std::int64_t> receive_offsets) const;
  // In place: rank r has filled [offsets[r], offsets[r] + counts[r]) of `values`; afterwards every rank has all of them.
  void all_gather_in_place(std::span<float> values, std::span<const std::int64_t> counts, std::span<const std::int64_t> offsets) const;
  void all_gather_in_place(std::span<double> values, std::span<const std::int64_t> counts, std::span<const std::int64_t> offsets) const;

 private:
  explicit Communicator(MPI_Comm comm);
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace tributary
