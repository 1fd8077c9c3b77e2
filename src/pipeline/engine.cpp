#include "pipeline/engine.h"

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "comm/progress_thread.h"
#include "comm/transfer.h"
#include "pipeline/host_copy.h"

namespace tributary {
namespace {

TraceKind kind_of(const Action& action) {
  switch (action.kind) {
    case ActionKind::forward:
      return TraceKind::forward;
    case ActionKind::backward:
      return TraceKind::backward;
    case ActionKind::backward_input:
      return TraceKind::backward_input;
    default:
      return TraceKind::backward_weight;
  }
}

}  // namespace

Program alone(std::int64_t leaves) {
  Program program;
  for (const Action& action : sequential_schedule(leaves)) program.push_back({Op::Kind::compute, action});
  return program;
}

std::vector<int> StagePlace::own() const {
  std::vector<int> stages;
  for (std::size_t s = 0; s < rank_of_stage.size(); ++s)
    if (rank_of_stage[s] == rank) stages.push_back(static_cast<int>(s));
  return stages;
}

// A program under way: the leaves that live, and the messages.
class EngineRun {
 public:
  EngineRun(const Engine& engine, const std::vector<at::Tensor>& parameters, const std::vector<Leaf>& leaves, const std::vector<GradientSink*>& sinks,
            bool gradients)
      : engine_(engine), leaves_(leaves), sinks_(sinks), gradients_(gradients), own_(engine.place_.own()) {
    check(parameters.size() == own_.size() && (!gradients || sinks.size() == own_.size()), "{} arenas and {} sinks for {} stages", parameters.size(),
          sinks.size(), own_.size());
    if (own_.size() < engine.place_.rank_of_stage.size()) messages_.emplace();
    aliases_.reserve(own_.size());
    for (std::size_t i = 0; i < own_.size(); ++i) {
      const auto stage = static_cast<std::size_t>(own_[i]);
      type_ = parameters[i].scalar_type();
      device_ = parameters[i].device();
      aliases_.push_back(engine.aliases(stage, parameters[i], gradients));
      contexts_.push_back({engine.model_, engine.wiring_, own_[i], engine.layout_.stages[stage], aliases_.back(), engine.options_.recompute});
    }
  }

  std::vector<LeafOutput> operator()(const Program& program) {
    for (const Op& op : program) {
      if (engine_.options_.before) engine_.options_.before(op, leaves_.empty() ? 0 : leaves_.front().context.leaf);
      perform(op);
    }
    await_sends();
    const std::size_t finishing = gradients_ ? leaves_.size() * own_.size() : 0;
    check(finished_ == finishing && live_.empty(), "the program finished {} of {} backward passes, {} leaves are left", finished_, finishing, live_.size());
    if (!holds_last()) return {};
    check(outputs_.size() == leaves_.size(), "the program put out {} of {} leaves", outputs_.size(), leaves_.size());
    std::vector<LeafOutput> outputs;
    for (auto& [leaf, output] : outputs_) {
      for (at::Tensor& value : output.outputs) value = value.cpu();
      outputs.push_back(std::move(output));
    }
    return outputs;
  }

  [[nodiscard]] bool has_messages() const { return !received_.empty() || !sent_.empty(); }  // that are not known to be done
  void look_after_none() { messages_.reset(); }

 private:
  struct Sent {
    at::Tensor value;
    Transfer transfer;
  };
  struct Received {
    std::size_t name;
    at::Tensor value;
    Transfer transfer;
  };
  struct Computed {
    Batch batch;
    Leaf leaf;
  };
  using Place = std::pair<int, std::int64_t>;             // stage, leaf
  using Letter = std::tuple<Traffic, int, std::int64_t>;  // of a message: its traffic, the stage it comes from, the leaf
  static Letter letter(const Message& message) { return {message.traffic, message.from_stage, message.leaf}; }

