#include <cuda_runtime_api.h>
#include <nccl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <span>
#include <thread>

#include "base/error.h"
#include "comm/agree.h"
#include "comm/nccl_wire.h"

namespace tributary {
namespace {

constexpr const char* gpu_remedy =
    "NCCL_DEBUG=WARN tells more; ranks need a GPU each, or run.share_gpu = true with NCCL 2.32 or later and NCCL_MULTI_RANK_GPU_ENABLE=1";

void check_cuda(cudaError_t code, const char* operation) {
  if (code != cudaSuccess) fail(ErrorKind::launch, "rank {}: {} failed on its GPU: {}", job_rank(), operation, cudaGetErrorString(code));
}

// Owns: an event without times, which are slow.
class Event {
 public:
  Event() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  [[nodiscard]] cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class NcclWire final : public Wire {
 public:
  NcclWire(int rank, int size, const ncclUniqueId& id, cudaStream_t stream, cudaStream_t compute)
      : rank_(rank), size_(size), stream_(stream), compute_(compute) {
    ncclComm_t comm = nullptr;
    check_nccl(ncclCommInitRank(&comm, size, id, rank), "ncclCommInitRank", nullptr);
    comm_ = comm;
  }

  // A rank that leaves by an error leaves messages behind that nobody answers.
  ~NcclWire() override {
    if (std::uncaught_exceptions() > 0) abort();
    if (ncclComm_t comm = comm_.exchange(nullptr)) {
      cudaStreamSynchronize(stream_);
      ncclCommDestroy(comm);
    }
  }
  NcclWire(const NcclWire&) = delete;
  NcclWire& operator=(const NcclWire&) = delete;

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  void exchange(MessageGroup group) override {
    if (group.empty()) return;
    ncclComm_t comm = communicator();
    check_nccl(ncclGroupStart(), "ncclGroupStart", comm);
    for (const MessageGroup::Receive& r : group.receives) check_nccl(ncclRecv(r.data, r.bytes, ncclInt8, r.from, comm, stream_), "ncclRecv", comm);
    for (const MessageGroup::Send& s : group.sends) check_nccl(ncclSend(s.data, s.bytes, ncclInt8, s.to, comm, stream_), "ncclSend", comm);
    check_nccl(ncclGroupEnd(), "ncclGroupEnd", comm);
  }

  void then(std::function<void()> work) override { work(); }

  void after_compute() override { order(compute_, computed_, stream_); }
  void before_compute() override { order(stream_, moved_, compute_); }

  void wait() override {
    using namespace std::chrono_literals;
    check_cuda(cudaEventRecord(moved_.get(), stream_), "cudaEventRecord");
    const auto begin = std::chrono::steady_clock::now();
    for (;;) {
      const cudaError_t state = cudaEventQuery(moved_.get());
      if (state == cudaSuccess) return;
      if (state != cudaErrorNotReady) {
        abort();
        check_cuda(state, "a message or an addition between GPUs");
      }
      cudaGetLastError();  // "not ready" would be taken for the failure of the next kernel
      ncclComm_t comm = communicator();
      ncclResult_t failure = ncclSuccess;
      check_nccl(ncclCommGetAsyncError(comm, &failure), "ncclCommGetAsyncError", comm);
      check_nccl(failure, "a message between GPUs", comm);
      if (std::chrono::steady_clock::now() - begin < 2ms)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(50us);
    }
  }

  void abort() noexcept override {
    if (ncclComm_t comm = comm_.exchange(nullptr)) ncclCommAbort(comm);
  }

 private:
  [[nodiscard]] ncclComm_t communicator() const {
    ncclComm_t comm = comm_.load();
    if (comm == nullptr) fail(ErrorKind::launch, "rank {}: messages between GPUs were aborted", job_rank());
    return comm;
  }

  void check_nccl(ncclResult_t code, const char* operation, ncclComm_t comm) {
    if (code == ncclSuccess) return;
    const std::string words =
        fmt::format("rank {}: {} failed: {} ({}); {}", job_rank(), operation, ncclGetErrorString(code), ncclGetLastError(comm), gpu_remedy);
    abort();
    throw Error(ErrorKind::launch, words);
  }

  // `second` goes on when `first` has done what it was given so far.
  void order(cudaStream_t first, const Event& event, cudaStream_t second) const {
    check_cuda(cudaEventRecord(event.get(), first), "cudaEventRecord");
    check_cuda(cudaStreamWaitEvent(second, event.get(), 0), "cudaStreamWaitEvent");
  }

  int rank_, size_;
  cudaStream_t stream_, compute_;
  Event computed_, moved_;
  std::atomic<ncclComm_t> comm_ = nullptr;
};

}  // namespace

std::unique_ptr<Wire> make_nccl_wire(const Communicator& comm, void* stream, void* compute) {
  const auto id = agreed(comm, [&] {
    ncclUniqueId unique{};
    if (comm.rank() != 0) return unique;
    if (const ncclResult_t code = ncclGetUniqueId(&unique); code != ncclSuccess)
      fail(ErrorKind::launch, "rank {}: ncclGetUniqueId failed: {} ({}); is there a network device that NCCL may use (NCCL_SOCKET_IFNAME)?", job_rank(),
           ncclGetErrorString(code), ncclGetLastError(nullptr));
    return unique;
  });
  ncclUniqueId shared = id;
  comm.broadcast(std::as_writable_bytes(std::span(&shared, 1)), 0);
  return agreed(comm, [&] {
    return std::make_unique<NcclWire>(comm.rank(), comm.size(), shared, static_cast<cudaStream_t>(stream), static_cast<cudaStream_t>(compute));
  });
}

}  // namespace tributary
