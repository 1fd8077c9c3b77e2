#include "model/families/ms_cnn.h"

#include <algorithm>

#include "model/families/draft.h"

namespace tributary {
namespace {

struct Branch {
  std::size_t weight = 0, bias = 0;
  std::int64_t reach = 0;  // distance of the first from the last input of a position: dilation (kernel - 1)
  std::int64_t dilation = 1;
};

Branch add_branch(BlockDraft& draft, const std::string& name, const std::vector<std::int64_t>& pair, std::int64_t channels, std::int64_t filters) {
  const std::int64_t kernel = pair[0];
  const double fan_in = static_cast<double>(channels * kernel);
  Branch branch;
  branch.dilation = pair[1];
  branch.reach = branch.dilation * (kernel - 1);
  branch.weight = draft.parameter({name + ".weight", {filters, channels, kernel}, Init::uniform_fan_in, fan_in, true, true});
  branch.bias = draft.parameter({name + ".bias", {filters}, Init::uniform_fan_in, fan_in, false, true});
  return branch;
}

// What the branches of a set see at the valid positions; 0 elsewhere.
using BranchInput = std::function<at::Tensor(const BlockInput& in, const at::Tensor& valid)>;

std::string add_branches(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, BlockDraft draft, const std::string& set,
                         std::int64_t width, BranchInput input) {
  const CnnConfig& cnn = settings.cnn;
  give_records(draft.spec, "cnn." + set, branch_width(cnn));
  std::vector<Branch> branches;
  for (std::size_t pair = 0; pair < cnn.pairs.size(); ++pair) {
    branches.push_back(add_branch(draft, "cnn." + set + ".convs." + std::to_string(pair), cnn.pairs[pair], width, cnn.filters));
  }
  const DynamicReluLayer activation = add_dynamic_relu(draft, set, cnn.filters, settings.use.dynamic_relu);
  add_block(list, std::move(draft), [=, windows = cnn.windows](const BlockInput& in) -> std::vector<at::Tensor> {
    const at::Tensor valid = valid_positions(in, layout);
    const at::Tensor z = input(in, valid);
    const at::Tensor own = valid.sum(1);  // n_b
    std::vector<at::Tensor> pooled;
    for (const Branch& branch : branches) {
      const std::int64_t right = std::max<std::int64_t>(0, branch.reach + 1 - z.size(1));
      const at::Tensor c = activation(ops::conv1d(z, in.parameters[branch.weight], in.parameters[branch.bias], branch.dilation, 0, right, in.weights), in);
      const at::Tensor counts = at::where(own.gt(0), (own - branch.reach).clamp_min(1), own);
      pooled.push_back(window_max(c, counts, windows).flatten(1));
    }
    return {at::cat(pooled, 1)};
  });
  return "cnn." + set;
}

}  // namespace

std::int64_t branch_width(const CnnConfig& cnn) { return static_cast<std::int64_t>(cnn.pairs.size()) * cnn.windows * cnn.filters; }

at::Tensor window_max(const at::Tensor& x, const at::Tensor& counts, std::int64_t windows) {
  const std::int64_t rows = x.size(0), positions = x.size(1), filters = x.size(2);
  const std::int64_t longest = (positions + windows - 1) / windows + 1;  // positions of a window at most
  const at::Tensor m = counts.unsqueeze(1);
  const at::Tensor w = at::arange(windows, counts.options());
  const at::Tensor first = (w * m).div(windows, "floor"), end = ((w + 1) * m + (windows - 1)).div(windows, "floor");  // [B, P]
  // A shorter window repeats its last position.
  at::Tensor index = at::minimum(first.unsqueeze(2) + at::arange(longest, counts.options()), end.unsqueeze(2) - 1).clamp_min(0);
  index = index + (at::arange(rows, counts.options()) * positions).view({rows, 1, 1});
  const at::Tensor gathered = x.reshape({rows * positions, filters}).index_select(0, index.view({-1})).view({rows, windows, longest, filters});
  return ops::select_valid(std::get<0>(gathered.max(2)), counts.gt(0).view({rows, 1, 1}));
}

std::string add_group_branches(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, std::size_t group) {
  const std::string set = group_set(group);
  BlockDraft draft("cnn." + set);
  draft.spec.reads = {BatchField::series};
  return add_branches(list, settings, layout, std::move(draft), set, 3 * layout.channels[group],
                      [group](const BlockInput& in, const at::Tensor& valid) { return sensor_input(in.batch, group, valid); });
}

std::string add_tensor_branches(BlockList& list, const ModelSettings& settings, const SequenceLayout& layout, const SequenceTensor& over) {
  BlockDraft draft("cnn.all");
  draft.spec.reads = fields_of_positions(layout);
  const std::size_t taken = draft.take(over.name);
  return add_branches(list, settings, layout, std::move(draft), "all", over.width,
                      [taken](const BlockInput& in, const at::Tensor&) { return in.taken[taken]; });
}

}  // namespace tributary