  [[nodiscard]] Trace* trace() const { return engine_.options_.trace; }
  [[nodiscard]] bool holds(int stage) const { return std::find(own_.begin(), own_.end(), stage) != own_.end(); }
  [[nodiscard]] bool holds_last() const { return holds(static_cast<int>(engine_.layout_.stages.size()) - 1); }
  [[nodiscard]] std::size_t number(int stage) const {
    const auto found = std::find(own_.begin(), own_.end(), stage);
    check(found != own_.end(), "the program names stage {}, which is not on this rank", stage);
    return static_cast<std::size_t>(found - own_.begin());
  }
  [[nodiscard]] const Leaf& leaf(std::int64_t n) const { return leaves_[static_cast<std::size_t>(n)]; }
  // The leaf as blocks see it: beside the weights and in their type.
  [[nodiscard]] const Leaf& computed(std::int64_t n) {
    if (device_.is_cpu() && (type_ == at::kFloat || type_ == at::kDouble)) return leaf(n);
    std::unique_ptr<Computed>& place = computed_[n];
    if (!place) {
      place = std::make_unique<Computed>(Computed{on_device(*leaf(n).batch, device_, type_), leaf(n)});
      place->leaf.batch = &place->batch;
      place->leaf.host = leaf(n).batch;
    }
    return place->leaf;
  }
  [[nodiscard]] LeafStage& live(int stage, std::int64_t n) {
    std::unique_ptr<LeafStage>& place = live_[{stage, n}];
    if (!place) place = std::make_unique<LeafStage>(contexts_[number(stage)], computed(n), gradients_);
    return *place;
  }
  [[nodiscard]] const std::vector<std::size_t>& crossing(int stage) const { return engine_.crossing_[static_cast<std::size_t>(stage)]; }
  [[nodiscard]] TensorShape shape(std::size_t name, std::int64_t n) const { return LeafStage::shape_of(engine_.model_, engine_.wiring_, leaf(n), name); }
  [[nodiscard]] bool differentiable(std::size_t name, const TensorShape& told) const {
    return gradients_ && told.differentiable && engine_.wiring_.reached[name];
  }

  // The other side reckons with what is told, and would take a shorter message for it.
  [[nodiscard]] const at::Tensor& as_told(std::size_t name, std::int64_t n, const at::Tensor& value) const {
    const at::ScalarType expected = shape(name, n).scalar_type(type_);
    check(value.scalar_type() == expected, "block '{}' gives '{}' as {}, and tells {}", engine_.model_.blocks[engine_.wiring_.givers[name]].name,
          engine_.wiring_.names[name], c10::toString(value.scalar_type()), c10::toString(expected));
    return value;
  }

  void perform(const Op& op) {
    switch (op.kind) {
      case Op::Kind::post_receive:
        return post_receive(op.message, op.peer);
      case Op::Kind::wait_receive:
        return wait_receive(op.message);
      case Op::Kind::send:
        return send(op.message, op.peer);
      case Op::Kind::compute:
        return compute(op.action);
    }
  }

  [[nodiscard]] const Communicator& channel(Traffic traffic) const {
    const Communicator* found = traffic == Traffic::forward ? engine_.place_.activations : engine_.place_.gradients;
    check(found != nullptr, "the program talks to other ranks, this one is alone");
    return *found;
  }

  // What a message between two stages holds: every tensor in a transfer of its own, in the order of their numbers on both sides.
  [[nodiscard]] const std::vector<std::size_t>& names_in(const Message& message) const {
    return message.traffic == Traffic::forward ? engine_.crossing_[static_cast<std::size_t>(message.to_stage)]
                                               : engine_.returning_[static_cast<std::size_t>(message.from_stage)];
  }

  void post_receive(const Message& message, int peer) {
    std::vector<Received>& waiting = received_[letter(message)];
    for (const std::size_t name : names_in(message)) {
      const TensorShape told = shape(name, message.leaf);
      if (message.traffic == Traffic::gradient && !told.differentiable) continue;
      at::Tensor value = engine_.messages_.take(told.sizes, told.scalar_type(type_), device_);
      Transfer transfer = Transfer::receive(channel(message.traffic), bytes_of(value), peer);
      waiting.push_back({name, std::move(value), std::move(transfer)});
    }
  }

