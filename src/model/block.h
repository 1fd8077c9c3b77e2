// A model is a list of blocks, the finest places where a pipeline may cut. A block is a pure function of what it takes, its parameters and the leaf.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/key.h"
#include "batches/batch.h"
#include "model/parameters.h"

namespace tributary {

// Weight products that may wait: own operators add one during backward, the engine drains the queue.
// One queue a block and leaf; entries are drained in the order of their slots, which forward hands out, so the sum does not depend on autograd's order.
class WeightQueue {
 public:
  using Product = std::function<at::Tensor()>;
  [[nodiscard]] int reserve() { return slots_++; }
  void add(int slot, const at::Tensor& parameter, Product product);
  struct Gradient {
    at::Tensor parameter;  // the very tensor the operator was given
    at::Tensor value;
  };
  // Computes all products and forgets them.
  [[nodiscard]] std::vector<Gradient> drain();

 private:
  struct Entry {
    int slot;
    at::Tensor parameter;
    Product product;
  };
  int slots_ = 0;
  std::vector<Entry> entries_;
};

// What the step knows about a leaf; the same values on every rank that computes any block of it.
struct LeafContext {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  std::int64_t leaf = 0;
  bool training = false;             // dropout on
  std::vector<double> label_counts;  // [tasks] global number of valid labels of the step: the denominators of the losses
  double loss_scale = 1;             // backward begins with it, and every gradient has it as a factor: small ones are not lost in half precision
};

// A block computes where its parameters are and in their type. On the CPU float32 and float64 run on our own kernels; any other device or type on the
// library's operators, without a wait for the device: what a block decides by values (sizes, windows, index maps) it reads from `host`.
struct BlockInput {
  const Batch& batch;  // on the compute device, floating inputs in the compute type
  const Batch& host;   // the same leaf in host memory; the same object where the batch is there already
  const LeafContext& context;
  std::vector<at::Tensor> taken;       // as BlockSpec::takes
  std::vector<at::Tensor> parameters;  // as BlockSpec::parameters
  int block = 0;                       // number in the list
  WeightQueue* weights = nullptr;      // null in evaluation

  // The key of this block's `draw`-th random tensor in this leaf: (seed, step, leaf, block, draw).
  [[nodiscard]] Key draw_key(std::uint64_t draw) const;
};

// What a block gives for a leaf, known before it runs: both sides of a pipeline's cut derive it from the leaf, so no message tells shapes.
struct TensorShape {
  std::vector<std::int64_t> sizes;
  bool differentiable = true;  // false: the values depend on no parameter in this leaf, so no gradient comes back for them; true is never wrong
  enum class Type { compute, single, wide };
  Type type = Type::compute;  // single: float32, or what the model computes in where that is wider; wide: float64
  [[nodiscard]] at::ScalarType scalar_type(at::ScalarType compute) const;
};

enum class BatchField { series, statics, notes, entities, image, labels };  // pairs: entities and labels

struct BlockSpec {
  std::string name;
  std::vector<BatchField> reads;
  std::vector<std::string> takes;  // named tensors of earlier blocks
  std::vector<std::string> gives;
  std::vector<std::string> parameters;                                // names; a shared parameter stands in every block that uses it
  std::function<std::vector<at::Tensor>(const BlockInput&)> forward;  // as `gives`
  // As `gives`; of the batch in host memory, no more of it than `shape_reads`. May be left out where a pipeline never cuts behind the block.
  std::function<std::vector<TensorShape>(const Batch&, const LeafContext&)> shapes = {};
  std::vector<BatchField> shape_reads = {};
};

// Names of tensors with a meaning for the engine and the trainer.
inline constexpr const char* loss_name = "loss";  // scalar, at least float32: sum over tasks of weight * loss sum / global count; backward starts here
inline constexpr const char* loss_sums_name = "loss_sums";  // [tasks] double, detached: each task's loss sum over valid labels of the leaf
// and for each task of the model "probability.<task>": [B, output_width], at least float32, detached (regression: the prediction itself; relation: [pairs,
// classes]; masked_token: [M, 2], minus the logarithm of the true token's probability, and 1 where no other token is more probable, else 0)
[[nodiscard]] inline std::string probability_name(const Task& task) { return "probability." + task.name; }

struct BlockList {
  std::vector<ParameterSpec> parameters;
  std::vector<BlockSpec> blocks;
  std::vector<std::string> outputs;              // named tensors handed back for every leaf, detached: loss_sums, probability.*
  std::vector<std::size_t> tasks;                // numbers of the tasks that have a head, in order: in schema_of_model() (registry.h)
  std::optional<std::size_t> marked_pairs = {};  // the relation task whose marked pairs the encoder reads in place of the notes
};

}  // namespace tributary
