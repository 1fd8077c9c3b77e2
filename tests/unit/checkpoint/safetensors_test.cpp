#include "checkpoint/serving/safetensors.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"

namespace tributary {
namespace {

class Safetensors : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string refusal(const std::string& bytes) const {
    write_file(path, bytes);
    try {
      (void)read_safetensors(path);
    } catch (const Error& error) {
      return std::to_string(error.exit_code()) + " " + error.what();
    }
    return "accepted";
  }
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("tributary-safetensors-" + std::to_string(::getpid()));
  std::filesystem::path path = folder / "model.safetensors";
};

TEST_F(Safetensors, come_back_as_they_were_with_the_data_on_eight_bytes) {
  const std::vector<float> a = {1, -0.0F, 3, 4, 5, 6}, b = {7};
  write_safetensors(path, {{"a.weight", {2, 3}, a.data()}, {"b", {}, b.data()}, {"empty", {0, 4}, nullptr}}, {{"format", "pt"}});
  const auto found = read_safetensors(path);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found.at("a.weight").values, a);
  EXPECT_TRUE(std::signbit(found.at("a.weight").values[1]));
  EXPECT_EQ(found.at("a.weight").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(found.at("b").values, b);
  EXPECT_TRUE(found.at("b").shape.empty());
  EXPECT_TRUE(found.at("empty").values.empty());
  EXPECT_EQ((std::filesystem::file_size(path) - 7 * sizeof(float)) % 8, 0U);
}

TEST_F(Safetensors, refuse_what_is_truncated_has_gaps_or_another_type) {
  const std::vector<float> a = {1, 2, 3, 4};
  write_safetensors(path, {{"a", {4}, a.data()}}, {});
  const std::string good = read_file(path);
  for (std::size_t size = 0; size < good.size(); ++size) ASSERT_THAT(refusal(good.substr(0, size)), testing::StartsWith("65")) << size;
  EXPECT_THAT(refusal(good + "1234"), testing::StartsWith("65"));
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    return refusal(bytes);
  };
  EXPECT_THAT(changed("F32", "F16"), testing::AllOf(testing::StartsWith("65"), testing::HasSubstr("'a' is of")));
  EXPECT_THAT(changed("[4]", "[3]"), testing::StartsWith("65"));
  EXPECT_THAT(changed("[0,16]", "[4,16]"), testing::StartsWith("65"));
  EXPECT_THAT(changed("F32", "F32"), "accepted");
}

}  // namespace
}  // namespace tributary