  void wait_receive(const Message& message) {
    const TraceSpan span(trace(), message.traffic == Traffic::forward ? TraceKind::receive_activation : TraceKind::receive_gradient, message.to_stage,
                         message.leaf);
    const auto waiting = received_.find(letter(message));  // stays there until all of it has come: a wait that fails leaves messages under way
    check(waiting != received_.end(), "the program waits for what it did not ask for: leaf {} from stage {}", message.leaf, message.from_stage);
    LeafStage& stage = live(message.to_stage, message.leaf);
    for (Received& one : waiting->second) {
      one.transfer.wait();
      one.value = one.value.to(device_);
      if (message.traffic == Traffic::forward)
        stage.put(one.name, {std::move(one.value), differentiable(one.name, shape(one.name, message.leaf))});
      else
        stage.put_gradient(one.name, std::move(one.value));
    }
    received_.erase(waiting);
  }

  void send(const Message& message, int peer) {
    const TraceSpan span(trace(), message.traffic == Traffic::forward ? TraceKind::send_activation : TraceKind::send_gradient, message.from_stage,
                         message.leaf);
    sent_.remove_if([](Sent& sent) { return sent.transfer.done(); });
    auto leaving = leaving_.extract(letter(message));
    check(!leaving.empty(), "the program sends what is not there: leaf {} of stage {}", message.leaf, message.from_stage);
    for (at::Tensor& value : leaving.mapped()) {
      Transfer transfer = Transfer::send(channel(message.traffic), bytes_of(value), peer);
      sent_.push_back({std::move(value), std::move(transfer)});
    }
  }

  void await_sends() {
    const TraceSpan span(sent_.empty() ? nullptr : trace(), TraceKind::await_sends);
    for (Sent& sent : sent_) sent.transfer.wait();
  }

  void compute(const Action& action) {
    const TraceSpan span(trace(), kind_of(action), action.stage, action.leaf);
    const ProgressThread::Computing computing(messages_ ? &*messages_ : nullptr);
    check(action.leaf >= 0 && action.leaf < static_cast<std::int64_t>(leaves_.size()), "the program names leaf {}, there are {}", action.leaf, leaves_.size());
    if (action.kind == ActionKind::forward)
      forward(action.stage, action.leaf);
    else if (action.kind == ActionKind::backward_weight)
      finish(action.stage, action.leaf);
    else
      backward(action.stage, action.leaf, action.kind == ActionKind::backward);
  }

  void forward(int stage, std::int64_t n) {
    LeafStage& run = live(stage, n);
    run.forward();
    const bool last = stage + 1 == static_cast<int>(engine_.layout_.stages.size());
    if (last) {
      LeafOutput& output = outputs_[n];
      output.leaf = leaf(n).context.leaf;
      for (const std::size_t name : engine_.wiring_.outputs) output.outputs.push_back(run.get(name).value);
    } else if (holds(stage + 1)) {
      for (const std::size_t name : crossing(stage + 1)) live(stage + 1, n).put(name, run.get(name));
    } else {
      std::vector<at::Tensor>& values = leaving_[{Traffic::forward, stage, n}];
      for (const std::size_t name : crossing(stage + 1)) values.push_back(host_copy(as_told(name, n, run.get(name).value)));
    }
    run.release_values();
    if (!gradients_) live_.erase({stage, n});
  }

  void backward(int stage, std::int64_t n, bool weights) {
    LeafStage& run = live(stage, n);
    run.backward(weights ? sinks_[number(stage)] : nullptr);
    if (stage > 0) {
      std::vector<at::Tensor> values;
      const bool here = holds(stage - 1);
      for (const std::size_t name : engine_.returning_[static_cast<std::size_t>(stage)]) {
        if (!shape(name, n).differentiable) continue;
        at::Tensor gradient = run.get_gradient(name);
        check(gradient.defined(), "stage {} has no gradient of '{}'", stage, engine_.wiring_.names[name]);
        if (here)
          live(stage - 1, n).put_gradient(name, std::move(gradient));
        else
          values.push_back(host_copy(gradient));
      }
      if (!here) leaving_[{Traffic::gradient, stage, n}] = std::move(values);
    }
    if (weights) forget(stage, n);
  }

