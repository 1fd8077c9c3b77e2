#include "train/run_settings.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <iterator>

#include "base/error.h"
#include "base/files.h"
#include "batches/batch_plan.h"
#include "batches/collator.h"
#include "comm/agree.h"
#include "model/registry.h"
#include "optim/loss_scale.h"
#include "train/parallel.h"
#include "train/pretrained.h"

namespace tributary {

namespace {

bool is_count(const std::string& text) {
  int count = 0;
  const auto [after, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && after == text.data() + text.size() && count >= 1;
}

}  // namespace

std::vector<Section> sections_of(RunSettings& s) {
  std::vector<Section> sections = {section_of(s.data)};
  for (Section& section : sections_of(s.model)) sections.push_back(std::move(section));
  for (const Section& section :
       {section_of(s.optim), section_of(s.numerics), section_of(s.parallel), section_of(s.train), section_of(s.run), section_of(s.checkpoint)})
    sections.push_back(section);
  return sections;
}

std::optional<double> duration_s(const std::string& text) {
  const auto refuse = [&] { fail(ErrorKind::configuration, "expected a duration such as 3h50m, 90s or 2d (d, h, m, s), found \"{}\"", text); };
  std::string rest;
  std::copy_if(text.begin(), text.end(), std::back_inserter(rest), [](unsigned char c) { return std::isspace(c) == 0; });
  if (rest.empty()) return std::nullopt;
  double total = 0;
  std::string_view units = "dhms";  // each at most once, in this order
  for (const char *at = rest.data(), *end = at + rest.size(); at != end;) {
    double amount = 0;
    const auto [after, error] = std::from_chars(at, end, amount, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(amount) || amount < 0) refuse();
    const char unit = after == end && at == rest.data() ? 's' : after == end ? '?' : *after;
    const std::size_t place = units.find(unit);
    if (place == std::string_view::npos) refuse();
    total += amount * (unit == 'd' ? 86400 : unit == 'h' ? 3600 : unit == 'm' ? 60 : 1);
    units.remove_prefix(place + 1);
    at = after == end ? end : after + 1;
  }
  return total;
}

void check_ranks(const RunConfig& run, int ranks) {
  if (run.ranks == "any" || run.ranks == std::to_string(ranks)) return;
  fail(ErrorKind::launch, "the configuration asks for {} ranks (run.ranks), {} were started; use mpirun -n {} or --set run.ranks=any", run.ranks, ranks,
       run.ranks);
}

void validate(const RunSettings& s) {
  std::string faults;
  const auto demand = [&](bool holds, const std::string& fault) {
    if (!holds) faults += (faults.empty() ? "" : "\n") + fault;
  };
  const auto collect = [&](auto&& rule) {
    try {
      rule();
    } catch (const Error& fault) {
      demand(false, fault.what());
    }
  };
  collect([&] { check_batch_sizes(s.train.global_batch, s.train.micro_batch); });
  collect([&] { check_settings(s.data); });
  collect([&] { check_window(s.model, s.data.window_tokens); });
  collect([&] { check_settings(s.model); });
  demand(s.model.model.family != "text_mlm" || s.train.watch == "loss",
         fmt::format("train.watch = \"{}\": model.family = \"text_mlm\" has a loss alone; use \"loss\"", s.train.watch));
  demand(s.model.model.family == "lm_hhda" || std::find(s.data.leave_out.begin(), s.data.leave_out.end(), "notes") == s.data.leave_out.end(),
         fmt::format("data.leave_out has \"notes\", which are all that model.family = \"{}\" learns from", s.model.model.family));
  demand(s.run.ranks == "any" || is_count(s.run.ranks), fmt::format("run.ranks: expected \"any\" or a number of ranks, found \"{}\"", s.run.ranks));
  demand(s.parallel.data == "auto" || is_count(s.parallel.data),
         fmt::format("parallel.data: expected \"auto\" or a number of copies of the model, found \"{}\"", s.parallel.data));
  collect([&] { static_cast<void>(pipeline_shape(s.parallel)); });
  collect([&] { static_cast<void>(recompute_is_automatic(s.parallel)); });
  collect([&] { check_settings(s.numerics); });
  demand(s.numerics.precision != "fp16" || s.run.device == "cuda",
         "numerics.precision = \"fp16\" needs run.device = \"cuda\"; on a CPU take \"fp32\", or \"bf16\" where the processor has it");
  try {
    static_cast<void>(duration_s(s.run.max_time));
  } catch (const Error& fault) {
    demand(false, fmt::format("run.max_time: {}", fault.what()));
  }
  if (!faults.empty()) throw Error(ErrorKind::configuration, faults);
}

LoadedSettings parse_run_settings(std::string_view text, const std::string& file, const std::vector<std::string>& overrides,
                                  const std::optional<EncoderArchitecture>& encoder) {
  LoadedSettings loaded;
  Configuration configuration(sections_of(loaded.settings));
  configuration.apply_text(text, file);
  configuration.apply_overrides(overrides);
  if (encoder) apply_architecture(configuration, *encoder, loaded.settings.model.text);
  validate(loaded.settings);
  loaded.toml = configuration.to_toml();
  loaded.json = configuration.to_json();
  loaded.digest = configuration.digest({"run", "checkpoint", "parallel", "optim.sharded", "data.shards", "data.verify", "text.pretrained", "text.cache"});
  return loaded;
}

LoadedSettings load_run_settings(const Communicator& comm, const std::string& path, const std::vector<std::string>& overrides, const std::string& resume) {
  const std::string own = agreed(comm, [&] { return comm.rank() == 0 ? read_file(path) : std::string(); });
  const std::string text = comm.broadcast(own, 0);
  const RunSettings as_written = agreed(comm, [&] {
    RunSettings settings;
    Configuration configuration(sections_of(settings));
    configuration.apply_text(text, path);
    configuration.apply_overrides(overrides);
    return settings;
  });
  const std::optional<EncoderArchitecture> encoder = pretrained_architecture(comm, as_written, resume);
  return agreed(comm, [&] {
    LoadedSettings loaded = parse_run_settings(text, path, overrides, encoder);
    check_ranks(loaded.settings.run, comm.size());
    return loaded;
  });
}

}  // namespace tributary
