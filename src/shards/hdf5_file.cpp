#include "shards/hdf5_file.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

static_assert(sizeof(hid_t) == sizeof(std::int64_t));

// The library is set up once, under the lock: no printing of its own, no clean-up at exit (it may crash there after an I/O error).
void set_up_once() {
  static const bool ready = [] {
    H5dont_atexit();
    return H5open() >= 0 && H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  }();
  if (!ready) fail(ErrorKind::launch, "the HDF5 library cannot be initialised");
}

// First and last entry of the library's error stack: what was asked, and what went wrong below.
std::string library_words() {
  std::vector<std::string> entries;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_DOWNWARD,
      [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(entry->desc != nullptr ? entry->desc : "");
        return 0;
      },
      &entries);
  H5Eclear2(H5E_DEFAULT);
  if (entries.empty()) return "HDF5 gives no reason";
  return entries.size() == 1 ? entries.front() : entries.front() + ": " + entries.back();
}

// Before main, so before MPI: a library that is set up later lets MPI_Finalize flush all open files, abandoned ones too, and crashes there.
const bool set_up_before_mpi = (set_up_once(), true);

int close_file(std::int64_t id) { return H5Fclose(id); }
int close_dataset(std::int64_t id) { return H5Dclose(id); }
int close_space(std::int64_t id) { return H5Sclose(id); }
int close_list(std::int64_t id) { return H5Pclose(id); }
int close_attribute(std::int64_t id) { return H5Aclose(id); }
int close_type(std::int64_t id) { return H5Tclose(id); }

hid_t type_id(NumberType type) {
  switch (type) {
    case NumberType::u8:
      return H5T_STD_U8LE;
    case NumberType::u16:
      return H5T_STD_U16LE;
    case NumberType::u32:
      return H5T_STD_U32LE;
    case NumberType::u64:
      return H5T_STD_U64LE;
    case NumberType::i32:
      return H5T_STD_I32LE;
    case NumberType::i64:
      return H5T_STD_I64LE;
    case NumberType::f32:
      return H5T_IEEE_F32LE;
    case NumberType::f64:
      return H5T_IEEE_F64LE;
  }
  return -1;
}

Hdf5Handle property_list(hid_t kind) { return {H5Pcreate(kind), close_list}; }

std::vector<hsize_t> sizes(const Extent& extent) { return {extent.begin(), extent.end()}; }

std::int64_t elements(const Extent& extent) { return std::accumulate(extent.begin(), extent.end(), std::int64_t{1}, std::multiplies<>()); }

ErrorKind kind_of_read_failure(const std::string& words) { return words.find("Input/output error") != std::string::npos ? ErrorKind::io : ErrorKind::data; }

// Access properties: V110 on both ends (checksummed metadata), no file locks (shared file systems often lack them), MPI-IO when there are several ranks.
Hdf5Handle access_list(const Communicator* comm, const std::string& name) {
  Hdf5Handle list = property_list(H5P_FILE_ACCESS);
  bool good = H5Pset_libver_bounds(list.id(), H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 && H5Pset_file_locking(list.id(), false, true) >= 0;
  if (comm != nullptr && comm->size() > 1) {
    good = good && H5Pset_fapl_mpio(list.id(), comm->handle(), MPI_INFO_NULL) >= 0 && H5Pset_all_coll_metadata_ops(list.id(), true) >= 0 &&
           H5Pset_coll_metadata_write(list.id(), true) >= 0;
  }
  if (!good) fail(ErrorKind::launch, "{}: HDF5 refuses the access properties: {}", name, library_words());
  return list;
}

std::string read_text_attribute(hid_t object, const std::string& name, const std::string& where) {
  const auto lock = hdf5_lock();
  const Hdf5Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), close_attribute);
  if (attribute.id() < 0) fail(ErrorKind::data, "{}: attribute '{}' is missing: {}", where, name, library_words());
  const Hdf5Handle type(H5Aget_type(attribute.id()), close_type);
  const Hdf5Handle space(H5Aget_space(attribute.id()), close_space);
  if (H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) != 0 || H5Sget_simple_extent_npoints(space.id()) != 1)
    fail(ErrorKind::data, "{}: attribute '{}' is not one text of fixed length", where, name);
  std::string text(H5Tget_size(type.id()), '\0');
  if (H5Aread(attribute.id(), type.id(), text.data()) < 0) fail(ErrorKind::data, "{}: attribute '{}' cannot be read: {}", where, name, library_words());
  return text.substr(0, text.find('\0'));
}