  void finish(int stage, std::int64_t n) {
    live(stage, n).collect(*sinks_[number(stage)]);
    forget(stage, n);
  }

  void forget(int stage, std::int64_t n) {
    live_.erase({stage, n});
    ++finished_;
  }

  const Engine& engine_;
  const std::vector<Leaf>& leaves_;
  const std::vector<GradientSink*>& sinks_;
  bool gradients_;
  std::vector<int> own_;
  at::ScalarType type_ = at::kFloat;
  at::Device device_ = at::kCPU;
  std::vector<std::vector<std::vector<at::Tensor>>> aliases_;  // [own stages]
  std::vector<StageContext> contexts_;
  std::map<std::int64_t, std::unique_ptr<Computed>> computed_;
  std::map<Place, std::unique_ptr<LeafStage>> live_;
  std::map<Letter, std::vector<Received>> received_;   // asked for
  std::map<Letter, std::vector<at::Tensor>> leaving_;  // computed, not yet sent
  std::list<Sent> sent_;
  std::map<std::int64_t, LeafOutput> outputs_;
  std::size_t finished_ = 0;
  std::optional<ProgressThread> messages_;  // where stages are on other ranks
};

Engine::Engine(const BlockList& model, const ModelLayout& layout, StagePlace place, EngineOptions options)
    : model_(model), layout_(layout), place_(std::move(place)), options_(std::move(options)), wiring_(model) {
  if (options_.recompute.empty()) options_.recompute.assign(model.blocks.size(), false);
  check(options_.recompute.size() == model.blocks.size(), "{} marks of recomputing for {} blocks", options_.recompute.size(), model.blocks.size());
  check(place_.rank_of_stage.size() == layout.stages.size(), "{} stages are placed, the model has {}", place_.rank_of_stage.size(), layout.stages.size());
  for (const StageLayout& stage : layout.stages) {
    crossing_.push_back(wiring_.crossing(stage.first));
    returning_.push_back(wiring_.returning(stage.first));
  }
}

std::vector<std::vector<at::Tensor>> Engine::aliases(std::size_t stage, const at::Tensor& parameters, bool gradients) const {
  const StageLayout& layout = layout_.stages[stage];
  std::vector<std::vector<at::Tensor>> result;
  for (const auto& block : layout.uses) {
    std::vector<at::Tensor>& own = result.emplace_back();
    for (const ParameterUse& use : block) {
      at::Tensor alias = view_of(layout.parameters, parameters, use.entry).detach();
      alias.set_requires_grad(gradients && layout.parameters.entries[use.entry].spec.trainable);
      own.push_back(std::move(alias));
    }
  }
  return result;
}

namespace {

// A rank that fails among others ends the job. Until it has, messages under way still read and write what they were given: that is kept.
std::vector<LeafOutput> complete(std::unique_ptr<EngineRun> run, const Program& program) {
  try {
    return (*run)(program);
  } catch (...) {
    run->look_after_none();
    if (run->has_messages()) static_cast<void>(run.release());
    throw;
  }
}

}  // namespace

std::vector<LeafOutput> Engine::run(const Program& program, const std::vector<at::Tensor>& parameters, const std::vector<Leaf>& leaves,
                                    const std::vector<GradientSink*>& sinks) const {
  check(wiring_.loss < wiring_.names.size(), "backward of a model without a tensor called '{}'", loss_name);
  return complete(std::make_unique<EngineRun>(*this, parameters, leaves, sinks, true), program);
}

std::vector<LeafOutput> Engine::evaluate(const Program& program, const std::vector<at::Tensor>& parameters, const std::vector<Leaf>& leaves) const {
  const std::vector<GradientSink*> no_sinks;
  return complete(std::make_unique<EngineRun>(*this, parameters, leaves, no_sinks, false), program);
}

LeafOutput Engine::evaluate(const at::Tensor& parameters, const Leaf& leaf) const {
  return evaluate({{Op::Kind::compute, {ActionKind::forward, 0, 0}}}, {parameters}, {leaf}).front();
}

}  // namespace tributary
