// HDF5 files and datasets as move-only values: every return code checked, errors told with the library's own words.
// Shared by shards and checkpoint. Every method holds hdf5_lock(). "Collective" lines count only for files opened over a communicator of several ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "shards/hdf5_lock.h"

namespace tributary {

enum class NumberType : std::uint8_t { u8, u16, u32, u64, i32, i64, f32, f64 };  // little-endian in the file
[[nodiscard]] std::int64_t bytes_of(NumberType type);
[[nodiscard]] std::string_view name_of(NumberType type);  // numpy's words: "uint8", "float32", ...

using Extent = std::vector<std::int64_t>;

struct DatasetLayout {
  NumberType type = NumberType::f32;
  Extent dims;
  Extent chunk;            // same length as dims, entries >= 1, clipped to dims; empty: contiguous, without checksums
  bool growable = false;   // the first dimension may be extended
  bool fletcher32 = true;  // a checksum per chunk, checked at every read
};

// A box of elements: [start, start + count) in every dimension. A zero in count selects nothing.
struct Hyperslab {
  Extent start, count;
};

enum class Transfer { independent, collective };

inline constexpr std::int64_t hdf5_transfer_limit_bytes = std::int64_t{1} << 30;  // a rank and call; callers split what is larger

// An HDF5 id with its close function. Owns: the id, unless the file was abandoned: then the id is left to the end of the process.
class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  Hdf5Handle(std::int64_t id, int (*close)(std::int64_t), std::shared_ptr<const bool> abandoned = {});
  ~Hdf5Handle();
  Hdf5Handle(Hdf5Handle&& other) noexcept;
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept;
  Hdf5Handle(const Hdf5Handle&) = delete;
  Hdf5Handle& operator=(const Hdf5Handle&) = delete;
  [[nodiscard]] std::int64_t id() const { return id_; }
  [[nodiscard]] int close_now();  // the library's return code

 private:
  std::int64_t id_ = -1;
  int (*close_)(std::int64_t) = nullptr;
  std::shared_ptr<const bool> abandoned_;
};

class Hdf5Dataset {
 public:
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] NumberType type() const { return type_; }
  [[nodiscard]] const Extent& dims() const { return dims_; }

  void extend(std::int64_t first_dim);  // Collective. Throws: Error{io}
  // Collective: with Transfer::collective, which filtered datasets need in files of several ranks; a rank without data passes a count of 0.
  // Throws: Error{io}; afterwards the file is abandoned.
  void write(const Hyperslab& slab, std::span<const std::byte> bytes, Transfer transfer);
  // Throws: Error{data} (checksum, truncated), Error{io}.
  void read(const Hyperslab& slab, std::span<std::byte> bytes, Transfer transfer = Transfer::independent) const;

  void set_attribute(const std::string& name, std::string_view text);  // Collective
  [[nodiscard]] std::string text_attribute(const std::string& name) const;

 private:
  friend class Hdf5File;
  Hdf5Handle id_;
  std::shared_ptr<bool> abandoned_;
  std::string file_, path_;
  NumberType type_ = NumberType::u8;
  Extent dims_;
  bool parallel_ = false;
};

// Owns: the open file. libver bounds V110, no object times, no external links, external storage, virtual or variable-length data.
class Hdf5File {
 public:
  // Collective over `comm`: several ranks use the MPI-IO driver; one rank alone, or no communicator, uses the plain driver (the same format).
  // Throws: Error{cannot_create}.
  [[nodiscard]] static Hdf5File create(const std::filesystem::path& path, const Communicator* comm = nullptr);
  // For reading. Throws: Error{missing}, Error{data} (not HDF5, truncated, not closed by its writer).
  [[nodiscard]] static Hdf5File open(const std::filesystem::path& path, const Communicator* comm = nullptr);
  ~Hdf5File() = default;
  Hdf5File(Hdf5File&&) noexcept = default;
  Hdf5File& operator=(Hdf5File&&) noexcept = default;

  // Groups on the way are made. Collective.
  [[nodiscard]] Hdf5Dataset create_dataset(const std::string& path, const DatasetLayout& layout);
  [[nodiscard]] bool has(const std::string& path) const;
  // Throws: Error{data} when absent, not a plain dataset of a NumberType, or kept outside the file.
  [[nodiscard]] Hdf5Dataset open_dataset(const std::string& path, std::int64_t cache_bytes = 0) const;

  void set_attribute(const std::string& name, std::string_view text);  // of the root group; Collective
  void set_attribute(const std::string& name, std::int64_t value);
  [[nodiscard]] std::string text_attribute(const std::string& name) const;  // Throws: Error{data}
  [[nodiscard]] std::int64_t integer_attribute(const std::string& name) const;

  // Flushes and closes; all datasets must be gone. Collective. Throws: Error{io}. A full disk may stay unnoticed: re-open and verify what was written.
  void close();
  // Leaves the ids open for the rest of the process: after an I/O error the library may crash when it flushes.
  void abandon() { *abandoned_ = true; }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  Hdf5File(Hdf5Handle id, std::string name, bool parallel, std::shared_ptr<bool> abandoned);
  void refuse_links(const std::string& path) const;
  std::string name_;
  std::shared_ptr<bool> abandoned_;
  Hdf5Handle id_;
  bool parallel_ = false;
};

}  // namespace tributary