void write_text_attribute(hid_t object, const std::string& name, std::string_view text, const std::string& where) {
  const auto lock = hdf5_lock();
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), close_type);
  const Hdf5Handle space(H5Screate(H5S_SCALAR), close_space);
  if (H5Tset_size(type.id(), std::max<std::size_t>(text.size(), 1)) < 0 || H5Tset_strpad(type.id(), H5T_STR_NULLPAD) < 0 ||
      H5Tset_cset(type.id(), H5T_CSET_UTF8) < 0)
    fail(ErrorKind::internal, "{}: attribute '{}': {}", where, name, library_words());
  const Hdf5Handle attribute(H5Acreate2(object, name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), close_attribute);
  const std::string bytes = text.empty() ? std::string(1, '\0') : std::string(text);
  if (attribute.id() < 0 || H5Awrite(attribute.id(), type.id(), bytes.data()) < 0)
    fail(ErrorKind::io, "{}: attribute '{}' cannot be written: {}", where, name, library_words());
}

// Memory and file selections of a slab; nothing selected when a count is 0.
struct Selection {
  Hdf5Handle memory, file;
};

Selection select(hid_t dataset, const Hyperslab& slab, const std::string& where) {
  Selection selection{{H5Screate_simple(static_cast<int>(slab.count.size()), sizes(slab.count).data(), nullptr), close_space},
                      {H5Dget_space(dataset), close_space}};
  if (selection.memory.id() < 0 || selection.file.id() < 0) fail(ErrorKind::io, "{}: {}", where, library_words());
  const bool good = elements(slab.count) == 0
                        ? H5Sselect_none(selection.memory.id()) >= 0 && H5Sselect_none(selection.file.id()) >= 0
                        : H5Sselect_hyperslab(selection.file.id(), H5S_SELECT_SET, sizes(slab.start).data(), nullptr, sizes(slab.count).data(), nullptr) >= 0;
  if (!good) fail(ErrorKind::internal, "{}: slab cannot be selected: {}", where, library_words());
  return selection;
}

Hdf5Handle transfer_list(bool collective) {
  Hdf5Handle list = property_list(H5P_DATASET_XFER);
  if (collective) H5Pset_dxpl_mpio(list.id(), H5FD_MPIO_COLLECTIVE);
  return list;
}

void check_slab(const Hyperslab& slab, const Extent& dims, NumberType type, std::size_t size_bytes, const std::string& where) {
  check(slab.start.size() == dims.size() && slab.count.size() == dims.size(), "{}: slab of {} dimensions on a dataset of {}", where, slab.count.size(),
        dims.size());
  const std::int64_t bytes = elements(slab.count) * bytes_of(type);
  check(static_cast<std::int64_t>(size_bytes) == bytes, "{}: {} bytes given for a slab of {}", where, size_bytes, bytes);
  check(bytes <= hdf5_transfer_limit_bytes, "{}: {} bytes in one transfer; split it at {}", where, bytes, hdf5_transfer_limit_bytes);
  for (std::size_t d = 0; d < dims.size(); ++d)
    check(slab.start[d] >= 0 && slab.count[d] >= 0 && (elements(slab.count) == 0 || slab.start[d] + slab.count[d] <= dims[d]),
          "{}: slab [{}, {}) is outside dimension {} of {}", where, slab.start[d], slab.start[d] + slab.count[d], d, dims[d]);
}

}  // namespace

std::unique_lock<std::recursive_mutex> hdf5_lock() {
  static std::recursive_mutex mutex;
  std::unique_lock lock(mutex);
  set_up_once();
  return lock;
}

