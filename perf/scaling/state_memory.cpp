// How much memory a rank's training state takes: weights, gradients and optimizer of an encoder trained data-parallel over all ranks.
// Usage, under mpirun: perf_state_memory JSON. Keys: those of an EncoderTask; "way": exact or fast. Rank 0 prints one JSON list, MiB by rank:
// "program": proportional set size (shared pages count by share) after steps of a tiny encoder, so that libraries are loaded and used;
// "state": its growth once the encoder's state is there and a step with leaves of 8 tokens is done; "passing": by how much one step with the task's own leaves
// exceeds that at its peak, which is activations and gradients on their way.
#include <malloc.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "app/process.h"
#include "base/error.h"
#include "encoder/classifier.h"
#include "scaling/encoder_task.h"
#include "scaling/steps.h"

namespace tributary {
namespace {

// Of a line "NAME:   123 kB".
double mib_of(const char* file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name)) return std::stod(line.substr(name.size())) / 1024;
  fail(ErrorKind::internal, "{}: expected a line {}, found none", file, name);
}

double proportional_mib(const Communicator& world) {
  ::malloc_trim(0);
  world.barrier();  // shared pages count by how many have them
  const double found = mib_of("/proc/self/smaps_rollup", "Pss:");
  world.barrier();
  return found;
}

// The peak of the resident set from here on is measured anew.
void forget_peak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  check(file.good(), "/proc/self/clear_refs cannot be written: the peak of the resident set cannot be measured");
}

EncoderTask with_tokens(EncoderTask task, std::int64_t tokens) {
  task.windows = task.leaves;
  task.tokens = tokens;
  return task;
}

nlohmann::json measure(const Communicator& world, const nlohmann::json& given) {
  const EncoderTask task = encoder_task(given);
  const EncoderTask small = with_tokens(task, 8);
  const std::string way = given.at("way").get<std::string>();
  {
    TextConfig tiny;
    const BlockList model = mean_classifier(tiny, 1000);
    EncoderTask warm_up = small;
    warm_up.vocabulary = 1000;
    const std::vector<Batch> leaves = make_leaves(warm_up);
    const auto step = make_step(way, world, model, {0});
    for (int i = 0; i < 2; ++i) static_cast<void>(step->run({i, leaves, warm_up.windows}));
  }
  const double program = proportional_mib(world);
  const BlockList model = mean_classifier(task.text, task.vocabulary);
  const auto step = make_step(way, world, model, {0});
  const std::vector<Batch> few = make_leaves(small), whole = make_leaves(task);
  static_cast<void>(step->run({0, few, small.windows}));
  const double state = proportional_mib(world) - program;
  const double resident = mib_of("/proc/self/status", "VmRSS:");
  forget_peak();
  static_cast<void>(step->run({1, whole, task.windows}));
  const double passing = mib_of("/proc/self/status", "VmHWM:") - resident;
  return {{"program", program}, {"state", state}, {"passing", passing}};
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
    nlohmann::json result;
    for (const std::string& rank : world.gather(measure(world, nlohmann::json::parse(argv[1])).dump(), 0)) result.push_back(nlohmann::json::parse(rank));
    if (world.rank() == 0) std::printf("%s\n", result.dump().c_str());
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    abort_all(68);
  }
  return 0;
}
