#include "comm/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "comm/agree.h"
#include "comm/patience.h"

namespace tributary {
namespace {

constexpr const char* folder = "/dev/shm";  // where POSIX shared memory lives
constexpr int nobodys_else = -1;            // in place of a file: memory of one rank alone

double mib(std::size_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); }

[[noreturn]] void refuse(std::size_t bytes, std::string_view purpose, const std::string& found) {
  fail(ErrorKind::launch,
       "shared memory for {}: {:.1f} MiB are needed on this node, {} {}; give the node more (container: --shm-size), or take "
       "parallel.reducer = \"mpi\", which needs none",
       purpose, mib(bytes), folder, found);
}

// A file descriptor that closes itself.
struct Descriptor {
  int value = -1;
  explicit Descriptor(int fd) : value(fd) {}
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

std::byte* map(int fd, std::size_t bytes, std::string_view purpose) {
  const int kind = fd == nobodys_else ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kind | MAP_POPULATE, fd, 0);
  if (address == MAP_FAILED) fail(ErrorKind::launch, "{}: cannot map {:.1f} MiB of memory: {}", purpose, mib(bytes), std::strerror(errno));
  return static_cast<std::byte*>(address);
}

void require_free(std::size_t bytes, std::string_view purpose) {
  struct statvfs space {};
  if (::statvfs(folder, &space) != 0) return;  // who makes the file says why
  const std::size_t free = static_cast<std::size_t>(space.f_bavail) * space.f_frsize;
  if (free < bytes) refuse(bytes, purpose, fmt::format("has {:.1f} MiB free", mib(free)));
}

// The node's first rank makes the file with all its pages: what does not fit is told here, not by a signal when it is used.
std::byte* create(const std::string& name, std::size_t bytes, std::string_view purpose) {
  require_free(bytes, purpose);
  const Descriptor file(::shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, S_IRUSR | S_IWUSR));
  if (file.value < 0) refuse(bytes, purpose, fmt::format("cannot be used: {}", std::strerror(errno)));
  if (const int code = ::posix_fallocate(file.value, 0, static_cast<off_t>(bytes)); code != 0) {
    ::shm_unlink(name.c_str());
    refuse(bytes, purpose, fmt::format("could not give them: {}", std::strerror(code)));
  }
  return map(file.value, bytes, purpose);
}

std::byte* open(const std::string& name, std::size_t bytes, std::string_view purpose) {
  const Descriptor file(::shm_open(name.c_str(), O_RDWR, 0));
  if (file.value < 0)
    fail(ErrorKind::launch, "{}: the shared memory that the node's first rank made is not to be seen here ({}); do the ranks run in containers of their own?",
         purpose, std::strerror(errno));
  return map(file.value, bytes, purpose);
}

std::string fresh_name() {
  static std::atomic<int> number{0};
  return fmt::format("/tributary-{}-{}", ::getpid(), ++number);
}

}  // namespace

void require_shared_memory(const Communicator& world, const Communicator& node, std::size_t bytes, std::string_view purpose) {
  std::array<std::int64_t, 1> needed{static_cast<std::int64_t>(bytes)};
  node.sum(needed);
  agreed(world, [&] {
    if (node.rank() == 0 && needed[0] > 0) require_free(static_cast<std::size_t>(needed[0]), purpose);
  });
}

SharedMemory::SharedMemory(const Communicator& node, std::size_t bytes, std::string_view purpose) : size_(bytes) {
  if (bytes == 0) return;
  if (node.size() == 1) {
    data_ = map(nobodys_else, bytes, purpose);
    return;
  }
  const std::string name = node.broadcast(fresh_name(), 0);
  agreed(node, [&] {
    if (node.rank() == 0) data_ = create(name, bytes, purpose);
  });
  std::exception_ptr failure;
  try {
    if (node.rank() != 0) data_ = open(name, bytes, purpose);
  } catch (...) {
    failure = std::current_exception();
  }
  node.barrier();
  if (node.rank() == 0) ::shm_unlink(name.c_str());
  agree(node, failure);
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

NodeSignals::NodeSignals(const Communicator& node)
    : rank_(node.rank()), ranks_(node.size()), memory_(node, sizeof(Counters) * static_cast<std::size_t>(node.size()), "signals between the ranks of a node") {
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);
}

NodeSignals::Counters& NodeSignals::of(int rank) const { return reinterpret_cast<Counters*>(memory_.bytes().data())[rank]; }

void NodeSignals::raise(std::size_t channel, std::int64_t value) { of(rank_).values[channel].store(value, std::memory_order_release); }

bool NodeSignals::reached(std::size_t channel, std::int64_t value) const {
  for (int r = 0; r < ranks_; ++r)
    if (of(r).values[channel].load(std::memory_order_acquire) < value) return false;
  return true;
}

void NodeSignals::wait(std::size_t channel, std::int64_t value, const std::function<void()>& meanwhile) const {
  for (Patience patience; !reached(channel, value); patience.pause())
    if (meanwhile) meanwhile();
}

void NodeSignals::meet() {
  raise(meeting, ++meetings_);
  wait(meeting, meetings_);
}

}  // namespace tributary