std::int64_t bytes_of(NumberType type) {
  switch (type) {
    case NumberType::u8:
      return 1;
    case NumberType::u16:
      return 2;
    case NumberType::u32:
    case NumberType::i32:
    case NumberType::f32:
      return 4;
    case NumberType::u64:
    case NumberType::i64:
    case NumberType::f64:
      return 8;
  }
  return 0;
}

std::string_view name_of(NumberType type) {
  constexpr std::array<std::string_view, 8> names{"uint8", "uint16", "uint32", "uint64", "int32", "int64", "float32", "float64"};
  return names[static_cast<std::size_t>(type)];
}

Hdf5Handle::Hdf5Handle(std::int64_t id, int (*close)(std::int64_t), std::shared_ptr<const bool> abandoned)
    : id_(id), close_(close), abandoned_(std::move(abandoned)) {}

Hdf5Handle::~Hdf5Handle() { static_cast<void>(close_now()); }

int Hdf5Handle::close_now() {
  const std::int64_t id = std::exchange(id_, -1);
  if (id < 0 || (abandoned_ && *abandoned_)) return 0;
  const auto lock = hdf5_lock();
  const int code = close_(id);
  return code;
}

Hdf5Handle::Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_), abandoned_(std::move(other.abandoned_)) {}

Hdf5Handle& Hdf5Handle::operator=(Hdf5Handle&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(close_, other.close_);
  std::swap(abandoned_, other.abandoned_);
  return *this;
}

void Hdf5Dataset::extend(std::int64_t first_dim) {
  const auto lock = hdf5_lock();
  dims_[0] = first_dim;
  if (H5Dset_extent(id_.id(), sizes(dims_).data()) < 0) {
    *abandoned_ = true;
    fail(ErrorKind::io, "{}: {} cannot grow to {}: {}", file_, path_, first_dim, library_words());
  }
}

void Hdf5Dataset::write(const Hyperslab& slab, std::span<const std::byte> bytes, Transfer transfer) {
  const auto lock = hdf5_lock();
  const std::string where = file_ + ": " + path_;
  check_slab(slab, dims_, type_, bytes.size(), where);
  const Selection selection = select(id_.id(), slab, where);
  const Hdf5Handle list = transfer_list(parallel_ && transfer == Transfer::collective);
  if (H5Dwrite(id_.id(), type_id(type_), selection.memory.id(), selection.file.id(), list.id(), bytes.data()) < 0) {
    *abandoned_ = true;
    fail(ErrorKind::io, "{}: write failed: {}; free some space or choose another folder", where, library_words());
  }
}

void Hdf5Dataset::read(const Hyperslab& slab, std::span<std::byte> bytes, Transfer transfer) const {
  const auto lock = hdf5_lock();
  const std::string where = file_ + ": " + path_;
  check_slab(slab, dims_, type_, bytes.size(), where);
  const Selection selection = select(id_.id(), slab, where);
  const Hdf5Handle list = transfer_list(parallel_ && transfer == Transfer::collective);
  if (H5Dread(id_.id(), type_id(type_), selection.memory.id(), selection.file.id(), list.id(), bytes.data()) < 0) {
    const std::string words = library_words();
    fail(kind_of_read_failure(words), "{}: elements from {} cannot be read (damaged?): {}", where, slab.start.empty() ? 0 : slab.start[0], words);
  }
}

void Hdf5Dataset::set_attribute(const std::string& name, std::string_view text) { write_text_attribute(id_.id(), name, text, file_ + ": " + path_); }

std::string Hdf5Dataset::text_attribute(const std::string& name) const { return read_text_attribute(id_.id(), name, file_ + ": " + path_); }

Hdf5File::Hdf5File(Hdf5Handle id, std::string name, bool parallel, std::shared_ptr<bool> abandoned)
    : name_(std::move(name)), abandoned_(std::move(abandoned)), id_(std::move(id)), parallel_(parallel) {}

