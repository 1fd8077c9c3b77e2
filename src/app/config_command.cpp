#include <memory>

#include "app/commands.h"
#include "base/files.h"
#include "comm/agree.h"
#include "model/registry.h"
#include "model/report.h"
#include "shards/catalogue.h"
#include "train/pretrained.h"
#include "train/run_settings.h"

namespace tributary {
namespace {

struct ConfigOptions {
  std::string path;
  std::vector<std::string> overrides;
  bool origin = false;
  bool parameters = false;
};

std::shared_ptr<ConfigOptions> add_options(CLI::App& command) {
  auto options = std::make_shared<ConfigOptions>();
  command.add_option("CONFIG", options->path, "configuration file (TOML)")->required();
  command.add_option("--set", options->overrides, "section.key=value in place of the file's; may be given several times")->allow_extra_args(false);
  return options;
}

// The model's parts for the data set that the settings name.
std::string parameters_of(const RunSettings& settings) {
  const Catalogue catalogue = load_catalogue(settings.data.shards);
  const BlockList model = build_model(settings.model, catalogue.schema, static_cast<std::int64_t>(catalogue.vocabulary.size()));
  return parameter_table(make_layout(model.parameters));
}

void show(const Session& session, const ConfigOptions& options) {
  const std::string own = agreed(session.world, [&] { return session.world.rank() == 0 ? read_file(options.path) : std::string(); });
  const std::string text = session.world.broadcast(own, 0);
  RunSettings settings;
  Configuration configuration(sections_of(settings));
  agreed(session.world, [&] {
    configuration.apply_text(text, options.path);
    configuration.apply_overrides(options.overrides);
  });
  const std::optional<EncoderArchitecture> encoder = pretrained_architecture(session.world, settings, "never");
  agreed(session.world, [&] {
    if (encoder) apply_architecture(configuration, *encoder, settings.model.text);
    validate(settings);
    if (session.world.rank() == 0) fmt::print("{}", options.parameters ? parameters_of(settings) : configuration.to_toml(options.origin));
  });
}

void add_check(CLI::App& config, const Session& session) {
  CLI::App* command = config.add_subcommand("check", "Check a configuration and say its digest");
  command->footer("Example:\n  tributary config check launch/configs/quickstart.toml --set train.steps=20");
  command->callback([&session, options = add_options(*command)] {
    const LoadedSettings loaded = load_run_settings(session.world, options->path, options->overrides);
    if (session.world.rank() == 0) fmt::print("{}: good; digest {}\n", options->path, loaded.digest);
  });
}

void add_show(CLI::App& config, const Session& session) {
  CLI::App* command = config.add_subcommand("show", "Print all settings, defaults included, as a configuration file");
  command->footer("Example:\n  tributary config show launch/configs/quickstart.toml --set optim.learning_rate=3e-4 --origin");
  const auto options = add_options(*command);
  command->add_flag("--origin", options->origin, "say beside each value where it comes from: default, file:line or --set");
  command->add_flag("--parameters", options->parameters, "print instead how many parameters each part of the model has (needs data.shards)");
  command->callback([&session, options] { show(session, *options); });
}

void add_schema(CLI::App& config, const Session& session) {
  CLI::App* command = config.add_subcommand("schema", "Print the JSON Schema of a configuration file: types, defaults, limits, help");
  command->footer("Example:\n  tributary config schema > tributary.schema.json");
  command->callback([&session] {
    RunSettings settings;
    if (session.world.rank() == 0) fmt::print("{}\n", Configuration(sections_of(settings)).schema_json());
  });
}

}  // namespace

void add_config(CLI::App& root, const Session& session) {
  CLI::App* config = root.add_subcommand("config", "Check, print or describe configuration files");
  config->require_subcommand(1);
  config->footer(
      "Examples:\n"
      "  tributary config check launch/configs/quickstart.toml\n"
      "  tributary config show launch/configs/quickstart.toml --origin\n"
      "  tributary config schema");
  add_check(*config, session);
  add_show(*config, session);
  add_schema(*config, session);
}

}  // namespace tributary
