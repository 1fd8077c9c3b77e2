#include "checkpoint/serving/safetensors.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <tuple>

#include "base/error.h"
#include "base/files.h"
#include "base/key.h"

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
  EXPECT_THAT(changed("F32", "F16"), testing::AllOf(testing::StartsWith("65"), testing::HasSubstr("'a' of type F16 needs 8 bytes")));
  EXPECT_THAT(changed("[4]", "[3]"), testing::StartsWith("65"));
  EXPECT_THAT(changed("[0,16]", "[4,16]"), testing::StartsWith("65"));
  EXPECT_THAT(changed("F32", "F32"), "accepted");
}

std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string bytes(8, '\0');
  for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return bytes + header + std::string(data_bytes, '\x11');
}

TEST_F(Safetensors, refuse_each_fault_of_a_header_by_name) {
  const auto of = [&](const std::string& header, std::size_t data_bytes) { return refusal(file_of(header, data_bytes)); };
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  EXPECT_EQ(of("{" + a + "}", 8), "accepted");
  const std::vector<std::tuple<std::string, std::size_t, std::string>> faults = {
      {"{" + a + "," + a + "}", 8, "names 'a' twice"},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8, "names 'dtype' twice"},
      {"{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12, "two tensors"},
      {"{" + a + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16, "no tensor"},
      {"{" + a + "}", 9, "1 bytes after the last tensor"},
      {"{" + a + "}", 7, "'a' of type F32 needs 8 bytes"},
      {R"({"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", 8, "unknown type \"F31\""},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "'shape' holds something else"},
      {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8, "'shape' holds something else"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,8]}})", 8, "too large"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "needs 12 bytes"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "data_offsets are [8,0]"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}})", 8, "data_offsets are [0,8,9]"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8, "unknown key 'x'"},
      {R"({"a":7})", 8, "expected an object"},
      {R"([1])", 0, "not a JSON object"},
      {R"({"a":{"dtype":"F32","shape":[[[2]]],"data_offsets":[0,8]}})", 8, "nests deeper"},
      {R"({"a)", 0, "damaged header"}};
  for (const auto& [header, data_bytes, word] : faults)
    EXPECT_THAT(of(header, data_bytes), testing::AllOf(testing::StartsWith("65"), testing::HasSubstr(word))) << header;
}

TEST_F(Safetensors, widen_half_precision_without_loss_and_refuse_integers_when_read) {
  const std::string header = R"({"h":{"dtype":"F16","shape":[6],"data_offsets":[0,12]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[12,16]},)"
                             R"("i":{"dtype":"I16","shape":[1],"data_offsets":[16,18]}})";
  std::string bytes = file_of(header, 18);
  const std::vector<std::uint16_t> narrow = {0x3C00, 0xC500, 0x0001, 0x7C00, 0x8000, 0x7BFF, 0x3F80, 0xC2F7, 7};
  std::memcpy(bytes.data() + bytes.size() - 18, narrow.data(), 18);
  write_file(path, bytes);
  const SafetensorsFile file(path);
  std::vector<float> half(6), brain(2), whole(1);
  file.read("h", half);
  file.read("b", brain);
  EXPECT_EQ(half, (std::vector<float>{1, -5, 0x1p-24F, INFINITY, -0.0F, 65504}));
  EXPECT_TRUE(std::signbit(half[4]));
  EXPECT_EQ(brain, (std::vector<float>{1, -123.5F}));
  EXPECT_THROW(file.read("i", whole), Error);
}

TEST_F(Safetensors, survive_100000_mutated_headers_without_reading_out_of_bounds) {
  const std::vector<float> a(6, 1), b(3, 2);
  write_safetensors(path, {{"encoder.layer.0.weight", {2, 3}, a.data()}, {"b", {3}, b.data()}, {"empty", {0, 4}, nullptr}}, {{"format", "pt"}});
  const std::string good = read_file(path);
  const Key key = derive_key(Draw::synth, 5, "safetensors");
  const std::string alphabet = "0123456789{}[],:\"-.eEaF \\u";
  std::uint64_t draw = 0;
  const auto below = [&](std::size_t count) { return static_cast<std::size_t>(uniform(key, draw++) * static_cast<double>(count)); };
  int accepted = 0, refused = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string bytes = good;
    for (std::size_t change = 0, changes = 1 + below(4); change < changes; ++change) {
      const std::size_t place = below(bytes.size());
      const std::size_t kind = below(4);
      if (kind == 0) bytes[place] = static_cast<char>(below(256));
      if (kind == 1) bytes[place] = alphabet[below(alphabet.size())];
      if (kind == 2) bytes.erase(place, 1 + below(9));
      if (kind == 3) bytes.insert(place, bytes.substr(below(bytes.size()), 1 + below(20)));
      if (bytes.empty()) bytes = good;
    }
    try {
      const auto tensors = parse_safetensors(bytes, bytes.size(), "mutated");
      ++accepted;
      for (const auto& [name, tensor] : tensors) ASSERT_TRUE(tensor.first <= tensor.last && tensor.last <= bytes.size());
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::data) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 10000);
}

}  // namespace
}  // namespace tributary
