// Float arrays by name in one HDF5 file, written by all ranks together, each its own flat range of every array.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shards/hdf5_file.h"

namespace tributary {

struct NamedShape {
  std::string name;  // path in the file: "model/lstm.0.fc.weight"
  std::vector<std::int64_t> shape;
  [[nodiscard]] std::int64_t count() const;
  bool operator==(const NamedShape&) const = default;
};

// The part of an array that this rank has: elements [first, last) in row-major order; may be empty.
struct TensorPiece {
  NamedShape tensor;
  std::int64_t first = 0, last = 0;
  const float* data = nullptr;  // [last - first]
};

// Boxes that together are the elements [first, last) of an array in row-major order, ascending; at most 2 (dims - 1) + 1 of them.
[[nodiscard]] std::vector<Hyperslab> boxes_of_range(const Extent& dims, std::int64_t first, std::int64_t last);

// Creates and closes the file. Every rank names the same tensors in the same order; their pieces cover each once.
// Collective: all ranks of `comm`. Throws on all ranks together: Error{cannot_create, io}.
void write_tensors(const Communicator& comm, const std::filesystem::path& path, const std::vector<TensorPiece>& pieces);

// Throws: Error{missing}, Error{data} naming file and tensor.
class TensorReader {
 public:
  explicit TensorReader(const std::filesystem::path& path);
  // Elements [first, last) into `out`. The shape in the file must be `tensor`'s.
  void read(const NamedShape& tensor, std::int64_t first, std::int64_t last, float* out) const;
  // Hex SHA-256 over the array's little-endian bytes in row-major order. Memory: a few MiB.
  [[nodiscard]] std::string digest(const NamedShape& tensor) const;

 private:
  Hdf5File file_;
};

[[nodiscard]] std::string digest_of(const float* values, std::int64_t count);

}  // namespace tributary
