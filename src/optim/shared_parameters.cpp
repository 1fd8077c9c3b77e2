#include "optim/shared_parameters.h"

#include <algorithm>
#include <list>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "comm/transfer.h"
#include "optim/slices.h"
#include "pipeline/host_copy.h"

namespace tributary {
namespace {

std::size_t place(const std::vector<int>& own, int stage) {
  const auto found = std::find(own.begin(), own.end(), stage);
  check(found != own.end(), "stage {} is not on this rank", stage);
  return static_cast<std::size_t>(found - own.begin());
}

const ParameterLayout& layout_of(const ModelLayout& layout, int stage) { return layout.stages[static_cast<std::size_t>(stage)].parameters; }

}  // namespace

void add_later_uses(const Holding& holding, const ModelLayout& layout, const std::vector<std::vector<at::Tensor>>& parts) {
  const Communicator& pipeline = holding.grid.pipeline();
  const std::vector<int> own = holding.own();
  const auto slice = static_cast<std::size_t>(holding.slice());
  std::vector<std::size_t> met(layout.stages.size(), 0);  // later uses of each stage so far
  std::vector<at::Tensor> leaving;                        // until they are sent
  std::list<Transfer> sent;
  for (const LaterUse& use : layout.later) {
    const std::size_t number = ++met[static_cast<std::size_t>(use.stage)];
    const int from = holding.rank_of_stage[static_cast<std::size_t>(use.stage)], to = holding.rank_of_stage[static_cast<std::size_t>(use.owner)];
    if (pipeline.rank() != from && pipeline.rank() != to) continue;
    at::Tensor part = pipeline.rank() == from ? parts[place(own, use.stage)][number] : at::Tensor();
    if (pipeline.rank() != to) {
      leaving.push_back(host_copy(part));
      sent.push_back(Transfer::send(pipeline, bytes_of(leaving.back()), to));
      continue;
    }
    const ParameterLayout& owner = layout_of(layout, use.owner);
    const ParameterEntry& entry = owner.entries[use.entry];
    const ArenaSlices slices = slice_arena(owner.trainable, holding.slices());
    const std::int64_t begin = slices.offsets[slice], end = begin + slices.counts[slice];
    const std::int64_t first = std::clamp(entry.offset, begin, end), last = std::clamp(entry.offset + entry.padded, begin, end);
    const at::Tensor sum = parts[place(own, use.owner)].front().narrow(0, first - begin, last - first);
    if (pipeline.rank() != from) {
      part = host_room({last - first}, at::kFloat, sum.device());
      Transfer::receive(pipeline, bytes_of(part), from).wait();
      part = part.to(sum.device());
    }
    sum.add_(part);
  }
  for (Transfer& transfer : sent) transfer.wait();
}

void share_parameters(const Holding& holding, const ModelLayout& layout, const std::vector<at::Tensor>& parameters, const std::vector<bool>& writes) {
  const Communicator& pipeline = holding.grid.pipeline();
  const std::vector<int> own = holding.own();
  struct Arriving {
    at::Tensor host, target;
    Transfer transfer;
  };
  std::vector<at::Tensor> leaving;
  std::list<Transfer> sent;
  std::list<Arriving> arriving;
  std::set<std::pair<int, std::string>> served;  // a stage may use a parameter more than once
  for (const LaterUse& use : layout.later) {
    const ParameterLayout &lender = layout_of(layout, use.owner), &borrower = layout_of(layout, use.stage);
    const std::string& name = lender.entries[use.entry].spec.name;
    if (use.stage == use.owner || !served.emplace(use.stage, name).second) continue;
    const int from = holding.rank_of_stage[static_cast<std::size_t>(use.owner)], to = holding.rank_of_stage[static_cast<std::size_t>(use.stage)];
    if (!writes[static_cast<std::size_t>(to)]) continue;
    const auto source = [&] { return view_of(lender, parameters[place(own, use.owner)], use.entry); };
    const auto target = [&] { return view_of(borrower, parameters[place(own, use.stage)], borrower.find(name)); };
    if (from == to) {
      if (pipeline.rank() == from) target().copy_(source());
      continue;
    }
    if (pipeline.rank() == from) {
      leaving.push_back(host_copy(source()));
      sent.push_back(Transfer::send(pipeline, bytes_of(leaving.back()), to));
    }
    if (pipeline.rank() != to) continue;
    const at::Tensor place_of_it = target();
    at::Tensor host = place_of_it.device().is_cpu() ? place_of_it : host_room(place_of_it.sizes(), place_of_it.scalar_type(), place_of_it.device());
    Transfer transfer = Transfer::receive(pipeline, bytes_of(host), from);
    arriving.push_back({std::move(host), place_of_it, std::move(transfer)});
  }
  for (Arriving& one : arriving) {
    one.transfer.wait();
    if (!one.target.is_same(one.host)) one.target.copy_(one.host);
  }
  for (Transfer& transfer : sent) transfer.wait();
}

}  // namespace tributary
