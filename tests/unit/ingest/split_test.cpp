#include "ingest/split.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/error.h"

namespace tributary {
namespace {

constexpr int many_patients = 100000;

std::uint64_t patient(int number) { return patient_hash_of("patient " + std::to_string(number)); }

TEST(Split, gives_70_10_20_percent_of_the_patients_for_any_salt) {
  for (const char* salt : {"", "1", "2"}) {
    std::array<double, 3> counts{};
    for (int i = 0; i < many_patients; ++i) ++counts[static_cast<std::size_t>(split_of(patient(i), salt))];
    EXPECT_NEAR(counts[0] / many_patients, 0.7, 0.006) << salt;
    EXPECT_NEAR(counts[1] / many_patients, 0.1, 0.004) << salt;
    EXPECT_NEAR(counts[2] / many_patients, 0.2, 0.006) << salt;
  }
}

TEST(Split, of_another_salt_is_independent) {
  int both_test = 0;
  for (int i = 0; i < many_patients; ++i) both_test += split_of(patient(i), "1") == Split::test && split_of(patient(i), "2") == Split::test;
  EXPECT_NEAR(static_cast<double>(both_test) / many_patients, 0.04, 0.003);
}

TEST(Split, is_frozen) {
  std::string word;
  for (int i = 0; i < 24; ++i) word += std::to_string(static_cast<int>(split_of(patient(i), "salt")));
  EXPECT_EQ(word, "020002000220010202000000");
  word.clear();
  for (int i = 0; i < 24; ++i) word += std::to_string(part_of(patient(i), 10));
  EXPECT_EQ(word, "718318066797609111021963");
}

TEST(Split, obeys_fractions_and_refuses_impossible_ones) {
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(split_of(patient(i), "", {1, 0}), Split::train);
    ASSERT_EQ(split_of(patient(i), "", {0, 1}), Split::validation);
    ASSERT_EQ(split_of(patient(i), "", {0, 0}), Split::test);
  }
  EXPECT_THROW((void)split_of(1, "", {0.9, 0.2}), Error);
  EXPECT_THROW((void)split_of(1, "", {-0.1, 0.2}), Error);
}

TEST(PartOf, spreads_patients_evenly_and_independently_of_the_split) {
  constexpr int parts = 7;
  std::array<std::array<int, 3>, parts> counts{};
  for (int i = 0; i < many_patients; ++i) {
    const std::int32_t part = part_of(patient(i), parts);
    ASSERT_GE(part, 0);
    ASSERT_LT(part, parts);
    ++counts[static_cast<std::size_t>(part)][static_cast<std::size_t>(split_of(patient(i), ""))];
  }
  for (const auto& part : counts) {
    EXPECT_NEAR(part[0] + part[1] + part[2], many_patients / parts, 600);
    EXPECT_NEAR(part[2], many_patients * 0.2 / parts, 250);
  }
  EXPECT_THROW((void)part_of(1, 0), Error);
}

TEST(RowOrder, is_by_split_then_patient_then_id) {
  const RowOrder first{Split::train, 9, "b"}, second{Split::validation, 1, "a"}, third{Split::validation, 1, "b"}, fourth{Split::validation, 2, "a"};
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_LT(third, fourth);
}

}  // namespace
}  // namespace tributary
