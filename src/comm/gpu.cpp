#include "comm/gpu.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "base/error.h"
#include "comm/agree.h"

namespace tributary {
namespace {

constexpr int nothing = -1;

// The number of the seen device with the fewest ranks; `nothing` when all have more than `most`.
int least_taken(const std::vector<std::string>& seen, const std::map<std::string, int>& ranks_of, int most) {
  int best = nothing, fewest = most;
  for (std::size_t d = 0; d < seen.size(); ++d) {
    const auto taken = ranks_of.find(seen[d]);
    const int ranks = taken == ranks_of.end() ? 0 : taken->second;
    if (ranks > fewest || (best != nothing && ranks == fewest)) continue;
    best = static_cast<int>(d);
    fewest = ranks;
  }
  return best;
}

}  // namespace

bool has_kernels(const std::vector<int>& architectures, int capability) {
  return std::any_of(architectures.begin(), architectures.end(), [&](int a) { return a / 10 == capability / 10 && a % 10 <= capability % 10; });
}

void require_gpu(const GpuSupport& support) {
  if (!support.built) {
    fail(ErrorKind::launch,
         "run.device = \"cuda\", but this program was built without CUDA; build the preset `cuda` (launch/setup --cuda) or set run.device = \"cpu\"");
  }
  if (support.devices.empty()) {
    fail(ErrorKind::launch, "run.device = \"cuda\", but no GPU was found ({}); start on a node with one (Slurm: --gres=gpu:N) or set run.device = \"cpu\"",
         support.problem);
  }
  for (const GpuDevice& device : support.devices)
    if (!has_kernels(support.architectures, device.capability))
      fail(ErrorKind::launch,
           "run.device = \"cuda\": this build's LibTorch has kernels for sm_{}, and none for {}; take another preset (`cuda`: Turing and later, `v100`: "
           "Volta), or "
           "leave the GPU out of CUDA_VISIBLE_DEVICES",
           fmt::join(support.architectures, ", sm_"), device.description);
}

int choose_gpu(int local, const std::vector<std::vector<std::string>>& visible, bool share) {
  std::map<std::string, int> ranks_of;
  for (int rank = 0;; ++rank) {
    const std::vector<std::string>& seen = visible.at(static_cast<std::size_t>(rank));
    const int device = least_taken(seen, ranks_of, share ? std::numeric_limits<int>::max() : 0);
    if (device == nothing) {
      std::set<std::string> all;
      for (const auto& of_rank : visible) all.insert(of_rank.begin(), of_rank.end());
      fail(ErrorKind::launch,
           "run.device = \"cuda\": {} rank(s) on this node, {} GPU(s) to be seen there, none left for local rank {}; start fewer ranks a node (Slurm: "
           "--ntasks-per-node), ask for more GPUs (--gres=gpu:{}), or set run.share_gpu = true for tests",
           visible.size(), all.size(), rank, visible.size());
    }
    if (rank == local) return device;
    ++ranks_of[seen[static_cast<std::size_t>(device)]];
  }
}

int choose_gpu(const Communicator& node, const GpuSupport& support, bool share) {
  std::string own;
  for (const GpuDevice& device : support.devices) own += device.id + "\n";
  std::vector<std::vector<std::string>> visible;
  for (const std::string& ids : node.all_gather(own)) {
    std::istringstream lines(ids);
    std::vector<std::string>& of_rank = visible.emplace_back();
    for (std::string id; std::getline(lines, id);) of_rank.push_back(id);
  }
  return agreed(node, [&] { return choose_gpu(node.rank(), visible, share); });
}

}  // namespace tributary
