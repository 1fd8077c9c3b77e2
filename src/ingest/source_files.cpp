#include "ingest/source_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "base/error.h"
#include "comm/agree.h"
#include "ingest/pattern.h"

namespace tributary {
namespace {

// Files below `folder` whose path matches `pattern`, folder name by folder name, sorted.
std::vector<std::string> find_matching(const std::filesystem::path& folder, const std::string& pattern) {
  std::vector<std::string> found = {""};
  for (const std::string_view level : pieces(pattern, "/")) {
    std::vector<std::string> deeper;
    for (const std::string& prefix : found) {
      std::error_code ignored;
      for (const auto& entry : std::filesystem::directory_iterator(folder / prefix, ignored)) {
        const std::string name = entry.path().filename().string();
        if (matches(level, name)) deeper.push_back(prefix.empty() ? name : prefix + "/" + name);
      }
    }
    found = std::move(deeper);
  }
  std::erase_if(found, [&](const std::string& name) { return !std::filesystem::is_regular_file(folder / name); });
  std::sort(found.begin(), found.end());
  return found;
}

// All patterns of a split count, unlike those of a table.
std::vector<SourceFile> find_documents(const Recipe& recipe, const std::filesystem::path& source) {
  std::vector<SourceFile> files;
  std::set<std::string> seen;
  for (std::size_t split = 0; split < recipe.split_files.size(); ++split) {
    std::set<std::string> names;
    for (const std::string& pattern : recipe.split_files[split]) {
      const std::vector<std::string> found = find_matching(source, pattern);
      if (found.empty())
        fail(ErrorKind::missing, "{}: no file '{}', which splits.{} of recipe '{}' names", source.string(), pattern, name_of(static_cast<Split>(split)),
             recipe.name);
      names.insert(found.begin(), found.end());
    }
    for (const std::string& name : names) {
      if (!seen.insert(name).second) fail(ErrorKind::configuration, "recipe '{}': [splits] gives {} to two splits", recipe.name, name);
      files.push_back({static_cast<int>(split), name, std::filesystem::file_size(source / name)});
    }
  }
  return files;
}

}  // namespace

Split split_of_file(const Recipe& recipe, const std::string& name) {
  for (std::size_t split = 0; split < recipe.split_files.size(); ++split)
    if (matches_any(recipe.split_files[split], name)) return static_cast<Split>(split);
  fail(ErrorKind::configuration, "recipe '{}': no pattern of [splits] fits {}", recipe.name, name);
}

std::string record_id(const TableRule& table, const std::string& file_name, std::string_view column) {
  if (!table.record_with_file || column.empty()) return std::string(column);
  const std::string name = std::filesystem::path(file_name).filename().string();
  return fmt::format("{}/{}", name.substr(0, name.find('.')), column);
}

std::vector<SourceFile> find_source_files(const Recipe& recipe, const std::filesystem::path& source) {
  if (!std::filesystem::is_directory(source))
    fail(ErrorKind::missing, "{}: there is no such folder; --source names the folder with the tables", source.string());
  if (recipe.documents) return find_documents(recipe, source);
  std::vector<SourceFile> files;
  for (std::size_t table = 0; table < recipe.tables.size(); ++table) {
    const TableRule& rule = recipe.tables[table];
    std::vector<std::string> names;
    for (const std::string& pattern : rule.files)
      if (names.empty()) names = find_matching(source, pattern);
    if (names.empty() && !rule.optional)
      fail(ErrorKind::missing, "{}: no file for table '{}' of recipe '{}'; expected {}", source.string(), rule.name, recipe.name,
           fmt::join(rule.files, " or "));
    for (const std::string& name : names) files.push_back({static_cast<int>(table), name, std::filesystem::file_size(source / name)});
  }
  return files;
}

std::vector<SourceFile> agree_source_files(const Communicator& comm, const Recipe& recipe, const std::filesystem::path& source) {
  std::vector<SourceFile> files;
  agreed(comm, [&] {
    if (comm.rank() == 0) files = find_source_files(recipe, source);
  });
  nlohmann::json list = nlohmann::json::array();
  for (const SourceFile& file : files) list.push_back({file.table, file.name, file.size_bytes});
  const std::string bytes = comm.broadcast(list.dump(), 0);
  files.clear();
  for (const auto& entry : nlohmann::json::parse(bytes)) files.push_back({entry[0], entry[1], entry[2]});
  return files;
}

std::vector<std::size_t> files_of_rank(const std::vector<SourceFile>& files, int rank, int ranks) {
  std::vector<std::size_t> order(files.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return files[a].size_bytes > files[b].size_bytes; });
  std::vector<std::uint64_t> load(static_cast<std::size_t>(ranks), 0);
  std::vector<std::size_t> mine;
  for (const std::size_t file : order) {
    const auto lightest = static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    load[lightest] += files[file].size_bytes + 1;
    if (static_cast<int>(lightest) == rank) mine.push_back(file);
  }
  return mine;
}

}  // namespace tributary
