// Which files of a source folder hold which table.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "ingest/recipe.h"

namespace tributary {

struct SourceFile {
  int table = 0;     // of the recipe; documents: the split
  std::string name;  // relative to the source folder
  std::uint64_t size_bytes = 0;
};

// All tables' files, in the order of tables and names; a file's place in the list is its number on every rank and in every run.
// Throws: Error{missing} for a folder or a table without files (unless optional), naming the patterns; Error{configuration} for a file of two splits.
[[nodiscard]] std::vector<SourceFile> find_source_files(const Recipe& recipe, const std::filesystem::path& source);

// The split that [splits] gives a file. Throws: Error{configuration} when the recipe has such a table and no pattern in it fits.
[[nodiscard]] Split split_of_file(const Recipe& recipe, const std::string& name);

// The id of a record, where the table's rule adds the file's name to the column's value.
[[nodiscard]] std::string record_id(const TableRule& table, const std::string& file_name, std::string_view column);

// Collective: all ranks of `comm`: rank 0 looks, all get the list; its error is thrown on all.
[[nodiscard]] std::vector<SourceFile> agree_source_files(const Communicator& comm, const Recipe& recipe, const std::filesystem::path& source);

// The files that `rank` reads: largest first, each to the rank with the fewest bytes so far. A pure function.
[[nodiscard]] std::vector<std::size_t> files_of_rank(const std::vector<SourceFile>& files, int rank, int ranks);

}  // namespace tributary