Hdf5File Hdf5File::create(const std::filesystem::path& path, const Communicator* comm) {
  const auto lock = hdf5_lock();
  const Hdf5Handle creation = property_list(H5P_FILE_CREATE);
  H5Pset_obj_track_times(creation.id(), false);
  const Hdf5Handle access = access_list(comm, path.string());
  auto abandoned = std::make_shared<bool>(false);
  Hdf5Handle id(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), close_file, abandoned);
  if (id.id() < 0) fail(ErrorKind::cannot_create, "{}: cannot create: {}", path.string(), library_words());
  return {std::move(id), path.string(), comm != nullptr && comm->size() > 1, std::move(abandoned)};
}

Hdf5File Hdf5File::open(const std::filesystem::path& path, const Communicator* comm) {
  const auto lock = hdf5_lock();
  std::error_code code;
  if (!std::filesystem::exists(path, code)) fail(ErrorKind::missing, "{}: no such file", path.string());
  const Hdf5Handle access = access_list(comm, path.string());
  auto abandoned = std::make_shared<bool>(false);
  Hdf5Handle id(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), close_file, abandoned);
  if (id.id() < 0) fail(ErrorKind::data, "{}: not a whole HDF5 file (truncated, damaged, or its writer died): {}", path.string(), library_words());
  return {std::move(id), path.string(), comm != nullptr && comm->size() > 1, std::move(abandoned)};
}

Hdf5Dataset Hdf5File::create_dataset(const std::string& path, const DatasetLayout& layout) {
  const auto lock = hdf5_lock();
  const std::string where = name_ + ": " + path;
  auto maximum = sizes(layout.dims);
  if (layout.growable) maximum.at(0) = H5S_UNLIMITED;
  const Hdf5Handle space(H5Screate_simple(static_cast<int>(layout.dims.size()), sizes(layout.dims).data(), maximum.data()), close_space);
  const Hdf5Handle links = property_list(H5P_LINK_CREATE), creation = property_list(H5P_DATASET_CREATE), access = property_list(H5P_DATASET_ACCESS);
  bool good = H5Pset_create_intermediate_group(links.id(), 1) >= 0 && H5Pset_obj_track_times(creation.id(), false) >= 0;
  if (!layout.chunk.empty() && (layout.growable || elements(layout.dims) > 0)) {  // HDF5 has no chunks for a fixed extent of nothing
    Extent chunk = layout.chunk;
    for (std::size_t d = layout.growable ? 1 : 0; d < chunk.size(); ++d) chunk[d] = std::min(chunk[d], layout.dims[d]);
    const auto chunk_bytes = static_cast<std::size_t>(elements(chunk) * bytes_of(layout.type));
    good = good && H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), sizes(chunk).data()) >= 0 &&
           (!layout.fletcher32 || H5Pset_fletcher32(creation.id()) >= 0) &&
           H5Pset_chunk_cache(access.id(), 521, std::max<std::size_t>(2 * chunk_bytes, 1U << 17), 1.0) >= 0;
  }
  if (!good || space.id() < 0) fail(ErrorKind::internal, "{}: HDF5 refuses the layout: {}", where, library_words());
  Hdf5Dataset dataset;
  dataset.id_ = {H5Dcreate2(id_.id(), path.c_str(), type_id(layout.type), space.id(), links.id(), creation.id(), access.id()), close_dataset, abandoned_};
  if (dataset.id_.id() < 0) {
    abandon();
    fail(ErrorKind::io, "{}: cannot create the dataset: {}", where, library_words());
  }
  dataset.abandoned_ = abandoned_;
  dataset.file_ = name_;
  dataset.path_ = path;
  dataset.type_ = layout.type;
  dataset.dims_ = layout.dims;
  dataset.parallel_ = parallel_;
  return dataset;
}

// A link to another file would make the digest of this one worthless.
void Hdf5File::refuse_links(const std::string& path) const {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string prefix = path.substr(0, end);
    H5L_info_t info;
    if (prefix != "/" && (H5Lget_info(id_.id(), prefix.c_str(), &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD)) {
      H5Eclear2(H5E_DEFAULT);
      fail(ErrorKind::data, "{}: {} is missing or only a link to another place", name_, prefix);
    }
    if (end == std::string::npos) return;
  }
}

