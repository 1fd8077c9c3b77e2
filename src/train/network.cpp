#include "train/network.h"

#include <fmt/core.h>

#include "model/registry.h"

namespace tributary {
namespace {

BlockList checked_model(const ModelSettings& settings, std::int64_t window_tokens, const Catalogue& catalogue) {
  if (catalogue.schema.notes) check_window(settings, window_tokens);
  return build_model(settings, catalogue.schema, static_cast<std::int64_t>(catalogue.vocabulary.size()));
}

void compare(std::string& out, const std::string& what, const std::string& trained, const std::string& offered) {
  if (trained != offered) out += fmt::format("{}{}: trained with {}, the data set has {}", out.empty() ? "" : "\n", what, trained, offered);
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return "[" + text + "]";
}

std::string described(const std::vector<Channel>& channels) {
  std::vector<std::string> names;
  for (const Channel& channel : channels) names.push_back(channel.unit.empty() ? channel.name : fmt::format("{} ({})", channel.name, channel.unit));
  return listed(names);
}

}  // namespace

Network::Network(const ModelSettings& settings, std::int64_t window_tokens, const Catalogue& catalogue, const Parallel& parallel, const Cut& cut,
                 EngineOptions options)
    : schema(schema_of_model(settings, catalogue.schema)),
      model(checked_model(settings, window_tokens, catalogue)),
      layout(lay_out(model, cut)),
      engine(model, layout, parallel.place(), std::move(options)) {}

std::vector<at::Tensor> first_parameters(const ModelLayout& layout, const std::vector<int>& own, std::uint64_t seed) {
  std::vector<at::Tensor> arenas;
  for (const int stage : own) {
    const ParameterLayout& parameters = layout.stages[static_cast<std::size_t>(stage)].parameters;
    arenas.push_back(make_arena(parameters, at::kFloat));
    initialise(parameters, arenas.back(), seed);
  }
  return arenas;
}

std::string schema_differences(const Catalogue& trained, const Catalogue& offered) {
  const Schema &a = trained.schema, &b = offered.schema;
  std::string out;
  compare(out, "hours of a series", std::to_string(a.steps), std::to_string(b.steps));
  compare(out, "static features", described(a.statics), described(b.statics));
  compare(out, "series groups", std::to_string(a.series.size()), std::to_string(b.series.size()));
  for (std::size_t g = 0; g < std::min(a.series.size(), b.series.size()); ++g)
    compare(out, fmt::format("series group {}", g), a.series[g].name + " " + described(a.series[g].channels),
            b.series[g].name + " " + described(b.series[g].channels));
  compare(out, "notes", a.notes ? "notes" : "none", b.notes ? "notes" : "none");
  if (a.notes && b.notes) compare(out, "tokenizer", trained.tokenizer_digest, offered.tokenizer_digest);
  const auto image = [](const ImageShape& s) { return fmt::format("[{}, {}, {}]", s.channels, s.height, s.width); };
  compare(out, "image", image(a.image), image(b.image));
  compare(out, "types of concepts", listed(a.concept_types), listed(b.concept_types));
  compare(out, "tasks", std::to_string(a.tasks.size()), std::to_string(b.tasks.size()));
  for (std::size_t t = 0; t < std::min(a.tasks.size(), b.tasks.size()); ++t) {
    const auto task = [](const Task& one) {
      std::string text = fmt::format("{} ({}) {}", one.name, name_of(one.kind), listed(one.classes));
      if (one.kind == TaskKind::relation) text += one.directed ? " directed" : " undirected";
      for (const TypePair& pair : one.candidates) text += fmt::format(" {}-{}", pair.head, pair.tail);
      return text;
    };
    compare(out, fmt::format("task {}", t), task(a.tasks[t]), task(b.tasks[t]));
  }
  return out;
}

}  // namespace tributary
