// Our LSTM against at::lstm (oneDNN), forward and backward with all gradients, one thread, float32: one line per size.
// The two alternate; the figure is the median over pairs of ours / theirs in processor time, so the machine's drift touches both alike.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "model/layers/operators.h"

namespace {

using tributary::WeightQueue;
using tributary::ops::LstmWeights;

struct Size {
  std::int64_t records, steps, in, width;
};

struct Problem {
  at::Tensor x, dy, zero;
  LstmWeights weights;
  [[nodiscard]] std::vector<at::Tensor> leaves() const { return {x, weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh}; }
};

at::Tensor wave(std::vector<std::int64_t> shape, double scale, double seed) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return (at::arange(count, at::TensorOptions(at::kDouble)) * 12.9898 + seed).sin().mul(43758.5453).frac().mul(scale).reshape(shape).to(at::kFloat);
}

Problem make_problem(const Size& s) {
  const auto leaf = [](const at::Tensor& tensor) { return at::Tensor(tensor).set_requires_grad(true); };
  return {leaf(wave({s.records, s.steps, s.in}, 1, 1)),
          wave({s.records, s.steps, s.width}, 1, 2),
          at::zeros({1, s.records, s.width}),
          {leaf(wave({4 * s.width, s.in}, 0.06, 3)), leaf(wave({4 * s.width, s.width}, 0.06, 4)), leaf(wave({4 * s.width}, 0.06, 5)),
           leaf(wave({4 * s.width}, 0.06, 6))}};
}

struct Times {
  double forward_s, backward_s;
  [[nodiscard]] double total() const { return forward_s + backward_s; }
};

// Processor time of the process: what other programs on the machine take does not count.
double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

Times time_ours(const Problem& p) {
  const double start = seconds();
  WeightQueue queue;
  const at::Tensor y = tributary::ops::lstm(p.x, p.weights, &queue);
  const double middle = seconds();
  const auto direct = torch::autograd::grad({y}, p.leaves(), {p.dy}, std::nullopt, false, true);
  const auto queued = queue.drain();
  if (!direct[0].defined() || queued.size() != 4) std::abort();
  return {middle - start, seconds() - middle};
}

Times time_theirs(const Problem& p) {
  const double start = seconds();
  const at::Tensor y = std::get<0>(
      at::lstm(p.x, {p.zero, p.zero}, {p.weights.weight_ih, p.weights.weight_hh, p.weights.bias_ih, p.weights.bias_hh}, true, 1, 0.0, true, false, true));
  const double middle = seconds();
  const auto direct = torch::autograd::grad({y}, p.leaves(), {p.dy});
  if (!direct[4].defined()) std::abort();
  return {middle - start, seconds() - middle};
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void measure(const Size& size, int pairs) {
  const Problem problem = make_problem(size);
  std::vector<double> ratios, ours_forward, ours_backward, theirs_forward, theirs_backward;
  for (int i = -5; i < pairs; ++i) {  // the first five warm up
    const Times ours = time_ours(problem), theirs = time_theirs(problem);
    if (i < 0) continue;
    ratios.push_back(ours.total() / theirs.total());
    ours_forward.push_back(ours.forward_s * 1e3);
    ours_backward.push_back(ours.backward_s * 1e3);
    theirs_forward.push_back(theirs.forward_s * 1e3);
    theirs_backward.push_back(theirs.backward_s * 1e3);
  }
  std::printf("B %2ld T %ld D %3ld h %ld: ours / at::lstm %.3f; forward %.2f / %.2f ms, backward %.2f / %.2f ms\n", static_cast<long>(size.records),
              static_cast<long>(size.steps), static_cast<long>(size.in), static_cast<long>(size.width), median(ratios), median(ours_forward),
              median(theirs_forward), median(ours_backward), median(theirs_backward));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  at::set_num_threads(1);
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 60;
  for (const std::int64_t records : {16, 8}) {
    for (const std::int64_t in : {48, 128, 256, 304}) measure({records, 48, in, 256}, pairs);
  }
  return 0;
}