bool Hdf5File::has(const std::string& path) const {
  const auto lock = hdf5_lock();
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    if (H5Lexists(id_.id(), path.substr(0, end).c_str(), H5P_DEFAULT) <= 0) {
      H5Eclear2(H5E_DEFAULT);
      return false;
    }
    if (end == std::string::npos) return true;
  }
}

Hdf5Dataset Hdf5File::open_dataset(const std::string& path, std::int64_t cache_bytes) const {
  const auto lock = hdf5_lock();
  refuse_links(path);
  const Hdf5Handle access = property_list(H5P_DATASET_ACCESS);
  if (cache_bytes > 0) H5Pset_chunk_cache(access.id(), 521, static_cast<std::size_t>(cache_bytes), 1.0);
  Hdf5Dataset dataset;
  dataset.id_ = {H5Dopen2(id_.id(), path.c_str(), access.id()), close_dataset, abandoned_};
  if (dataset.id_.id() < 0) fail(ErrorKind::data, "{}: {} is no dataset: {}", name_, path, library_words());
  const Hdf5Handle creation(H5Dget_create_plist(dataset.id_.id()), close_list), type(H5Dget_type(dataset.id_.id()), close_type);
  const Hdf5Handle space(H5Dget_space(dataset.id_.id()), close_space);
  const H5D_layout_t layout = H5Pget_layout(creation.id());
  if (H5Pget_external_count(creation.id()) != 0 || (layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS))
    fail(ErrorKind::data, "{}: {} keeps its data outside this file or in an unknown layout; refused", name_, path);
  bool known = false;
  for (int t = 0; t <= static_cast<int>(NumberType::f64) && !known; ++t) {
    dataset.type_ = static_cast<NumberType>(t);
    known = H5Tequal(type.id(), type_id(dataset.type_)) > 0;
  }
  if (!known) fail(ErrorKind::data, "{}: {} does not hold plain little-endian numbers", name_, path);
  std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.id()))));
  if (dims.empty() || H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr) < 0) fail(ErrorKind::data, "{}: {} has no dimensions", name_, path);
  dataset.dims_.assign(dims.begin(), dims.end());
  dataset.abandoned_ = abandoned_;
  dataset.file_ = name_;
  dataset.path_ = path;
  dataset.parallel_ = parallel_;
  return dataset;
}

void Hdf5File::set_attribute(const std::string& name, std::string_view text) { write_text_attribute(id_.id(), name, text, name_); }

void Hdf5File::set_attribute(const std::string& name, std::int64_t value) {
  const auto lock = hdf5_lock();
  const Hdf5Handle space(H5Screate(H5S_SCALAR), close_space);
  const Hdf5Handle attribute(H5Acreate2(id_.id(), name.c_str(), H5T_STD_I64LE, space.id(), H5P_DEFAULT, H5P_DEFAULT), close_attribute);
  if (attribute.id() < 0 || H5Awrite(attribute.id(), H5T_STD_I64LE, &value) < 0)
    fail(ErrorKind::io, "{}: attribute '{}' cannot be written: {}", name_, name, library_words());
}

std::string Hdf5File::text_attribute(const std::string& name) const { return read_text_attribute(id_.id(), name, name_); }

std::int64_t Hdf5File::integer_attribute(const std::string& name) const {
  const auto lock = hdf5_lock();
  const Hdf5Handle attribute(H5Aopen(id_.id(), name.c_str(), H5P_DEFAULT), close_attribute);
  std::int64_t value = 0;
  if (attribute.id() < 0 || H5Aread(attribute.id(), H5T_STD_I64LE, &value) < 0)
    fail(ErrorKind::data, "{}: attribute '{}' is missing or not a number: {}", name_, name, library_words());
  return value;
}

void Hdf5File::close() {
  const auto lock = hdf5_lock();
  if (*abandoned_) fail(ErrorKind::io, "{}: an earlier write failed", name_);
  if (H5Fflush(id_.id(), H5F_SCOPE_LOCAL) < 0 || id_.close_now() < 0) {
    const std::string words = library_words();
    abandon();
    fail(ErrorKind::io, "{}: cannot be closed: {}; free some space or choose another folder", name_, words);
  }
}

}  // namespace tributary
