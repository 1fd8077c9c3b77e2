// Times training steps of an encoder over all ranks, several ways in turn: pairs of steps are neighbours in time, on the same processes.
// Usage, under mpirun: perf_scaling_step JSON. Keys: those of an EncoderTask; "ways": names as make_step(); "rounds"; "first_layers": encoder layers of the
// first stage of a pipeline of two. Rank 0 prints {"parameters", "ways": {NAME: [ranks]{"total", "start", "compute", "reduce", "update", "loss": [rounds]}}}.
#include <algorithm>
#include <cstdio>
#include <map>

#include "app/process.h"
#include "base/error.h"
#include "encoder/classifier.h"
#include "scaling/encoder_task.h"
#include "scaling/steps.h"

namespace tributary {
namespace {

using Times = std::map<std::string, std::vector<StepTimes>>;  // [ways][rounds]

Times run_rounds(const Communicator& world, const nlohmann::json& given, const EncoderTask& task, const BlockList& model) {
  const std::vector<Batch> leaves = make_leaves(task);
  const auto names = given.at("ways").get<std::vector<std::string>>();
  std::vector<std::unique_ptr<Step>> steps;
  const std::size_t first_of_second = 1 + given.value("first_layers", std::size_t{0});  // the embeddings are a block
  for (const std::string& name : names) steps.push_back(make_step(name, world, model, {0, first_of_second}));
  Times times;
  const auto rounds = given.at("rounds").get<std::int64_t>();
  for (std::int64_t round = -1; round < rounds; ++round)  // one to warm up
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const std::size_t way = round % 2 == 0 ? i : steps.size() - 1 - i;
      world.barrier();
      const StepTimes found = steps[way]->run({round + 1, leaves, task.windows});
      if (round >= 0) times[names[way]].push_back(found);
    }
  return times;
}

nlohmann::json to_json(const std::vector<StepTimes>& times) {
  const auto column = [&](auto value) {
    std::vector<double> values;
    for (const StepTimes& one : times) values.push_back(value(one));
    return values;
  };
  return {{"total", column([](const StepTimes& t) { return t.total_s(); })},   {"start", column([](const StepTimes& t) { return t.start_s; })},
          {"compute", column([](const StepTimes& t) { return t.compute_s; })}, {"reduce", column([](const StepTimes& t) { return t.reduce_s; })},
          {"update", column([](const StepTimes& t) { return t.update_s; })},   {"loss", column([](const StepTimes& t) { return t.loss; })}};
}

nlohmann::json gather(const Communicator& world, const BlockList& model, const Times& times) {
  nlohmann::json own, result;
  for (const auto& [name, of_way] : times) own[name] = to_json(of_way);
  for (const std::string& text : world.gather(own.dump(), 0)) {
    const nlohmann::json rank = nlohmann::json::parse(text);
    for (const auto& [name, of_way] : rank.items()) result["ways"][name].push_back(of_way);
  }
  std::int64_t parameters = 0;
  for (const ParameterSpec& spec : model.parameters) parameters += spec.count();
  result["parameters"] = parameters;
  return result;
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  using namespace tributary;
  if (argc != 2) return 64;
  prepare_process();
  MpiRuntime runtime(argc, argv);
  try {
    const Communicator world = Communicator::world();
    const nlohmann::json given = nlohmann::json::parse(argv[1]);
    const EncoderTask task = encoder_task(given);
    const BlockList model = mean_classifier(task.text, task.vocabulary);
    const nlohmann::json result = gather(world, model, run_rounds(world, given, task, model));
    if (world.rank() == 0) std::printf("%s\n", result.dump().c_str());
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    abort_all(68);
  }
  return 0;
}
