#include "model/layers/device.h"
#include "model/layers/operators.h"
#include "model/layers/recorded.h"

namespace tributary::ops {
namespace {

struct Embedding : torch::autograd::Function<Embedding> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& table, const at::Tensor& ids) {
    ctx->save_for_backward({ids});
    ctx->saved_data["sizes"] = table.sizes().vec();
    return at::embedding(table, ids);
  }

  // Rows are added up in the order of the ids, as the library's dense gradient adds them.
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor &dy = gradients[0], ids = ctx->get_saved_variables()[0];
    const auto [distinct, place, counts] = at::_unique2(ids, true, true);
    const at::Tensor rows = at::zeros({distinct.size(0), dy.size(1)}, dy.options()).index_add_(0, place, dy);
    return {at::_sparse_coo_tensor_unsafe(distinct.unsqueeze(0), rows, ctx->saved_data.at("sizes").toIntVector(), rows.options().layout(at::kSparse), true),
            {}};
  }
};

}  // namespace

at::Tensor embedding(const at::Tensor& table, const at::Tensor& ids) {
  check(table.dim() == 2 && ids.dim() == 1, "embedding: a table [V, D] and ids [N] are expected");
  const bool ours = is_host_float(table) || is_host_double(table);
  if (!ours || !at::GradMode::is_enabled() || !table.requires_grad()) return at::embedding(table, ids);
  return Embedding::apply(table, ids);
}

}  // namespace tributary::ops
