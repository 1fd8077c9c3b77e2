#include <memory>
#include <optional>

#include "app/commands.h"
#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/compare.h"
#include "checkpoint/directory.h"
#include "comm/agree.h"

namespace tributary {
namespace {

constexpr double mebibyte = 1024.0 * 1024.0;

std::uint64_t bytes_of(const Manifest& manifest) {
  std::uint64_t sum = 0;
  for (const FileRecord& file : manifest.files) sum += file.size_bytes;
  return sum;
}

void list(const std::filesystem::path& path) {
  std::error_code code;
  RunListing listing;
  if (std::filesystem::exists(path / manifest_file, code)) {
    listing.checkpoints.push_back({path, load_manifest(path).step});
  } else {
    if (!std::filesystem::is_directory(path, code)) fail(ErrorKind::missing, "{}: no such checkpoint or run directory", path.string());
    listing = list_run(path);
  }
  fmt::print("{:>10} {:>10} {:>8} {:<12} path\n", "step", "MiB", "tensors", "content");
  for (const auto& entry : listing.checkpoints) {
    const Manifest manifest = load_manifest(entry.path);
    fmt::print("{:>10} {:>10.1f} {:>8} {:<12} {}\n", manifest.step, static_cast<double>(bytes_of(manifest)) / mebibyte, manifest.tensors.size(),
               manifest.content_digest().substr(0, 12), entry.path.string());
  }
  for (const auto& entry : listing.skipped) fmt::print("   skipped: {}\n", entry.reason);
  if (listing.checkpoints.empty()) fmt::print("no whole checkpoint in {}\n", path.string());
}

void verify(const Session& session, const std::filesystem::path& path) {
  const auto found = agreed(session.world, [&] { return resolve_checkpoint(path); });
  const CheckpointHead head = open_checkpoint(session.world, found);
  verify_tensors(session.world, found, head.manifest);
  if (session.world.rank() == 0) {
    fmt::print("{}: good; step {}, {} tensors, {:.1f} MiB, content {}\n", found.string(), head.manifest.step, head.manifest.tensors.size(),
               static_cast<double>(bytes_of(head.manifest)) / mebibyte, head.manifest.content_digest());
  }
}

void print(const CheckpointDifference& difference) {
  for (const TensorDifference& tensor : difference.tensors) {
    if (tensor.what == "values") {
      fmt::print("{}: {} of {} bytes differ, largest difference {:.9g}\n", tensor.name, tensor.differing_bytes, tensor.bytes, tensor.largest);
    } else {
      fmt::print("{}: {}\n", tensor.name, tensor.what == "shape" ? "shapes differ" : tensor.what);
    }
  }
  if (difference.tensors.empty()) fmt::print("{} tensors, all equal\n", difference.compared);
  if (!difference.tensors.empty()) fmt::print("{} of {} compared tensors and names differ\n", difference.tensors.size(), difference.compared);
}

// Rank 0 reads and speaks; all ranks leave with the same code.
void diff(const Session& session, const std::filesystem::path& a, const std::filesystem::path& b) {
  const std::string differs = agreed(session.world, [&] {
    if (session.world.rank() != 0) return std::string();
    const auto first = resolve_checkpoint(a), second = resolve_checkpoint(b);
    fmt::print("{} and {}\n", first.string(), second.string());
    const CheckpointDifference difference = compare_checkpoints(first, second);
    print(difference);
    return std::string(difference.tensors.empty() ? "no" : "yes");
  });
  if (session.world.broadcast(differs, 0) == "yes") throw ExitCode{1};
}

}  // namespace

void add_checkpoint(CLI::App& root, const Session& session) {
  CLI::App* group = root.add_subcommand("checkpoint", "List, verify or compare checkpoints; each PATH is a checkpoint or a run directory (then its newest)");
  group->require_subcommand(1);
  group->footer(
      "Examples:\n"
      "  tributary checkpoint ls runs/quickstart/run\n"
      "  tributary checkpoint verify runs/quickstart/run/best\n"
      "  tributary checkpoint diff runs/a runs/b");
  const auto paths = std::make_shared<std::vector<std::string>>(2);

  CLI::App* ls = group->add_subcommand("ls", "List the checkpoints of a run directory, newest first, and what was skipped and why");
  ls->add_option("PATH", (*paths)[0], "run directory or checkpoint")->required();
  ls->footer("Example:\n  tributary checkpoint ls runs/quickstart/run");
  ls->callback([&session, paths] {
    agreed(session.world, [&] {
      if (session.world.rank() == 0) list((*paths)[0]);
    });
  });

  CLI::App* check = group->add_subcommand("verify", "Check every digest of a checkpoint");
  check->add_option("PATH", (*paths)[0], "run directory or checkpoint")->required();
  check->footer("Example:\n  mpirun -n 4 tributary checkpoint verify runs/quickstart/run");
  check->callback([&session, paths] { verify(session, (*paths)[0]); });

  CLI::App* compare = group->add_subcommand("diff", "Say which tensors differ, in how many bytes and by how much; exit code 1 if any does");
  compare->add_option("A", (*paths)[0], "run directory or checkpoint")->required();
  compare->add_option("B", (*paths)[1], "run directory or checkpoint")->required();
  compare->footer("Example:\n  tributary checkpoint diff runs/one-rank runs/four-ranks");
  compare->callback([&session, paths] { diff(session, (*paths)[0], (*paths)[1]); });
}

}  // namespace tributary
