// A directory under construction: `<final>.building-<pid>` until it is renamed.
#pragma once

#include <filesystem>

namespace tributary {

// Throws: Error{cannot_create} when `final` exists and is not an empty directory.
void refuse_existing(const std::filesystem::path& final);

// Removes what dead builders of `final` left on this host, then makes the staging directory of this process. Throws: Error{cannot_create}.
[[nodiscard]] std::filesystem::path make_staging(const std::filesystem::path& final);

// Everything in `staging` is on disk already, but the directory itself. Throws: Error{io}; Error{cannot_create} when `final` appeared meanwhile.
void commit_staging(const std::filesystem::path& staging, const std::filesystem::path& final);

void remove_quietly(const std::filesystem::path& directory) noexcept;

}  // namespace tributary
