// Files that appear under their final name whole or not at all.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace tributary {

// Writes `<path>.tmp`, fsyncs, renames, fsyncs the folder.
// Throws: Error{cannot_create} when the file cannot be opened, Error{io} when a write, sync or rename fails (the temporary file is removed).
void write_file(const std::filesystem::path& path, std::string_view bytes);

// Throws: Error{missing} when absent, Error{io} when reading fails.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

// Throws: Error{cannot_create} naming the first folder that could not be made and why.
void make_directories(const std::filesystem::path& path);

void sync_path(const std::filesystem::path& path);  // fsync of a file or a folder; throws Error{io}

// fsyncs `from`, renames it to `to` (both on one file system) and fsyncs the parent. Throws: Error{io}.
void commit_rename(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace tributary
