#include "checkpoint/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <exception>
#include <numeric>
#include <optional>
#include <span>

#include "base/digest.h"
#include "base/error.h"
#include "comm/agree.h"

namespace tributary {
namespace {

static_assert(std::endian::native == std::endian::little, "digests are over little-endian bytes");

constexpr std::int64_t piece_elements = std::int64_t{1} << 24;  // 64 MiB a transfer

std::int64_t product(const std::int64_t* begin, const std::int64_t* end) { return std::accumulate(begin, end, std::int64_t{1}, std::multiplies<>()); }

Extent dims_of(const NamedShape& tensor) { return tensor.shape.empty() ? Extent{1} : tensor.shape; }

void append_boxes(const Extent& dims, std::size_t dim, std::int64_t first, std::int64_t last, Hyperslab prefix, std::vector<Hyperslab>& boxes) {
  if (first >= last) return;
  const std::int64_t inner = product(dims.data() + dim + 1, dims.data() + dims.size());
  const std::int64_t row = first / inner;
  const auto rows = [&](std::int64_t begin, std::int64_t end) {  // full rows
    if (begin >= end) return;
    Hyperslab box = prefix;
    box.start[dim] = begin;
    box.count[dim] = end - begin;
    for (std::size_t d = dim + 1; d < dims.size(); ++d) box.count[d] = dims[d];
    boxes.push_back(std::move(box));
  };
  const auto inside = [&](std::int64_t which, std::int64_t begin, std::int64_t end) {  // part of one row
    Hyperslab narrowed = prefix;
    narrowed.start[dim] = which;
    append_boxes(dims, dim + 1, begin, end, std::move(narrowed), boxes);
  };
  std::int64_t next = row;
  if (first % inner != 0) {
    inside(row, first % inner, std::min(inner, last - row * inner));
    ++next;
  }
  if (next * inner >= last) return;
  rows(next, last / inner);
  if (last % inner != 0) inside(last / inner, 0, last % inner);
}

template <class Visit>  // visit(box, offset in the range, elements), each at most piece_elements
void for_each_box(const Extent& dims, std::int64_t first, std::int64_t last, const Visit& visit) {
  std::int64_t offset = 0;
  for (std::int64_t begin = first; begin < last; begin += piece_elements) {
    for (const Hyperslab& box : boxes_of_range(dims, begin, std::min(last, begin + piece_elements))) {
      const std::int64_t count = product(box.count.data(), box.count.data() + box.count.size());
      visit(box, offset, count);
      offset += count;
    }
  }
}

void write_piece(Hdf5Dataset& dataset, const TensorPiece& piece) {
  for_each_box(dataset.dims(), piece.first, piece.last, [&](const Hyperslab& box, std::int64_t offset, std::int64_t count) {
    dataset.write(box, std::as_bytes(std::span(piece.data + offset, static_cast<std::size_t>(count))), Transfer::independent);
  });
}

}  // namespace

std::int64_t NamedShape::count() const { return product(shape.data(), shape.data() + shape.size()); }

std::vector<Hyperslab> boxes_of_range(const Extent& dims, std::int64_t first, std::int64_t last) {
  std::vector<Hyperslab> boxes;
  append_boxes(dims, 0, first, last, {Extent(dims.size(), 0), Extent(dims.size(), 1)}, boxes);
  return boxes;
}

void write_tensors(const Communicator& comm, const std::filesystem::path& path, const std::vector<TensorPiece>& pieces) {
  Hdf5File file = agreed(comm, [&] { return Hdf5File::create(path, &comm); });
  // After a failure on any rank no rank may flush or close: those are collective, and the failing rank cannot take part.
  const auto step = [&](auto&& work) {
    try {
      agreed(comm, work);
    } catch (...) {
      file.abandon();
      throw;
    }
  };
  std::vector<Hdf5Dataset> datasets;
  step([&] {
    for (const TensorPiece& piece : pieces)
      datasets.push_back(file.create_dataset(piece.tensor.name, {NumberType::f32, dims_of(piece.tensor), {}, false, false}));
  });
  step([&] {
    for (std::size_t i = 0; i < pieces.size(); ++i) write_piece(datasets[i], pieces[i]);
  });
  step([&] {
    datasets.clear();
    file.close();
  });
}

TensorReader::TensorReader(const std::filesystem::path& path) : file_(Hdf5File::open(path)) {}

void TensorReader::read(const NamedShape& tensor, std::int64_t first, std::int64_t last, float* out) const {
  const Hdf5Dataset dataset = file_.open_dataset(tensor.name);
  if (dataset.type() != NumberType::f32 || dataset.dims() != dims_of(tensor)) {
    fail(ErrorKind::data, "{}: {}: [{}] of {} in the file, expected [{}] of float32", file_.name(), tensor.name, fmt::join(dataset.dims(), ", "),
         name_of(dataset.type()), fmt::join(dims_of(tensor), ", "));
  }
  for_each_box(dataset.dims(), first, last, [&](const Hyperslab& box, std::int64_t offset, std::int64_t count) {
    dataset.read(box, std::as_writable_bytes(std::span(out + offset, static_cast<std::size_t>(count))));
  });
}

std::string TensorReader::digest(const NamedShape& tensor) const {
  constexpr std::int64_t step = std::int64_t{1} << 20;
  Sha256 sha;
  std::vector<float> buffer(static_cast<std::size_t>(std::min(step, tensor.count())));
  for (std::int64_t first = 0; first < tensor.count(); first += step) {
    const std::int64_t last = std::min(tensor.count(), first + step);
    read(tensor, first, last, buffer.data());
    sha.update(buffer.data(), static_cast<std::size_t>(last - first) * sizeof(float));
  }
  return hex(sha.finish());
}

std::string digest_of(const float* values, std::int64_t count) {
  return hex(Sha256().update(values, static_cast<std::size_t>(count) * sizeof(float)).finish());
}

}  // namespace tributary
