#include "train/event_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

constexpr std::size_t most_bad_leaves = 16;  // of a line: a step may have thousands

nlohmann::ordered_json as_json(const std::optional<double>& value) { return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr); }

}  // namespace

std::string to_json_line(const StepRecord& r, const std::vector<std::string>& tasks) {
  nlohmann::ordered_json losses = nlohmann::ordered_json::object();
  for (std::size_t t = 0; t < tasks.size(); ++t) losses[tasks[t]] = as_json(r.task_losses.at(t));
  nlohmann::ordered_json line = {{"event", "step"},
                                 {"step", r.step},
                                 {"epoch", r.epoch},
                                 {"loss", as_json(r.loss)},
                                 {"task_losses", losses},
                                 {"gradient_norm", r.gradient_norm},
                                 {"learning_rate", r.learning_rate},
                                 {"applied", r.applied},
                                 {"leaves", r.leaves},
                                 {"records", r.records},
                                 {"seconds", r.seconds},
                                 {"input_wait_s", r.input_wait_s},
                                 {"efficiency", r.efficiency}};
  if (r.loss_scale != 1) line["loss_scale"] = r.loss_scale;
  if (!r.applied) {
    line["not_finite_in"] = r.bad_part;
    line["not_finite_leaves"] = r.bad_leaves.size();
    line["first_not_finite"] = nlohmann::ordered_json::array();
    for (const BadLeaf& bad : std::span(r.bad_leaves).first(std::min(most_bad_leaves, r.bad_leaves.size())))
      line["first_not_finite"].push_back({{"leaf", bad.leaf}, {"rank", bad.rank}, {"block", bad.block}, {"in", bad.forward ? "values" : bad.parameter}});
  }
  return line.dump();
}

std::string lines_up_to(const std::string& text, std::int64_t last_step) {
  std::string kept;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const auto line = nlohmann::json::parse(text.substr(begin, end - begin), nullptr, false);
    if (line.is_discarded() || line.value("step", std::int64_t{0}) > last_step) break;
    kept.append(text, begin, end + 1 - begin);
    begin = end + 1;
  }
  return kept;
}

EventLog::EventLog(const std::filesystem::path& path, std::int64_t last_step) : path_(path) {
  const std::string kept = last_step > 0 && std::filesystem::exists(path) ? lines_up_to(read_file(path), last_step) : std::string();
  write_file(path, kept);
  file_.reset(std::fopen(path.c_str(), "a"));
  if (!file_) fail(ErrorKind::cannot_create, "{}: cannot be opened for writing: {}", path.string(), std::strerror(errno));
}

void EventLog::write(const std::string& line) {
  if (std::fputs((line + "\n").c_str(), file_.get()) < 0 || std::fflush(file_.get()) != 0)
    fail(ErrorKind::io, "{}: a line could not be written: {}; free some space, then `--resume auto` goes on from the newest checkpoint", path_.string(),
         std::strerror(errno));
}

}  // namespace tributary
