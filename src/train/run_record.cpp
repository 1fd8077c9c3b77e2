#include "train/run_record.h"

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "train/run_lock.h"

namespace tributary {
namespace {

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

nlohmann::ordered_json former_starts(const std::filesystem::path& path, std::int64_t first_step) {
  if (first_step == 0 || !std::filesystem::exists(path)) return nlohmann::ordered_json::array();
  const auto former = nlohmann::ordered_json::parse(read_file(path), nullptr, false);
  return former.is_object() && former.contains("starts") ? former["starts"] : nlohmann::ordered_json::array();
}

}  // namespace

std::vector<RankMachine> gather_machines(const Communicator& comm, const std::string& gpu) {
  const Versions own = collect_versions();
  const nlohmann::json mine = {host_name(), gpu, nlohmann::json::parse(to_json(own))};
  std::vector<RankMachine> machines;
  for (const std::string& text : comm.all_gather(mine.dump())) {
    const auto told = nlohmann::json::parse(text);
    machines.push_back({told[0], told[1], versions_from_json(told[2].dump())});
  }
  return machines;
}

void require_equal_machines(const std::vector<RankMachine>& machines, Reduction reduction) {
  if (reduction != Reduction::exact) return;
  const auto computes_with = [](const RankMachine& machine) {
    return fmt::format("LibTorch {} on {}", machine.versions.libtorch, machine.gpu.empty() ? machine.versions.processor : machine.gpu);
  };
  for (std::size_t r = 1; r < machines.size(); ++r) {
    if (computes_with(machines[r]) == computes_with(machines.front())) continue;
    throw Error(ErrorKind::launch, fmt::format("numerics.reduction = \"exact\" needs equal machines: rank 0 ({}) has {}, rank {} ({}) has {}. Start the "
                                               "ranks on equal nodes, set ATEN_CPU_CAPABILITY=default on all of them, or set numerics.reduction = \"fast\"",
                                               machines.front().host, computes_with(machines.front()), r, machines[r].host, computes_with(machines[r])))
        .mark_shared();
  }
}

std::string bits_depend_on(const RankMachine& machine) {
  nlohmann::ordered_json facts = {{"libtorch", machine.versions.libtorch}, {"processor", machine.versions.processor}};
  if (!machine.gpu.empty()) facts["gpu"] = machine.gpu;
  return facts.dump();
}

void write_run_record(const std::filesystem::path& path, const RunFacts& facts, const std::vector<RankMachine>& machines) {
  std::set<std::string> hosts;
  for (const RankMachine& machine : machines) hosts.insert(machine.host);
  const auto settings = nlohmann::ordered_json::parse(facts.settings_json);
  nlohmann::ordered_json starts = former_starts(path, facts.first_step);
  nlohmann::ordered_json start = {
      {"time", now_utc()}, {"first_step", facts.first_step}, {"hosts", hosts}, {"grid", {{"data", facts.grid.data}, {"pipeline", facts.grid.pipeline}}}};
  start["resumed_from"] = facts.resumed_from.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(facts.resumed_from);
  starts.push_back(start);
  const nlohmann::ordered_json record = {{"configuration", settings},
                                         {"configuration_digest", facts.settings_digest},
                                         {"data", {{"directory", facts.data_directory}, {"content_digest", facts.data_digest}}},
                                         {"encoder", nlohmann::ordered_json::parse(facts.encoder)},
                                         {"parameters", facts.parameters},
                                         {"trainable_parameters", facts.trainable},
                                         {"total_steps", facts.total_steps},
                                         {"versions", nlohmann::ordered_json::parse(to_json(machines.front().versions))},
                                         {"processor", machines.front().versions.processor},
                                         {"gpu", machines.front().gpu.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(machines.front().gpu)},
                                         {"precision", settings["numerics"]["precision"]},
                                         {"reduction", settings["numerics"]["reduction"]},
                                         {"starts", starts}};
  write_file(path, record.dump(2) + "\n");
}

}  // namespace tributary
